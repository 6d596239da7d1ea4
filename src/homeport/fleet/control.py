"""How commands reach a running gateway: a Unix socket in its data folder, for its owner alone; one order a connection, one answer.

An order is a line of JSON, `{"do": "reload"}`, and so is its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from homeport.errors import HomeportError
from homeport.fleet.sockets import SocketFolder, opened

SUFFIX = ".control"
ORDER_S = 5.0  # for an order to arrive
ANSWER_S = 60.0  # for its answer
MOST = 64 * 1024  # bytes of an order

log = logging.getLogger("homeport")

Obey = Callable[[dict[str, Any]], Coroutine[Any, Any, dict[str, Any]]]


class Control:
    """The gateway's end, from `start` to `stop`; `obey` carries an order out and says what came of it."""

    def __init__(self, data: Path, obey: Obey) -> None:
        self._data = data
        self._obey = obey
        self._name = f"gateway-{os.getpid()}{SUFFIX}"
        self._folder: SocketFolder | None = None
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. Where that cannot be, the gateway runs on without."""
        if not hasattr(asyncio, "start_unix_server"):  # Windows
            return
        try:
            self._folder = SocketFolder(self._data)
            _tidy(self._folder)
            bound = self._folder.bind(self._name, socket.SOCK_STREAM)
            self._server = await asyncio.start_unix_server(self._serve, sock=bound, limit=MOST)
        except (OSError, HomeportError) as error:
            log.warning("`homeport config reload` cannot reach this gateway: %s", error)

    async def stop(self) -> None:
        """Cease to listen."""
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(OSError):
                os.unlink(self._data / self._name)
        if self._folder is not None:
            self._folder.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            order = await _order(reader)
            if order is not None:
                writer.write(json.dumps({"pid": os.getpid(), **await self._obey(order)}).encode() + b"\n")
                with contextlib.suppress(OSError):  # it left
                    await writer.drain()
        finally:
            writer.close()


async def _order(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """What is ordered; None where nothing comes, or something else."""
    try:
        async with asyncio.timeout(ORDER_S):
            order = json.loads(await reader.readline())
    except (OSError, ValueError):
        return None
    return order if isinstance(order, dict) else None


def tell(data: Path, order: dict[str, Any]) -> list[dict[str, Any]]:
    """Give an order to every gateway that runs on this data folder; their answers. Raises HomeportError where one takes the order and does not answer."""
    answers = []
    try:
        with opened(data) as folder:
            for name in folder.names(SUFFIX):
                answer = _told(folder, name, order)
                if answer is not None:
                    answers.append(answer)
    except FileNotFoundError:
        return []
    return answers


def _told(folder: SocketFolder, name: str, order: dict[str, Any]) -> dict[str, Any] | None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wire:
        wire.settimeout(ANSWER_S)
        try:
            wire.connect(folder.reach(name))
        except ConnectionRefusedError:  # it is dead
            return None
        except PermissionError:
            raise HomeportError(f"{folder.path / name} belongs to another user: run this as the one that the gateway runs as.") from None
        except OSError:
            return None
        try:
            wire.sendall(json.dumps(order).encode() + b"\n")
            with wire.makefile("rb") as file:
                answer = json.loads(file.readline() or b"null")
        except (OSError, ValueError):
            answer = None
    if not isinstance(answer, dict):
        raise HomeportError("The gateway did not say what came of it; see its log.")
    return answer


def _tidy(folder: SocketFolder) -> None:
    """Remove what gateways that were killed have left."""
    for name in folder.names(SUFFIX):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wire:
            wire.settimeout(1.0)
            try:
                wire.connect(folder.reach(name))
            except ConnectionRefusedError:
                with contextlib.suppress(OSError):
                    os.unlink(folder.path / name)
            except OSError:
                continue
