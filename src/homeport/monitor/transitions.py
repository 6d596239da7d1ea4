"""Probes in, events out: one for each change that `rules/transition` finds, on disk before anything else knows of it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from homeport.rules import transition
from homeport.rules.transition import Watched
from homeport.vocabulary import Event, Finding

if TYPE_CHECKING:
    from homeport.monitor.outbox import Outbox


class Whereabouts(Protocol):
    """Where the requests for a backend's models go."""

    def goes(self, backend: str) -> str | None:
        """Now that it is down."""

    def went(self, backend: str, since: float, until: float) -> str | None:
        """While it was down; seconds since the epoch."""


class Transitions:
    """What is watched, with its state as its owner knows it.

    `targets` are the names of those who are to be told. `at` is in seconds of a clock that only goes forward, `now` in
    seconds since the epoch: durations come from the first, so a wall clock that is set has no say in them.
    """

    def __init__(self, outbox: Outbox, targets: Sequence[str], traffic: Whereabouts, *, down_after: int, up_after: int, at: float, now: float) -> None:
        self._outbox = outbox
        self._targets = targets
        self._traffic = traffic
        self._down_after = down_after
        self._up_after = up_after
        self._watched = {
            name: Watched(state=state, since=at - max(0.0, now - since), downs=(at - max(0.0, now - since),) if state == "down" else ())
            for name, (state, since) in outbox.states().items()
        }

    def saw(self, backend: str, finding: Finding, at: float, now: float) -> Event | None:
        """Take in one probe; the event it made, now on disk, or None. Raises HomeportError where it cannot be kept: then the next probe tries again."""
        watched = transition.noted(self._watched.get(backend, Watched()), finding, at)
        self._watched[backend] = watched
        state = transition.due(watched, down_after=self._down_after, up_after=self._up_after)
        if state is None:
            return None
        event = self._event(backend, watched, state, now - (at - watched.first))
        if watched.state == "unknown" and state == "up":
            self._outbox.settle(backend, state, event.since)
            recorded = False
        else:
            recorded = self._outbox.record(event, self._targets, now)
        self._watched[backend] = transition.told(watched)
        return event if recorded else None

    def _event(self, backend: str, watched: Watched, state: str, since: float) -> Event:
        id = f"evt-{secrets.token_hex(8)}"
        if state == "down":
            return Event(id, "down", backend, since, watched.reason or "it does not answer", None, self._traffic.goes(backend))
        if watched.state == "unknown":
            return Event(id, "up", backend, since, "", None, None)
        downtime = watched.first - watched.since
        times = "once" if watched.lapses == 1 else f"{watched.lapses} times"
        reason = "it answers again" + (f", after it had come and gone {times} more" if watched.lapses else "")
        return Event(id, "up", backend, since, reason, round(downtime, 3), self._traffic.went(backend, since - downtime, since))
