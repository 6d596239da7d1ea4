"""Heartbeats: what a backend's free probes found by day (in UTC, counted since the epoch), and how that is said."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from msgspec import Struct

KEPT_DAYS = 90
DAY_S = 86400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Beats(Struct):
    """The probes of one backend on one day: good ones, failed ones, and those that were neither (it loaded, or was too busy to answer)."""

    good: int = 0
    bad: int = 0
    neither: int = 0

    def add(self, good: bool | None) -> None:
        """Count one probe; None: neither."""
        if good is None:
            self.neither += 1
        elif good:
            self.good += 1
        else:
            self.bad += 1

    def merge(self, other: Beats) -> None:
        """Add what another one counted."""
        self.good += other.good
        self.bad += other.bad
        self.neither += other.neither

    @property
    def share(self) -> float | None:
        """How many of those that say something were good, 0 to 1; None where none says anything."""
        told = self.good + self.bad
        return self.good / told if told else None


NONE = Beats()


def day(at: float) -> int:
    """The day of a moment, seconds since the epoch."""
    return int(at // DAY_S)


def date(number: int) -> str:
    """`2026-11-21`."""
    return (_EPOCH + timedelta(days=number)).date().isoformat()


def calendar(beats: Mapping[int, Beats], today: int, days: int = KEPT_DAYS) -> list[tuple[int, Beats]]:
    """Every day from so many days ago to today, oldest first, with what was found on it."""
    return [(number, beats.get(number, NONE)) for number in range(today - days + 1, today + 1)]


def total(beats: Mapping[int, Beats]) -> Beats:
    """All days in one."""
    found = Beats()
    for one in beats.values():
        found.merge(one)
    return found


def percent(share: float) -> str:
    """`100 %`, `99.98 %`, `0 %`: never rounded up to all, nor down to nothing."""
    if share in (0.0, 1.0):
        return f"{share:.0%}".replace("%", " %")
    return f"{min(max(share * 100, 0.01), 99.99):.4g} %"
