"""The manual clock stands still until it is moved."""

from __future__ import annotations

import pytest

from homeport.ports import Clock
from homeport.testing.clock import ManualClock


def test_moves_only_by_hand() -> None:
    clock: Clock = ManualClock()
    assert clock.monotonic() == clock.monotonic()
    assert isinstance(clock, ManualClock)
    before, wall = clock.monotonic(), clock.time()
    clock.advance(2.5)
    assert (clock.monotonic() - before, clock.time() - wall) == (2.5, 2.5)
    clock.set_time(5.0)
    assert (clock.monotonic() - before, clock.time()) == (2.5, 5.0)


def test_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="back"):
        ManualClock().advance(-1)
