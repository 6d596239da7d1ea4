"""When a way to a backend is left out after failures, and how it comes back: a circuit breaker as pure functions.

A Circuit guards one model at one backend, and one more the backend as a whole. It opens

- at once where nothing can be there: no connection, or a silence in which nothing else came from that backend either;
- at once where it has only just come back;
- else after `FAILURES` failed asks in a row, so that a caller whose request an engine cannot take closes nobody out.

It stays open for a moment that doubles with each further failure, with equal jitter. Then one ask may try it; or a free
probe finds it well, where it was a probe's business (it could not be reached, or did not even answer probes). One that was
away for long begins with a single place, and each answer doubles them (slow start).

A caller who leaves says nothing of the backend. Times are seconds of a clock that only goes forward.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

FAILURES = 5  # asks in a row
FIRST_S = {"unreachable": 0.25}  # how long it is open at first, by kind of failure
OTHER_FIRST_S = 1.0
LONGEST_S = 30.0
WEIGHT = 0.2  # of the last ask in the share of errors
SLOW_AFTER_S = 5.0  # away for so long: slow start
UNSTEADY = 0.5  # share of errors at which others are asked first
REST_S = 60.0  # after so long a single silence is let go
HALF_S = 10.0  # how fast old errors lose weight
HEARSAY = 0.1  # share of errors that another gateway's word is worth
FORGOTTEN = 0.02  # share of errors that no longer counts


class Failure(Struct, frozen=True, gc=False):
    """One failed ask, as the rule sees it."""

    kind: str  # unreachable | stalled | refused | broke
    reason: str
    frozen: bool = False  # stalled: nothing else came from that backend meanwhile


class Circuit(Struct, frozen=True, gc=False):
    """What is known of one way to a backend, from what came of its asks and probes."""

    open: bool = False
    kind: str = ""  # of the failure that opened it
    reason: str = ""
    since: float = 0.0  # when it opened; once closed, when it came back
    retry_at: float = 0.0  # open: when an ask may try it
    openings: int = 0  # in a row, without an answer in between
    dark: bool = False  # open: probes fail as well
    failures: int = 0  # asks in a row
    errors: float = 0.0  # share of failed asks, 0 to 1, as it was at `at`
    at: float = 0.0
    wins: int = -1  # answers since it came back from a long absence; -1: it was not away


CLOSED = Circuit()


def failed(circuit: Circuit, failure: Failure, now: float, chance: float, *, tried: bool = False) -> Circuit:
    """After an ask that failed; `tried`: it was the one that tried an open circuit. `chance` (0 to 1) spreads when it is tried again.

    Where many are under way as it opens, the others say nothing new: only a failed try makes the wait longer.
    """
    failures = circuit.failures + 1
    share = errors(circuit, now)
    circuit = msgspec.structs.replace(circuit, failures=failures, errors=share + (1.0 - share) * WEIGHT, at=now)
    if circuit.open and not tried:
        return circuit
    if circuit.open or failure.kind == "unreachable" or failure.frozen or circuit.wins >= 0 or failures >= FAILURES:
        return _opened(circuit, failure, now, chance)
    return msgspec.structs.replace(circuit, kind=failure.kind, reason=failure.reason)


def succeeded(circuit: Circuit, now: float) -> Circuit:
    """After an ask that was answered."""
    if circuit is CLOSED:
        return circuit
    share = errors(circuit, now) * (1.0 - WEIGHT)
    wins = circuit.wins
    if circuit.open:
        wins = 1 if now - circuit.since >= SLOW_AFTER_S else -1
    elif wins >= 0:
        wins += 1
    if share < FORGOTTEN and wins < 0:
        return CLOSED
    return Circuit(kind=circuit.kind, reason=circuit.reason, since=now if circuit.open else circuit.since, errors=share, at=now, wins=wins)


def probed(circuit: Circuit, *, good: bool, reason: str, now: float, chance: float) -> Circuit:
    """After a free probe. A good one closes what could not be reached; whether a model answers only an ask can show."""
    if not good:
        return msgspec.structs.replace(_opened(circuit, Failure("unreachable", reason), now, chance), dark=True)
    return back(circuit, now) if circuit.open and (circuit.dark or circuit.kind == "unreachable") else circuit


def back(circuit: Circuit, now: float) -> Circuit:
    """After it was seen to be well again, though not by an ask."""
    if not circuit.open:
        return circuit
    wins = 0 if now - circuit.since >= SLOW_AFTER_S else -1
    return msgspec.structs.replace(circuit, open=False, dark=False, since=now, retry_at=0.0, failures=0, wins=wins)


def errors(circuit: Circuit, now: float) -> float:
    """The share of asks that failed lately, 0 to 1: it halves every HALF_S seconds, so that one that is not asked is given another chance."""
    return circuit.errors * 0.5 ** ((now - circuit.at) / HALF_S) if circuit.errors else 0.0


def rested(circuit: Circuit, limit: int, now: float) -> Circuit:
    """The same after a good probe, as new where nothing of it matters any more.

    Where others are asked first, nobody would find out that it is well again: so after REST_S in which no ask tried it, a slow start is over, and so is
    what opened it, but for a silence that a second ask confirmed.
    """
    circuit = settled(circuit, limit)
    if circuit.open and now >= max(circuit.since, circuit.retry_at) + REST_S and not (circuit.kind == "stalled" and confirmed(circuit)):
        circuit = back(circuit, now)
    if circuit.wins >= 0 and not circuit.open and now - circuit.since >= REST_S:
        circuit = msgspec.structs.replace(circuit, wins=-1)
    return CLOSED if not circuit.open and circuit.wins < 0 and errors(circuit, now) < FORGOTTEN else circuit


def hinted(circuit: Circuit, now: float) -> Circuit:
    """After another gateway has ceased to ask it: nothing is closed out on hearsay, but one failure here is now enough.

    A trace of errors keeps that in mind for a while, though probes are good: about 25 s.
    """
    return circuit if circuit.open else msgspec.structs.replace(circuit, failures=FAILURES - 1, errors=max(errors(circuit, now), HEARSAY), at=now)


def confirmed(circuit: Circuit) -> bool:
    """Whether it is open for more than a single silence, which a long prompt may be."""
    return circuit.open and (circuit.kind != "stalled" or circuit.openings > 1 or circuit.dark)


def admits(circuit: Circuit, now: float) -> bool:
    """Whether an ask may go this way; of an open one, a single ask at a time."""
    return not circuit.open or now >= circuit.retry_at


def places(circuit: Circuit, limit: int) -> int:
    """How many asks may be under way at once."""
    if circuit.open:
        return 1
    return limit if circuit.wins < 0 else min(limit, 1 << min(circuit.wins, 20))


def settled(circuit: Circuit, limit: int) -> Circuit:
    """The same, without a slow start that has reached every place."""
    if circuit.wins >= 0 and places(circuit, limit) >= limit:
        return msgspec.structs.replace(circuit, wins=-1)
    return circuit


def _opened(circuit: Circuit, failure: Failure, now: float, chance: float) -> Circuit:
    longest = min(FIRST_S.get(failure.kind, OTHER_FIRST_S) * 2.0 ** min(circuit.openings, 20), LONGEST_S)
    return msgspec.structs.replace(
        circuit,
        open=True,
        kind=failure.kind,
        reason=failure.reason,
        since=circuit.since if circuit.open else now,
        retry_at=now + longest / 2 + chance * longest / 2,
        openings=circuit.openings + 1,
        wins=-1,
    )
