"""A clock that stands still until a test moves it."""

from __future__ import annotations


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
