"""The manual clock stands still until it is moved; its loop moves it."""

from __future__ import annotations

import asyncio
import time

import pytest

from homeport.ports import Clock
from homeport.testing.clock import ManualClock, ManualLoop


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


def test_on_its_loop_waiting_takes_no_time() -> None:
    clock, seen = ManualClock(), list[tuple[str, float]]()

    async def wait(name: str, seconds: float) -> None:
        for _ in range(3):
            await asyncio.sleep(seconds)
            seen.append((name, round(clock.monotonic() - 1000.0, 6)))

    async def go() -> None:
        await asyncio.gather(wait("day", 86400.0), wait("hour", 3600.0))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 10.0)

    begun = time.perf_counter()
    with asyncio.Runner(loop_factory=lambda: ManualLoop(clock)) as runner:
        runner.run(go())
    assert time.perf_counter() - begun < 5.0
    assert seen == [("hour", 3600.0), ("hour", 7200.0), ("hour", 10800.0), ("day", 86400.0), ("day", 172800.0), ("day", 259200.0)]
    assert clock.monotonic() == pytest.approx(1000.0 + 259210.0)
    assert clock.time() == pytest.approx(ManualClock().time() + 259210.0)


def test_a_wait_for_nothing_is_said() -> None:
    with asyncio.Runner(loop_factory=lambda: ManualLoop(ManualClock())) as runner:
        with pytest.raises(RuntimeError, match="no timer is set"):
            runner.get_loop().run_until_complete(asyncio.Event().wait())
        for task in asyncio.all_tasks(runner.get_loop()):
            task.cancel()


@pytest.mark.parametrize("monotonic", [1.0, 1000.0, 5e6, 3e7])
def test_no_timer_is_early_however_late_it_is(monotonic: float) -> None:
    """asyncio's own clocks may be early by their resolution; here whoever waits until a moment finds it come."""
    clock = ManualClock(monotonic=monotonic)

    async def go() -> int:
        wakings = 0
        for moment in (monotonic + 0.1 * step for step in range(1, 50)):
            while clock.monotonic() < moment:
                await asyncio.sleep(moment - clock.monotonic())
                wakings += 1
        return wakings

    with asyncio.Runner(loop_factory=lambda: ManualLoop(clock)) as runner:
        assert runner.run(go()) <= 2 * 49
