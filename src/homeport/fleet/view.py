"""One backend's view of places that several processes count together: what it waits for, and whom it tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Counted(Protocol):
    """The places behind the views of this process: a cell of the machine's table, or a row of the fleet's."""

    views: list[View]

    @property
    def in_use(self) -> int: ...

    @property
    def waiting(self) -> int: ...

    def take(self, limit: int, *, wanted: bool) -> bool: ...

    def give_back(self) -> None: ...

    def changed(self) -> None:
        """A view wants something else than before."""


class View:
    """Fulfils ports.Places over what is counted together."""

    __slots__ = ("_counted", "free", "limit", "since", "wants")

    def __init__(self, counted: Counted) -> None:
        self._counted = counted
        self.free: Callable[[], None] | None = None
        self.wants = 0
        self.since = 0.0
        self.limit = 0
        counted.views.append(self)

    @property
    def in_use(self) -> int:
        return self._counted.in_use

    @property
    def waiting(self) -> int:
        return self._counted.waiting

    def take(self, limit: int) -> bool:
        return self._counted.take(limit, wanted=self.wants > 0)

    def give_back(self) -> None:
        self._counted.give_back()

    def want(self, waiting: int, since: float, limit: int) -> None:
        if (waiting, since, limit) != (self.wants, self.since, self.limit):
            self.wants, self.since, self.limit = waiting, since, limit
            self._counted.changed()

    def subscribe(self, free: Callable[[], None]) -> None:
        self.free = free

    def close(self) -> None:
        self.free = None
        if self.wants:
            self.want(0, 0.0, 0)
        if self in self._counted.views:
            self._counted.views.remove(self)
