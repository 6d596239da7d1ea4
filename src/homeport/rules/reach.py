"""How a tunnel stands, from when something last came through it: *up* is only what a probe went through from end to end."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

State = Literal["up", "connecting", "refused", "down"]
STATES: tuple[State, ...] = ("up", "connecting", "refused", "down")
ANSWER_S = 2.0  # so long the node may take for the first answer before that is worth a word
LONGEST_SILENCE_S = 600.0  # where nobody asks at all, a connection is not given up more often than that


class Seen(Struct, frozen=True):
    """What was seen of one connection. Seconds of a clock that only goes forward; -inf: never."""

    connected_at: float  # the child said that it stands
    arrived_at: float = float("-inf")  # something came in through it
    proved_at: float = float("-inf")  # … and was answered by the node
    fault: str = ""  # why the node did not
    waiting: bool = False  # somebody was not answered yet


class Verdict(Struct, frozen=True):
    """What follows. `why` is for people, "" where it is up; `again`: give this connection up and make another."""

    state: State
    why: str = ""
    again: bool = False


def judge(seen: Seen, now: float, *, limit_s: float, silent: int, asks: str) -> Verdict:
    """What to make of a connection that its child says stands. `limit_s`: how long a proof holds, and how long a silence may last.

    `silent`: connections before this one that were given up for silence, without a word in between: each doubles the patience, for it may be
    that nobody asks. `asks`: who should, for people.
    """
    if now - seen.proved_at <= limit_s and seen.proved_at >= seen.connected_at:
        return Verdict("up")
    heard = max(seen.arrived_at, seen.connected_at, seen.proved_at)
    if seen.arrived_at >= seen.connected_at and now - heard <= limit_s:
        late = now - seen.connected_at > ANSWER_S
        return Verdict("connecting", seen.fault or ("what comes through the tunnel is not answered here by HTTP" if late else "connected"))
    quiet = now - heard
    again = quiet > patience_s(limit_s, silent)
    if again and seen.waiting and quiet <= LONGEST_SILENCE_S:  # another connection would cut it
        return Verdict("connecting", f"an answer is under way, and nothing else comes through: {asks}")
    if seen.arrived_at < seen.connected_at:
        return Verdict("connecting", f"connected, but nothing has come through yet: {asks}", again)
    return Verdict("connecting", f"nothing has come through for {quiet:.0f} s: {asks}", again)


def patience_s(limit_s: float, silent: int) -> float:
    """How long a silence may last before the connection is given up."""
    return max(limit_s, min(limit_s * 2.0 ** min(silent, 20), LONGEST_SILENCE_S))
