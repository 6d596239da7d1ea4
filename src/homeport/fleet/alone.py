"""A gateway of one process: it counts places at backends in its own memory, and does itself what workers would share out."""

from __future__ import annotations

import socket
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from homeport.ports import Places


class _Count:
    """The places taken at one backend, and who counts them: more than one only while a reload's old backend ends its answers."""

    __slots__ = ("held", "views")

    def __init__(self) -> None:
        self.held = 0
        self.views: list[AlonePlaces] = []


class AlonePlaces:
    """Fulfils ports.Places within one process."""

    __slots__ = ("_count", "_free", "_since", "_wants")

    def __init__(self, count: _Count) -> None:
        self._count = count
        self._free: Callable[[], None] | None = None
        self._wants = 0
        self._since = 0.0
        count.views.append(self)

    @property
    def in_use(self) -> int:
        return self._count.held

    @property
    def waiting(self) -> int:
        return sum(view._wants for view in self._count.views)

    def take(self, limit: int) -> bool:
        if self._count.held >= limit:
            return False
        self._count.held += 1
        return True

    def give_back(self) -> None:
        count = self._count
        count.held -= 1
        if len(count.views) != 1 or count.views[0] is not self:
            for view in sorted(count.views, key=lambda view: view._since):
                if view is not self and view._wants and view._free is not None and not (self._wants and self._since <= view._since):
                    view._free()  # who waits in this one's own line is served by it, after this

    def want(self, waiting: int, since: float, limit: int) -> None:
        self._wants, self._since = waiting, since

    def subscribe(self, free: Callable[[], None]) -> None:
        self._free = free

    def close(self) -> None:
        self._free = None
        self._wants = 0
        if self in self._count.views:
            self._count.views.remove(self)


class Alone:
    """Fulfils Crew for one process. The same name leads to the same count of places."""

    socket: socket.socket | None = None  # it makes its own

    def __init__(self) -> None:
        self._counts: dict[str, _Count] = {}

    def at(self, name: str) -> AlonePlaces:
        """A new view on the places at a backend."""
        return AlonePlaces(self._counts.setdefault(name, _Count()))

    async def join(self, lead: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """There is nobody else: lead."""
        await lead()

    def leave(self) -> None:
        """There is nobody who would notice."""


class Crew(Protocol):
    """The workers of one gateway, as one of them sees it."""

    socket: socket.socket | None
    """The listening socket that all of them share; None where a gateway makes its own."""

    def at(self, name: str) -> Places:
        """A new view on the places at a backend. Raises HomeportError where there were too many backends."""

    async def join(self, lead: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Be one of them; `lead` is awaited once, when this one is to do what is done once for all."""

    def leave(self) -> None:
        """Be none of them any more; another leads."""
