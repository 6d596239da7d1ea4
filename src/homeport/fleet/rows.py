"""Places at one backend, or of one key, as one member of a fleet counts them; what the store is told and tells are running totals (script.lua).

Together, the store alone says who gets a place. Away from it, a gateway keeps to its share: `max_in_flight` divided by the
gateways that were seen last, at least 1. It counts its own with the crew's places, so that its workers share that share.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from homeport.fleet.view import View
from homeport.ports import Pair, Places

MANY = 1 << 30  # no limit: the store has said yes


class Company(Protocol):
    """What a row wants of its exchange with the store."""

    together: bool  # the store answers
    gateways: int  # that were seen last

    def soon(self, row: Row, *, urgent: bool = True) -> None:
        """Tell the store how this row stands, with the next message; where nobody waits for it, that may be the next ask's."""

    def again(self) -> None:
        """Look a little later whether a sibling has given a place back."""


class Row:
    """One process's counts under one name, and the views on them."""

    __slots__ = ("_own", "aside", "back", "company", "covered", "elsewhere", "given", "limit", "name", "others", "prompt", "told", "version", "views")

    def __init__(self, name: str, company: Company, own: Places, *, prompt: bool) -> None:
        self.name = name
        self.company = company
        self.prompt = prompt  # a key's: taken at once, and the others told
        self._own = own  # the crew's count of this gateway's places
        self.given = self.back = 0  # running totals
        self.aside = 0  # given, and not taken by who waits yet
        self.covered = 0  # of those held, how many the crew's count has
        self.others = 0  # places that other members hold
        self.elsewhere = 0  # who waits at other members
        self.version = -1  # of what is known of them
        self.limit = 1  # as it was told last
        self.told: tuple[int, ...] = ()  # what the store knows
        self.views: list[View] = []

    # how it stands

    @property
    def wants(self) -> int:
        """How many wait here, and have nothing put aside."""
        return max(0, sum(view.wants for view in self.views) - self.aside)

    @property
    def in_use(self) -> int:
        if self.company.together:
            return self.others + self.given - self.back
        return self._own.in_use + self.limit - self.share

    @property
    def waiting(self) -> int:
        """Who waits anywhere. Less than 0 while places are free: an ask waits for the store's word then, though for nothing else."""
        return (self.elsewhere if self.company.together else 0) + self.wants - max(0, self.limit - self.in_use)

    @property
    def share(self) -> int:
        """How many places this gateway may take while it cannot ask."""
        return min(self.limit, max(1, self.limit // max(1, self.company.gateways)))

    def totals(self) -> tuple[int, ...]:
        """What the store is to know: given, asked, back, since when the oldest waits in milliseconds (0: nobody), limit."""
        waiting = [view for view in self.views if view.wants]
        oldest = min(waiting, key=lambda view: view.since, default=None)
        if oldest is not None:
            self.limit = oldest.limit
        return self.given, self.given + self.wants, self.back, int(oldest.since * 1000) if oldest is not None and self.wants else 0, self.limit

    def message(self, now: float) -> list[object]:
        """The same as it is sent, with an age in place of a moment; `now` is time.monotonic()."""
        self.told = totals = self.totals()
        given, asked, back, since, limit = totals
        return [self.name, given, asked, back, max(0, int(now * 1000) - since) if since else 0, limit]

    # what happens here

    def changed(self) -> None:
        """Somebody came, left or has another limit."""
        surplus = self.aside - sum(view.wants for view in self.views)
        for _ in range(surplus):
            self.aside -= 1
            self.give_back()
        if not self.company.together:
            if self.wants:
                self.company.again()
        elif self._untold():
            self.company.soon(self)

    def _untold(self) -> bool:
        """Whether the store is to know more than it does; what it has given, and who was oldest where nobody waits, is nothing new."""
        if not self.told:
            return True
        (_, asked, back, *oldest), (_, told_asked, told_back, *told_oldest) = self.totals(), self.told
        return asked != told_asked or back != told_back or (oldest != told_oldest and self.wants > 0)

    def take(self, limit: int, *, wanted: bool) -> bool:
        if self.aside and wanted:
            self.aside -= 1
            return True
        self.limit = limit
        if self.company.together:
            if not self.prompt or self.in_use >= limit:
                return False
            self._hold()
            self.company.soon(self)
            return True
        if not self._own.take(self.share):
            return False
        self.given += 1
        self.covered += 1
        return True

    def give_back(self) -> None:
        self.back += 1
        if self.covered > self.given - self.back:
            self.covered -= 1
            self._own.give_back()
        if self.company.together:
            self.company.soon(self, urgent=self.elsewhere > 0 or self.wants > 0)
        else:
            self.look()

    def look(self) -> None:
        """Let those who wait here try."""
        for view in sorted((view for view in self.views if view.wants), key=lambda view: view.since):
            if view.free is not None:
                view.free()

    # what the store says

    def answered(self, given: int, taken: int, waiting: int, version: int) -> None:
        """To what it was told last: what this member was given, and what all hold and wait for."""
        if version >= self.version:
            known_given, asked, known_back, *_ = self.told
            self.version = version
            self.others = taken - (max(given, known_given) - known_back)
            self.elsewhere = max(0, waiting - max(0, asked - given))
        self.grant(given)
        if self.wants:  # who is in haste looks elsewhere
            self.look()

    def heard(self, taken: int, waiting: int, version: int, given: int | None) -> None:
        """News of what others did; `given` where a place was put aside for this member."""
        if version > self.version and self.told:
            known_given, asked, known_back, *_ = self.told
            known = max(known_given, given or 0, self.given)
            self.version = version
            self.others = max(0, taken - (known - known_back))
            self.elsewhere = max(0, waiting - max(0, asked - known))
        if given is not None:
            self.grant(given)

    def grant(self, given: int) -> None:
        """So many places were given to this member in all."""
        fresh = given - self.given
        for _ in range(fresh):
            self._hold()
            self.aside += 1
        if fresh > 0:
            self.look()
            self.changed()

    def _hold(self) -> None:
        self.given += 1
        if self._own.take(MANY):
            self.covered += 1

    def lost(self) -> None:
        """The store has lost what it knew, and all say at once what they hold; of a key nobody holds, nothing is said."""
        self.version = -1
        if self.prompt:
            self.others = 0

    def forget(self) -> None:
        """The store may have lost what it knew."""
        self.version = -1
        self.others = self.elsewhere = 0


class Level:
    """Fulfils ports.Pair over all gateways of a fleet: this gateway's own pair, raised to what the others have used.

    What is spent is told the store as seconds that the level goes up. Away from it, each gateway counts what it spends as
    often as there are gateways, so that all together keep to the limit.
    """

    __slots__ = ("_company", "_own", "_tell", "name", "unsent")

    def __init__(self, name: str, own: Pair, company: Company, tell: Callable[[Level], None]) -> None:
        self.name = name
        self.unsent = [0.0, 0.0]  # seconds; -1: begin anew
        self._own = own
        self._company = company
        self._tell = tell

    def __getitem__(self, index: int, /) -> float:
        return self._own[index]

    def __setitem__(self, index: int, value: float, /) -> None:
        if value == 0.0:
            self._own[index] = 0.0
            self.unsent[index] = -1.0
            self._tell(self)
            return
        before = max(self._own[index], time.monotonic())
        more = max(0.0, value - before)
        if not self._company.together:
            self._own[index] = before + more * max(1, self._company.gateways)
            return
        self._own[index] = value
        self.unsent[index] = more + max(0.0, self.unsent[index])
        self._tell(self)

    def heard(self, ahead: tuple[float, float], now: float, *, anew: bool) -> None:
        """How far ahead of the store's clock both levels are; `now` is time.monotonic()."""
        for index in (0, 1):
            if anew and self.unsent[index] == 0.0:
                self._own[index] = 0.0
            elif not anew:
                self._own[index] = max(self._own[index], now + ahead[index] + max(0.0, self.unsent[index])) if ahead[index] > 0 else self._own[index]
