"""How long to wait before something that failed is tried again, and when to stop trying."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from homeport.pull.failure import Again, CannotPull

T = TypeVar("T")


class Pace(NamedTuple):
    """Times in seconds; `tries` in a row that brought nothing."""

    first_s: float = 1.0
    longest_s: float = 30.0
    tries: int = 6
    most_s: float = 600.0  # a server that asks to wait longer is not waited for


def patiently(work: Callable[[], T], say: Callable[[str], None], pace: Pace) -> T:
    """What `work` gives, tried again where it raises Again. Raises CannotPull in the end."""
    failed = 0
    while True:
        try:
            return work()
        except Again as error:
            failed += 1
            pause(error, failed, pace, say, "Nothing was kept; try again later")


def pause(error: Again, failed: int, pace: Pace, say: Callable[[str], None], left: str) -> None:
    """Wait after `failed` attempts in a row, as long as the server asked. Raises CannotPull, saying what is `left`, where there should be no other."""
    if failed >= pace.tries:
        raise CannotPull(f"{error}, {failed} times in a row. {left}")
    wait_s = min(pace.first_s * 2 ** (failed - 1), pace.longest_s)
    if error.after_s is not None:
        if error.after_s > pace.most_s:
            raise CannotPull(f"{error} and asks to come back in {error.after_s / 60:.0f} minutes. {left}")
        wait_s = max(wait_s if failed > 1 else 0.0, error.after_s)
    say(f"{error}; trying again in {wait_s:.0f} s")
    time.sleep(wait_s)
