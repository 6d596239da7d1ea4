"""A year of outages by a seed: what each backend is at any moment, and how long an answer of it would take."""

from __future__ import annotations

import random
from bisect import bisect_right
from typing import Literal

from msgspec import Struct

State = Literal[
    "up",
    "refused",  # nothing listens: the tunnel is gone, or the engine
    "dark",  # nothing answers: the power is gone, or a half-open tunnel
]
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


class Outage(Struct, frozen=True):
    """A time in which a backend cannot answer; seconds since the world began."""

    begin: float
    end: float
    state: State


class Backend:
    """The truth about one backend."""

    def __init__(self, outages: list[Outage], slow: list[tuple[float, float]], first_s: tuple[float, float], rest_s: tuple[float, float]) -> None:
        self.outages = merged(outages)
        self.slow = slow
        self.first_s, self.rest_s = first_s, rest_s  # least and most, to the first token and from there to the end
        self._begins = [outage.begin for outage in self.outages]
        self._slow_begins = [begin for begin, _ in slow]

    def outage(self, at: float) -> Outage | None:
        """The one that it is in."""
        index = bisect_right(self._begins, at) - 1
        return self.outages[index] if index >= 0 and at < self.outages[index].end else None

    def next_outage(self, at: float) -> Outage | None:
        """The first that begins later."""
        index = bisect_right(self._begins, at)
        return self.outages[index] if index < len(self.outages) else None

    def state(self, at: float) -> State:
        outage = self.outage(at)
        return outage.state if outage is not None else "up"

    def changes_at(self, at: float) -> float:
        """When it is next something else."""
        outage = self.outage(at)
        later = self.next_outage(at)
        return outage.end if outage is not None else later.begin if later is not None else float("inf")

    def takes(self, at: float, chance: tuple[float, float]) -> tuple[float, float]:
        """Seconds to the first token, and from there to the last, of an answer begun then."""
        index = bisect_right(self._slow_begins, at) - 1
        slow = index >= 0 and at < self.slow[index][1]
        first, rest = (least + part * (most - least) for part, (least, most) in zip(chance, (self.first_s, self.rest_s), strict=True))
        return (first * 6, rest * 3) if slow else (first, rest)

    def could(self, at: float, chance: tuple[float, float], patience_s: float) -> bool:
        """Whether an ask sent to it then would have been answered."""
        first, rest = self.takes(at, chance)
        later = self.next_outage(at)
        return self.outage(at) is None and first <= patience_s and (later is None or at + first + rest < later.begin)

    @property
    def down_s(self) -> float:
        """Seconds in outages."""
        return sum(outage.end - outage.begin for outage in self.outages)


def made(seed: int, seconds: float) -> dict[str, Backend]:
    """Home: up nine tenths of the time, behind a tunnel that drops several times a day. A VM: up 99.5 %. Both slow at times."""
    rng = random.Random(seed)
    power = spread(rng, seconds, 24 * HOUR, lambda: _power_cut(rng), "dark")
    tunnel = spread(rng, seconds, 6 * HOUR, lambda: _drop(rng), "refused") + spread(rng, seconds, 24 * HOUR, lambda: rng.uniform(5, 90), "dark")
    home = Backend(power + tunnel, _slow(rng, seconds), (0.2, 1.5), (2.0, 12.0))
    vm = Backend(spread(rng, seconds, 100 * HOUR, lambda: rng.uniform(2, 58) * MINUTE, None, rng), _slow(rng, seconds), (0.5, 3.0), (3.0, 18.0))
    return {"home": home, "vm": vm}


def spread(rng: random.Random, seconds: float, mean_gap_s: float, lasts: object, state: State | None, choose: random.Random | None = None) -> list[Outage]:
    """Outages with gaps of so many seconds on average; without a state, of either kind."""
    found: list[Outage] = []
    at = rng.expovariate(1 / mean_gap_s)
    while at < seconds:
        end = at + lasts()  # type: ignore[operator]
        found.append(Outage(at, end, state or (choose or rng).choice(("refused", "dark"))))
        at = end + rng.expovariate(1 / mean_gap_s)
    return found


def merged(outages: list[Outage]) -> list[Outage]:
    """In order, and those that overlap as one, of the kind that began first."""
    found: list[Outage] = []
    for outage in sorted(outages, key=lambda outage: outage.begin):
        if found and outage.begin <= found[-1].end:
            found[-1] = Outage(found[-1].begin, max(found[-1].end, outage.end), found[-1].state)
        else:
            found.append(outage)
    return found


def _power_cut(rng: random.Random) -> float:
    """Mostly an hour, at times a working day or a night."""
    kind = rng.random()
    return rng.uniform(5 * MINUTE, HOUR) if kind < 0.7 else rng.uniform(HOUR, 8 * HOUR) if kind < 0.9 else rng.uniform(8 * HOUR, DAY)


def _drop(rng: random.Random) -> float:
    """Mostly seconds, at times minutes."""
    return rng.uniform(2, 20) if rng.random() < 0.7 else rng.uniform(20, 300)


def _slow(rng: random.Random, seconds: float) -> list[tuple[float, float]]:
    return [(outage.begin, outage.end) for outage in spread(rng, seconds, 12 * HOUR, lambda: rng.uniform(5, 60) * MINUTE, "dark")]
