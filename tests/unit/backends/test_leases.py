"""Places at one backend: what is told to those who share them, who gets the next one, and what a refusal says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from homeport.backends.leases import Lease, Leases, LeftOut, QueueFull


class Shared:
    """Places that others take and free as well (port Places)."""

    def __init__(self, in_use: int = 0, waiting: int = 0) -> None:
        self.in_use = in_use
        self.others = waiting
        self.mine = 0
        self.said: list[tuple[int, float, int]] = []
        self.limits: list[int] = []
        self.free: Callable[[], None] | None = None
        self.closed = False

    @property
    def waiting(self) -> int:
        return self.others + self.mine

    def take(self, limit: int) -> bool:
        self.limits.append(limit)
        if self.in_use >= limit:
            return False
        self.in_use += 1
        return True

    def give_back(self) -> None:
        self.in_use -= 1

    def want(self, waiting: int, since: float, limit: int) -> None:
        self.mine = waiting
        self.said.append((waiting, since, limit))

    def subscribe(self, free: Callable[[], None]) -> None:
        self.free = free

    def close(self) -> None:
        self.closed = True


async def idle(turns: int = 3) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


def timers() -> list[asyncio.TimerHandle]:
    return [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]


def on_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        asyncio.run(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def test_refusals_are_told_apart() -> None:
    assert (QueueFull("full").outcome, LeftOut("left out", retry_in_s=1.5).outcome) == ("full", "open")
    assert LeftOut("left out", retry_in_s=1.5).retry_in_s == 1.5
    assert str(LeftOut("left out", retry_in_s=1.5)) == "left out"


def test_a_lease_is_given_back_or_lingers_once() -> None:
    leases = Leases(2, 4, 10.0, Shared())
    first, second = leases.take(), leases.take()
    assert first is not None
    assert second is not None
    assert (leases.take(), leases.mine, leases.in_flight) == (None, 2, 2)
    before = time.monotonic()
    first.linger()
    first.linger()
    first.release()
    assert before <= leases.lingering[0] <= time.monotonic()
    assert (leases.zombies, leases.in_flight, leases.mine) == (1, 2, 2)
    leases.bury(5)
    second.release()
    second.linger()
    second.release()
    assert (leases.zombies, leases.in_flight, leases.mine) == (0, 0, 0)


def test_the_oldest_zombies_are_buried_first() -> None:
    leases = Leases(3, 0, 10.0, Shared())
    for _ in range(3):
        lease = leases.take()
        assert lease is not None
        lease.linger()
    oldest = sorted(leases.lingering)
    leases.bury(1)
    assert list(leases.lingering) == oldest[1:]


def test_places_that_others_share_are_counted_by_all() -> None:
    shared = Shared(in_use=1)
    leases = Leases(2, 4, 10.0, shared)
    assert shared.free == leases.serve
    lease = leases.take()
    assert lease is not None
    assert (leases.in_flight, leases.mine, leases.take()) == (2, 1, None)
    assert shared.limits == [2, 2]
    lease.release()
    assert (shared.in_use, leases.mine) == (1, 0)
    leases.close()
    assert shared.closed


@on_a_loop
async def test_those_who_share_hear_how_many_wait_and_since_when() -> None:
    shared = Shared(in_use=2)
    leases = Leases(2, 4, 10.0, shared)
    before = time.monotonic()
    first, second = asyncio.ensure_future(leases.wait("a")), asyncio.ensure_future(leases.wait("b"))
    await idle()
    (one, since, limit), (two, still, _) = shared.said
    assert (one, two, limit, still) == (1, 2, 2, since)
    assert before <= since <= time.monotonic()
    assert leases.queued == 2
    leases.limit_to(2)
    assert len(shared.said) == 2, "nothing changed"
    leases.limit_to(1)
    assert shared.said[2] == (2, since, 1)
    first.cancel()
    await idle()
    assert shared.said[3][0] == 1
    assert shared.said[3][1] >= since
    assert timers() != []
    shared.in_use = 0
    assert shared.free is not None
    shared.free()  # somebody else gave one back
    lease = await second
    assert shared.said[4] == (0, 0.0, 1)
    assert (leases.queued, leases.mine, timers()) == (0, 1, [])
    lease.release()


@on_a_loop
async def test_a_limit_that_nobody_waits_for_is_not_told() -> None:
    shared = Shared()
    leases = Leases(4, 4, 10.0, shared)
    leases.limit_to(1)
    assert shared.said == []
    assert leases.take() is not None
    assert leases.take() is None
    assert shared.limits == [1, 1]
    assert (leases.open, leases.limit) == (1, 4)


@on_a_loop
async def test_more_places_are_given_out_at_once() -> None:
    leases = Leases(4, 4, 10.0, Shared())
    leases.limit_to(1)
    assert leases.take() is not None
    waiting = [asyncio.ensure_future(leases.wait(key)) for key in "ab"]
    await idle()
    leases.limit_to(2)
    await idle()
    assert [task.done() for task in waiting] == [True, False]
    leases.limit_to(4)
    await idle()
    assert [task.done() for task in waiting] == [True, True]
    assert (leases.in_flight, leases.mine) == (3, 3)


@on_a_loop
async def test_nobody_is_passed_while_others_wait() -> None:
    """A place that is free for a moment is theirs who wait, not who comes now."""
    shared = Shared(in_use=1)
    leases = Leases(1, 4, 10.0, shared)
    waiting = asyncio.ensure_future(leases.wait("a"))
    await idle()
    shared.in_use = 0
    assert leases.take() is None
    assert shared.in_use == 0
    leases.serve()
    (await waiting).release()


@on_a_loop
async def test_a_queue_that_others_fill_is_full_too() -> None:
    leases = Leases(1, 2, 10.0, Shared(in_use=1, waiting=2))
    with pytest.raises(QueueFull, match=r"^all 1 places are taken and its queue of 2 is full, the oldest waiting for -?0\.0 s$"):
        await leases.wait("a")
    assert (leases.queued, timers()) == (0, [])


@on_a_loop
async def test_a_queue_of_none_takes_nobody() -> None:
    leases = Leases(1, 0, 10.0, Shared())
    with pytest.raises(QueueFull, match="queue of 0"):
        await leases.wait("a")


@on_a_loop
async def test_a_key_makes_room_for_one_that_has_two_fewer() -> None:
    shared = Shared()
    leases = Leases(1, 3, 10.0, shared)
    assert leases.take() is not None
    greedy = [asyncio.ensure_future(leases.wait("greedy")) for _ in range(2)]
    modest = asyncio.ensure_future(leases.wait("modest"))
    await idle()
    with pytest.raises(QueueFull, match="all 1 places"):  # it would have as many as the other
        await leases.wait("modest")
    third = asyncio.ensure_future(leases.wait("third"))
    await idle()
    assert [task.done() for task in (*greedy, modest, third)] == [False, True, False, False]
    assert leases.queued == 3
    with pytest.raises(QueueFull, match=r"its queue of 3 is full, and this key has the most in it"):
        await greedy[1]
    leases.dismiss(lambda: LeftOut("off", retry_in_s=1.0))
    done = await asyncio.gather(greedy[0], modest, third, return_exceptions=True)
    assert [type(error) for error in done] == [LeftOut] * 3
    assert done[0] is not done[1]
    assert timers() == []
    assert max(waiting for waiting, *_ in shared.said) == 3, "room is made before it is taken"


@on_a_loop
async def test_a_wait_that_was_too_long_leaves_the_queue_to_the_others() -> None:
    shared = Shared(in_use=2, waiting=3)
    leases = Leases(2, 9, 0.01, shared)
    leases.limit_to(1)
    with pytest.raises(QueueFull, match=r"^no place within 0\.01 s; all 1 are taken and 3 wait$"):
        await leases.wait("a")
    assert (leases.queued, shared.said[-1]) == (0, (0, 0.0, 1))


@on_a_loop
async def test_a_place_for_one_who_left_at_that_moment_goes_to_the_next() -> None:
    leases = Leases(1, 4, 10.0, Shared())
    held = leases.take()
    assert held is not None
    first, second = asyncio.ensure_future(leases.wait("a")), asyncio.ensure_future(leases.wait("b"))
    await idle()
    held.release()  # the first has it now, and does not know yet
    first.cancel()
    lease: Lease = await second
    assert (leases.in_flight, leases.mine, first.cancelled()) == (1, 1, True)
    lease.release()
    assert (leases.in_flight, leases.mine) == (0, 0)


@on_a_loop
async def test_a_turn_that_is_over_already_takes_no_place() -> None:
    leases = Leases(1, 4, 10.0, Shared())
    held = leases.take()
    assert held is not None
    task = asyncio.ensure_future(leases.wait("a"))
    await idle()
    turn = next(iter(leases._since))
    turn.cancel()  # its waiter will hear of it in the loop's next turn
    held.release()
    assert (leases.in_flight, leases.mine, leases.queued) == (0, 0, 0)
    await idle()
    assert task.cancelled()


@on_a_loop
async def test_who_leaves_as_he_is_sent_away_has_left() -> None:
    leases = Leases(1, 4, 10.0, Shared())
    assert leases.take() is not None
    task = asyncio.ensure_future(leases.wait("a"))
    await idle()
    leases.dismiss(lambda: LeftOut("off", retry_in_s=1.0))
    task.cancel()
    await idle()
    assert task.cancelled()
    assert (leases.in_flight, leases.queued) == (1, 0)
