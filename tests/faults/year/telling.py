"""What an owner was told of a year, held against what happened."""

from __future__ import annotations

from msgspec import Struct

from homeport.vocabulary import Event
from tests.faults.year.gateway import INTERVAL_S
from tests.faults.year.world import Backend, Outage

PROBE_S = 5.0  # what a probe, and the look-out for the next, may take
LONG_S = 3 * INTERVAL_S  # no outage that lasts so long goes by unseen: two probes in a row fall into it


class Told(Struct):
    """One outage as the owner heard of it; seconds since the world began."""

    since: float
    until: float | None
    reason: str


class Sum(Struct):
    """How the two compare."""

    outages: int = 0  # long enough that each must be told
    downs: int = 0
    ups: int = 0
    missed: int = 0  # long ones that were not told
    twice: int = 0  # outages told more than once
    false: int = 0  # told without an outage, and without an ask that failed
    stalls: int = 0  # told because its asks stalled, though it was there
    disorder: int = 0  # a down after a down, an up after an up, or an up while it was away
    latest_s: float = 0.0  # the longest that an owner waited for the word


def compared(truth: Backend, events: list[tuple[float, Event]], offset: float) -> Sum:
    """One backend's year. `offset`: the epoch's seconds at the world's beginning."""
    found = Sum(outages=sum(outage.end - outage.begin >= LONG_S for outage in truth.outages))
    told: list[Told] = []
    for at, event in events:
        since = event.since - offset
        if event.kind == "down":
            found.downs += 1
            found.disorder += bool(told) and told[-1].until is None
            told.append(Told(since, None, event.reason))
            found.latest_s = max(found.latest_s, at - _begin(truth, since, at))
        else:
            found.ups += 1
            found.disorder += not told or told[-1].until is not None or _away(truth, since)
            if told:
                told[-1].until = since
    times = {outage: sum(_meet(outage, one) for one in told) for outage in truth.outages}
    found.missed = sum(outage.end - outage.begin >= LONG_S and not count for outage, count in times.items())
    found.twice = sum(count > 1 for count in times.values())
    for one in told:
        if not any(outage.begin <= one.since <= outage.end + PROBE_S for outage in truth.outages):
            stalled = "no token" in one.reason
            found.stalls += stalled
            found.false += not stalled
    return found


def _begin(truth: Backend, since: float, otherwise: float) -> float:
    return next((outage.begin for outage in truth.outages if outage.begin <= since <= outage.end + PROBE_S), otherwise)


def _away(truth: Backend, at: float) -> bool:
    """Whether it was, and not only about to come back in this very moment."""
    outage = truth.outage(at)
    return outage is not None and outage.begin + 0.01 < at < outage.end - 0.01


def _meet(outage: Outage, told: Told) -> bool:
    return told.since < outage.end + PROBE_S and (told.until is None or told.until > outage.begin)
