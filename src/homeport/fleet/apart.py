"""What a gateway shares with other gateways, as a port; and a gateway that shares with nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from homeport.fleet.alone import Crew
from homeport.ports import Pair, Places
from homeport.vocabulary import FleetStanding

Hinted = Callable[[str, list[str]], None]


class Fleet(Protocol):
    """The gateways that stand before the same backends, as one process of one of them sees them."""

    hinted: Hinted
    """Called with a backend's name and models when another member has ceased to ask them ("": the backend as a whole)."""

    def at(self, name: str) -> Places:
        """A new view on the places at a backend. Raises HomeportError where there were too many backends."""

    def key(self, name: str) -> Places | None:
        """A new view on the places of a key, for which nobody waits; None where this process shares them with nobody."""

    def level(self, name: str, own: Pair) -> Pair:
        """The levels of a key, over all; `own` are this gateway's."""

    def hint(self, backend: str, models: Iterable[str]) -> None:
        """Tell the others that these are no longer asked here."""

    async def once(self, name: str, for_s: float) -> bool:
        """Whether this member is the one to do it, and nobody else for so many seconds. True where nobody can be asked."""

    @property
    def standing(self) -> FleetStanding | None:
        """How it stands; None where this gateway shares with nobody."""

    async def start(self) -> None:
        """Be one of them. Waits a moment for the store, and not longer."""

    async def stop(self) -> None:
        """Be none of them any more; what is held is free for the others."""


def nobody(backend: str, models: list[str]) -> None:
    """Heeds no hint."""
    del backend, models


class Apart:
    """Fulfils Fleet without any other gateway: places are counted by the crew of this one."""

    standing: FleetStanding | None = None

    def __init__(self, crew: Crew, *, workers: bool) -> None:
        self._crew = crew
        self._workers = workers
        self.hinted: Hinted = nobody

    def at(self, name: str) -> Places:
        return self._crew.at(name)

    def key(self, name: str) -> Places | None:
        return self._crew.at(f"key\0{name}") if self._workers else None  # no backend has such a name

    def level(self, name: str, own: Pair) -> Pair:
        return own

    def hint(self, backend: str, models: Iterable[str]) -> None:
        """Nobody would hear it."""

    async def once(self, name: str, for_s: float) -> bool:
        return True

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        """Nothing to do."""
