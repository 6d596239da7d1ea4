"""A clock that stands still until a test moves it, and an event loop that moves it by itself."""

from __future__ import annotations

import asyncio
import math
import selectors
from typing import Any


class ManualClock:
    """A `homeport.ports.Clock` in a test's hand. Times are seconds; `time()` starts at 2026-11-20 12:00 UTC."""

    def __init__(self, monotonic: float = 1000.0, time: float = 1_795_176_000.0) -> None:
        self._monotonic = monotonic
        self._time = time

    def monotonic(self) -> float:
        """Seconds, for durations."""
        return self._monotonic

    def time(self) -> float:
        """Seconds since the epoch."""
        return self._time

    def advance(self, seconds: float) -> None:
        """Let time pass on both scales. Raises ValueError where `seconds` is negative."""
        if seconds < 0:
            raise ValueError(f"time does not go back: {seconds} s")
        self._monotonic += seconds
        self._time += seconds

    def set_time(self, seconds: float) -> None:
        """Set the wall clock alone, as an administrator or NTP does."""
        self._time = seconds


class ManualLoop(asyncio.SelectorEventLoop):
    """An event loop on a ManualClock: where everything waits for a timer, the clock moves on to it and nothing is waited for.

    `asyncio.Runner(loop_factory=lambda: ManualLoop(clock))` runs a year of sleeps in as long as its work takes. It is for what
    waits on timers and on itself: a socket that becomes ready in real time is looked for, but never waited for.
    """

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        super().__init__(_Hurried(clock))

    def time(self) -> float:
        """The clock's monotonic seconds."""
        return self.clock.monotonic()

    @property
    def _clock_resolution(self) -> float:
        """How much too early asyncio may call a timer: by nothing, or who then looks at the clock would wait again, for ever."""
        return math.ulp(self.clock.monotonic())

    @_clock_resolution.setter
    def _clock_resolution(self, seconds: float) -> None:
        """asyncio says what the machine's clock has."""


class _Hurried(selectors.DefaultSelector):
    """Moves the clock where a selector would wait. Raises RuntimeError where it would wait for ever."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everything waits, and no timer is set: on this loop nothing else can happen")
        if not ready and timeout:
            self._clock.advance(timeout)
        return ready
