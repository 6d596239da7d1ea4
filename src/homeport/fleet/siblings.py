"""The other workers of a gateway, asked over Unix sockets: fulfils ports.Siblings."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path

from homeport.errors import HomeportError
from homeport.fleet.sockets import SocketFolder

SUFFIX = ".sibling"
PATIENCE_S = 1.0  # for all answers together
MOST = 64 * 1024 * 1024  # bytes of an answer

log = logging.getLogger("homeport")


class UnixSiblings:
    """Sits at `seat` of the run whose sockets are in `folder`."""

    def __init__(self, folder: SocketFolder, seat: int) -> None:
        self._folder = folder
        self._name = f"seat-{seat}{SUFFIX}"
        self._topics: dict[str, Callable[[], bytes]] = {}
        self._server: asyncio.Server | None = None

    @property
    def folder(self) -> Path | None:
        return self._folder.path

    def answer(self, topic: str, give: Callable[[], bytes]) -> None:
        self._topics[topic] = give

    async def gather(self, topic: str) -> list[bytes]:
        others = [name for name in self._folder.names(SUFFIX) if name != self._name]
        if not others:
            return []
        tasks = [asyncio.ensure_future(self._ask(name, topic)) for name in others]
        done, late = await asyncio.wait(tasks, timeout=PATIENCE_S)
        for task in late:
            task.cancel()
        return [answer for task in tasks if task in done and (answer := task.result()) is not None]

    async def start(self) -> None:
        """Answer from now on. Raises OSError, HomeportError."""
        bound = self._folder.bind(self._name, socket.SOCK_STREAM)
        self._server = await asyncio.start_unix_server(self._serve, sock=bound)

    def stop(self) -> None:
        """Be silent from now on."""
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(OSError):
                os.unlink(self._folder.path / self._name)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                topic = (await reader.readline()).decode().strip()
                give = self._topics.get(topic)
                if give is not None:
                    body = give()
                    writer.write(len(body).to_bytes(8, "big") + body)
                    await writer.drain()
        except (OSError, ValueError):
            pass
        finally:
            writer.close()

    async def _ask(self, name: str, topic: str) -> bytes | None:
        writer: asyncio.StreamWriter | None = None
        try:
            reader, writer = await asyncio.open_unix_connection(self._folder.reach(name))
            writer.write(topic.encode() + b"\n")
            size = int.from_bytes(await reader.readexactly(8), "big")
            return await reader.readexactly(size) if size <= MOST else None
        except (OSError, EOFError, HomeportError):  # gone, or of no such topic
            return None
        finally:
            if writer is not None:
                writer.close()
