"""What a worker and its parent say to each other: pickled dictionaries, each after its length, over a pair of sockets that nobody else has."""

from __future__ import annotations

import asyncio
import pickle
import socket
from typing import Any

LIMIT = 16 * 1024 * 1024  # bytes of a message


class Line:
    """One end. Messages have "id" where an answer is expected, and answers have the same one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, wire: socket.socket) -> Line:
        """On a connected socket."""
        wire.setblocking(False)
        return cls(*await asyncio.open_unix_connection(sock=wire, limit=LIMIT))

    async def say(self, message: dict[str, Any]) -> None:
        """Raises OSError where the other is gone."""
        data = pickle.dumps(message)
        self._writer.write(len(data).to_bytes(8, "big") + data)
        await self._writer.drain()

    async def hear(self) -> dict[str, Any] | None:
        """The next message; None once the other is gone."""
        try:
            size = int.from_bytes(await self._reader.readexactly(8), "big")
            message: dict[str, Any] = pickle.loads(await self._reader.readexactly(size))  # noqa: S301 - from our own parent or child, over a socket of ours
        except (OSError, EOFError):
            return None
        return message

    def close(self) -> None:
        """Say no more."""
        self._writer.close()
