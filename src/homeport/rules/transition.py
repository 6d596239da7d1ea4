"""When a backend counts as down and as up again, given its probes one after another.

One failed probe is no outage, and one good one no recovery: `down_after` failed ones in a row make it *down*, `up_after`
good ones *up*. For one that comes and goes, more good ones are asked: after the third outage within three hours the number
doubles with each further one. So a backend that flaps all night is told a few times, and then once more when it has
stayed up.

Times are seconds of a clock that only goes forward.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from homeport.vocabulary import Finding

WINDOW_S = 3 * 3600.0
FREE = 3  # outages within the window whose ends are told as quickly as the first's
DOUBLINGS = 5  # at most


class Watched(Struct, frozen=True, gc=False):
    """What is known of one backend after its probes so far."""

    state: str = "unknown"  # unknown | up | down: what its owner was told
    since: float = 0.0
    towards: str = ""  # up | down: what the last probes say, where that is something else
    streak: int = 0  # so many of them in a row
    first: float = 0.0  # when the first of these was
    reason: str = ""  # of the last of these
    lapses: int = 0  # while down: how often it came back and went again, untold
    downs: tuple[float, ...] = ()  # when it went down lately, told or not


def noted(watched: Watched, finding: Finding, at: float) -> Watched:
    """After one more probe. One that found neither good nor bad changes nothing."""
    if finding.good is None:
        return watched
    says = "up" if finding.good else "down"
    if says == watched.state:
        if not watched.streak:
            return watched
        if says == "up":
            return msgspec.structs.replace(watched, towards="", streak=0)
        return msgspec.structs.replace(watched, towards="", streak=0, lapses=watched.lapses + 1, downs=_lately(watched.downs, at))
    if says == watched.towards:
        return msgspec.structs.replace(watched, streak=watched.streak + 1, reason=finding.reason)
    return msgspec.structs.replace(watched, towards=says, streak=1, first=at, reason=finding.reason)


def due(watched: Watched, *, down_after: int, up_after: int) -> str | None:
    """The state it is now to be told to be in, `up` or `down`, or None while there is nothing to tell."""
    if not watched.towards:
        return None
    if watched.towards == "down":
        wanted = down_after
    else:
        wanted = 1 if watched.state == "unknown" else patience(watched, up_after)
    return watched.towards if watched.streak >= wanted else None


def patience(watched: Watched, up_after: int) -> int:
    """How many good probes in a row make it up again."""
    recent = sum(watched.first - down < WINDOW_S for down in watched.downs)
    return up_after << min(max(recent - FREE, 0), DOUBLINGS)


def told(watched: Watched) -> Watched:
    """After its owner was told what is due: in the new state, since the first probe that showed it."""
    downs = watched.downs
    if watched.towards == "down":
        downs = _lately(downs, watched.first)
    return Watched(state=watched.towards, since=watched.first, downs=downs)


def _lately(downs: tuple[float, ...], at: float) -> tuple[float, ...]:
    """One more, and as many as count."""
    return (*downs, at)[-(FREE + DOUBLINGS) :]
