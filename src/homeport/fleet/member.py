"""One worker of a gateway of several: its seat among them (fulfils fleet.alone.Crew)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from msgspec import Struct

from homeport.fleet.bell import Bell
from homeport.fleet.leader import Leadership
from homeport.fleet.places import Table
from homeport.fleet.siblings import UnixSiblings
from homeport.fleet.sockets import SocketFolder
from homeport.fleet.view import View


class Papers(Struct, frozen=True):
    """What a worker is born with. The numbers are descriptors that it inherits."""

    seat: int
    folder: str  # of the run: its sockets, its lock
    socket: int  # listening
    places: int  # the shared memory
    parent: int  # a socket to its parent


class Member:
    """The worker with these papers. Raises OSError, HomeportError where its folder cannot be used."""

    def __init__(self, papers: Papers) -> None:
        self.socket: socket.socket | None = socket.socket(fileno=papers.socket)
        self.socket.setblocking(False)
        self._seat = papers.seat
        self._folder = SocketFolder(Path(papers.folder))
        self._bell = Bell(self._folder)
        self._table = Table(papers.places, papers.seat, ring=self._bell.ring, later=lambda s, work: asyncio.get_running_loop().call_later(s, work))
        self.siblings = UnixSiblings(self._folder, papers.seat)
        self._leadership: Leadership | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def at(self, name: str) -> View:
        return self._table.at(name)

    async def join(self, lead: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._loop = asyncio.get_running_loop()
        self._bell.listen(self._loop, self._seat, self._table.heard)
        await self.siblings.start()
        self._leadership = Leadership(self._folder.path, lead)
        await self._leadership.start()

    def leave(self) -> None:
        if self._leadership is not None:
            self._leadership.stop()

    def close(self) -> None:
        """The last of it, in the loop's thread."""
        self.siblings.stop()
        if self._loop is not None:
            self._bell.close(self._loop)
        self._folder.close()
