"""Leases under any order of takers, waiters, leavers and time: never more places than allowed, none lost, keys in turn."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from homeport.backends.leases import Lease, Leases, LeftOut, QueueFull
from homeport.fleet.alone import Alone

KEYS = st.sampled_from(["anna", "ben", None])


class Waiter:
    """One ask in the queue, driven by hand: no loop turns but those of the machine."""

    def __init__(self, key: str | None, task: asyncio.Task[Lease]) -> None:
        self.key = key
        self.task = task


class Machine(RuleBasedStateMachine):
    """The model: who holds a place, who lingers, who waits by key in which order."""

    @initialize(limit=st.integers(1, 4), queue=st.integers(0, 6))
    def begin(self, limit: int, queue: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.leases = Leases(limit, queue, 1000.0, Alone().at(""))
        self.held: list[Lease] = []
        self.lingering = 0
        self.waiting: list[Waiter] = []
        self.turns: list[str | None] = []  # keys in the order in which they are next

    def run(self, turns: int = 4) -> None:
        async def idle() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)

        self.loop.run_until_complete(idle())
        for waiter in [waiter for waiter in self.waiting if waiter.task.done()]:
            self.waiting.remove(waiter)
            if not waiter.task.cancelled() and waiter.task.exception() is None:
                self.held.append(waiter.task.result())

    @rule()
    def take(self) -> None:
        lease = self.leases.take()
        room = len(self.held) + self.lingering < self.leases.open and not self.waiting
        assert (lease is not None) == room
        if lease is not None:
            self.held.append(lease)

    @rule(key=KEYS)
    def wait(self, key: str | None) -> None:
        before = len(self.waiting)
        room = len(self.held) + self.lingering < self.leases.open
        mine = sum(waiter.key == key for waiter in self.waiting)
        most = max((sum(waiter.key == other for waiter in self.waiting) for other in {waiter.key for waiter in self.waiting}), default=0)
        waiter = Waiter(key, self.loop.create_task(self.leases.wait(key)))
        self.waiting.append(waiter)
        held = len(self.held)
        self.run()
        if before < self.leases.queue:
            assert waiter in self.waiting or (room and len(self.held) == held + 1)
        elif most > mine + 1:  # the greediest key made room
            assert waiter in self.waiting
            assert len(self.waiting) == before
        else:
            assert isinstance(waiter.task.exception(), QueueFull)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        lease = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        lease.release()
        lease.release()  # a second time does nothing
        lease.linger()
        self.run()

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def linger(self, data: st.DataObject) -> None:
        self.held.pop(data.draw(st.integers(0, len(self.held) - 1))).linger()
        self.lingering += 1
        self.run()

    @rule(many=st.integers(0, 3))
    def bury(self, many: int) -> None:
        self.lingering -= min(many, self.lingering)
        self.leases.bury(many)
        self.run()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        waiter = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        waiter.task.cancel()
        self.run()
        assert waiter.task.cancelled()

    @precondition(lambda self: self.waiting and self.held)
    @rule()
    def leave_as_a_place_comes(self) -> None:
        """The turn is given, and its owner leaves before it heard of it: the next has it."""
        held = self.held.pop()
        waiter = self.waiting[0]
        waiter.task.cancel()
        held.release()
        self.run()

    @rule(places=st.integers(1, 4))
    def limit_to(self, places: int) -> None:
        self.leases.limit_to(min(places, self.leases.limit))
        self.run()

    @rule()
    def dismiss(self) -> None:
        waiting = list(self.waiting)
        self.leases.dismiss(lambda: LeftOut("left out", retry_in_s=1.0))
        self.run()
        assert all(isinstance(waiter.task.exception(), LeftOut) for waiter in waiting)
        assert self.leases.queued == 0

    @invariant()
    def counts_agree(self) -> None:
        if not hasattr(self, "leases"):
            return
        assert self.leases.in_flight == self.leases.mine == len(self.held) + self.lingering
        assert self.leases.zombies == self.lingering
        assert self.leases.queued == len(self.waiting) <= max(self.leases.queue, 0)
        assert self.leases.in_flight <= self.leases.limit
        if self.waiting:
            assert self.leases.in_flight >= self.leases.open  # nobody waits while there is room

    def teardown(self) -> None:
        if not hasattr(self, "leases"):
            return
        for waiter in self.waiting:
            waiter.task.cancel()
        self.run()
        for lease in self.held:
            lease.release()
        self.leases.bury(self.lingering)
        assert (self.leases.in_flight, self.leases.queued, self.leases.zombies) == (0, 0, 0)
        self.loop.close()


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_keys_take_turns() -> None:
    async def go() -> list[str | None]:
        leases = Leases(1, 16, 10.0, Alone().at(""))
        held = leases.take()
        order: list[str | None] = []

        async def one(key: str | None) -> None:
            lease = await leases.wait(key)
            order.append(key)
            await asyncio.sleep(0)
            lease.release()

        tasks = [asyncio.ensure_future(one(key)) for key in ["greedy"] * 4 + ["modest", "modest", None]]
        await asyncio.sleep(0)
        assert leases.queued == 7
        assert held is not None
        held.release()
        await asyncio.gather(*tasks)
        return order

    assert asyncio.run(go()) == ["greedy", "modest", None, "greedy", "modest", "greedy", "greedy"]


def test_a_wait_has_an_end_and_says_how_it_stood() -> None:
    async def go() -> Any:
        leases = Leases(1, 2, 0.05, Alone().at(""))
        leases.take()
        first, second = asyncio.ensure_future(leases.wait("a")), asyncio.ensure_future(leases.wait("b"))
        await asyncio.sleep(0)
        with pytest.raises(QueueFull, match=r"all 1 places are taken and its queue of 2 is full, the oldest waiting for 0\.\d s"):
            await leases.wait("c")
        done = await asyncio.gather(first, second, return_exceptions=True)
        assert [str(error) for error in done] == ["no place within 0.05 s; all 1 are taken and 1 wait", "no place within 0.05 s; all 1 are taken and 0 wait"]
        assert leases.queued == 0

    asyncio.run(go())


def test_the_greediest_key_makes_room() -> None:
    async def go() -> None:
        leases = Leases(1, 3, 10.0, Alone().at(""))
        held = leases.take()
        greedy = [asyncio.ensure_future(leases.wait("greedy")) for _ in range(3)]
        await asyncio.sleep(0)
        modest = asyncio.ensure_future(leases.wait("modest"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [task.done() for task in greedy] == [False, False, True]  # its newest
        assert "this key has the most in it" in str(greedy[2].exception())
        assert held is not None
        held.release()
        (await greedy[0]).release()
        (await modest).release()
        (await greedy[1]).release()
        assert leases.in_flight == 0

    asyncio.run(go())
