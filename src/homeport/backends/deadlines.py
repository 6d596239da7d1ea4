"""One sweep for every clock of every answer under way, instead of a timer each."""

from __future__ import annotations

import asyncio
from typing import Protocol

SWEEP_S = 0.1  # how exact the clocks are


class Timed(Protocol):
    """Something with a deadline."""

    deadline: float  # Deadlines.now beyond which it has expired

    def expire(self) -> None:
        """Its time is over."""


class Deadlines:
    """The set of what has a deadline; `now` is the loop's time at the last sweep, seconds."""

    __slots__ = ("_handle", "_loop", "_timed", "now")

    def __init__(self) -> None:
        self._timed: set[Timed] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: asyncio.TimerHandle | None = None
        self.now = 0.0

    def start(self) -> None:
        """Begin to sweep on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._sweep()

    def stop(self) -> None:
        """Sweep no more."""
        if self._handle is not None:
            self._handle.cancel()

    def add(self, timed: Timed) -> None:
        self._timed.add(timed)

    def discard(self, timed: Timed) -> None:
        self._timed.discard(timed)

    def __len__(self) -> int:
        return len(self._timed)

    def _sweep(self) -> None:
        assert self._loop is not None
        now = self.now = self._loop.time()
        for timed in [timed for timed in self._timed if timed.deadline < now]:
            timed.expire()
        self._handle = self._loop.call_later(SWEEP_S, self._sweep)
