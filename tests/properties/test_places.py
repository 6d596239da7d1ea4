"""Shared places: never more than the limit, none lost with a dead worker, nobody overtaken, nobody forgotten."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from homeport.fleet.places import Table, create

SEATS = 3
LIMIT = 2


class Worker:
    """Takes places as `backends.leases` does: own waiters in a row, served when a place was put aside for them."""

    def __init__(self, fd: int, seat: int, ring: Callable[[int], None], later: list[Callable[[], None]]) -> None:
        self.seat = seat
        self.table = Table(fd, seat, ring=ring, later=lambda _, again: later.append(again))
        self.places = self.table.at("home")
        self.places.subscribe(self.serve)
        self.held = 0
        self.row: deque[float] = deque()
        self.served: list[float] = []

    def ask(self, at: float) -> None:
        if not self.row and self.places.take(LIMIT):
            self.held += 1
            return
        self.row.append(at)
        self.want()
        self.serve()

    def serve(self) -> None:
        changed = False
        while self.row and self.places.take(LIMIT):
            self.served.append(self.row.popleft())
            self.held += 1
            changed = True
        if changed:
            self.want()

    def want(self) -> None:
        self.places.want(len(self.row), self.row[0] if self.row else 0.0, LIMIT)

    def give_back(self) -> None:
        self.held -= 1
        self.places.give_back()
        if self.row:
            self.serve()


class SharedPlaces(RuleBasedStateMachine):
    """Three workers on one memory; bells come late, workers die at any time, and come back to their seat."""

    def __init__(self) -> None:
        super().__init__()
        self.fd = create(SEATS)
        self.bells: list[int] = []
        self.later: list[Callable[[], None]] = []
        self.parent = Table(self.fd, None, ring=self.bells.append, later=lambda _, again: self.later.append(again))
        self.clock = count(1)
        self.workers: dict[int, Worker] = {}
        for seat in range(SEATS):
            self.begin(seat)

    def begin(self, seat: int) -> None:
        self.workers[seat] = Worker(self.fd, seat, self.bells.append, self.later)

    def teardown(self) -> None:
        while self.bells:
            self.hear()
        while holders := [worker for worker in self.workers.values() if worker.held]:
            holders[0].give_back()
            while self.bells:
                self.hear()
        assert sum(len(worker.row) for worker in self.workers.values()) == 0, "somebody waits though every place is free"
        assert self.parent.words[2] == 1
        assert Table(self.fd, 0, ring=self.bells.append, later=lambda _, again: None).at("home").in_use == 0
        os.close(self.fd)

    @rule(seat=st.integers(0, SEATS - 1))
    def ask(self, seat: int) -> None:
        self.workers[seat].ask(float(next(self.clock)))

    @rule(seat=st.integers(0, SEATS - 1))
    def give_back(self, seat: int) -> None:
        if self.workers[seat].held:
            self.workers[seat].give_back()

    @rule(seat=st.integers(0, SEATS - 1))
    def leave_the_row(self, seat: int) -> None:
        worker = self.workers[seat]
        if worker.row:
            worker.row.pop()
            worker.want()

    @precondition(lambda self: self.bells)
    @rule()
    def hear(self) -> None:
        self.workers[self.bells.pop(0)].table.heard()

    @rule(seat=st.integers(0, SEATS - 1))
    def die(self, seat: int) -> None:
        self.bells[:] = [bell for bell in self.bells if bell != seat]
        self.begin(seat)
        self.parent.clear(seat)

    @invariant()
    def never_more_than_the_limit(self) -> None:
        assert sum(worker.held for worker in self.workers.values()) <= LIMIT

    @invariant()
    def what_is_free_is_not_kept_from_those_who_wait(self) -> None:
        waiting = sum(len(worker.row) for worker in self.workers.values())
        in_use = self.workers[0].places.in_use
        promised = in_use - sum(worker.held for worker in self.workers.values())
        assert in_use <= LIMIT
        assert 0 <= promised <= waiting
        assert waiting == promised or in_use == LIMIT, "a place is free, and somebody waits"
        assert self.workers[0].places.waiting == waiting

    @invariant()
    def what_is_put_aside_is_rung_for(self) -> None:
        held = sum(worker.held for worker in self.workers.values())
        assert held == self.workers[0].places.in_use or self.bells

    @invariant()
    def who_came_first_is_served_first(self) -> None:
        for worker in self.workers.values():
            assert worker.served == sorted(worker.served)


TestSharedPlaces = SharedPlaces.TestCase
TestSharedPlaces.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def test_the_oldest_waiter_of_all_workers_is_next() -> None:
    fd, bells, served = create(SEATS), [], []
    first, second, third = (Worker(fd, seat, bells.append, []) for seat in range(SEATS))
    for at in (1.0, 2.0):
        first.ask(at)
    third.ask(3.0)
    second.ask(4.0)
    first.ask(5.0)
    for _ in range(3):
        next(worker for worker in (first, second, third) if worker.held).give_back()
        while bells:
            (first, second, third)[bells.pop(0)].table.heard()
        served += [at for worker in (first, second, third) for at in worker.served if at not in served]
    assert served == [3.0, 4.0, 5.0]
    os.close(fd)
