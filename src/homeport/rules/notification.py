"""When a notification goes out: not within quiet hours, and after a failure not at once."""

from __future__ import annotations

from homeport.rules import backoff

FIRST_S, LONGEST_S = 1.0, 300.0


def quiet(minute: int, window: tuple[int, int] | None) -> bool:
    """Whether a minute of the day (0 to 1439) lies in the window from its first minute to before its last; it may span midnight."""
    if window is None:
        return False
    begin, end = window
    return begin <= minute < end if begin <= end else minute >= begin or minute < end


def wait_s(failures: int, chance: float) -> float:
    """How long to wait after so many failures in a row, seconds: doubling, with equal jitter by `chance` (0 to 1)."""
    return backoff.wait_s(failures, chance, first_s=FIRST_S, longest_s=LONGEST_S)
