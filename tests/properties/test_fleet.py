"""Places of a fleet on a real store: never more than the limit, whatever is lost on the way; none lost with a dead gateway, and nobody forgotten."""

from __future__ import annotations

from collections import deque
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from homeport.fleet import exchange
from homeport.fleet.alone import Alone
from homeport.fleet.exchange import Exchange
from homeport.fleet.rows import Row
from homeport.fleet.store import Store
from homeport.fleet.view import View
from tests.redis import Redis, needs_redis

pytestmark = [needs_redis, pytest.mark.slow]

MEMBERS = 3
LIMIT = 2
SCRIPT = (Path(exchange.__file__).parent / "script.lua").read_bytes()
ROOTS = count()


class Member:
    """A gateway whose messages and news are carried by hand; asks wait in a row, as in backends.leases."""

    def __init__(self, name: str, client: Any, root: str) -> None:
        self.name = f"{name}:1"
        self.exchange = Exchange(Store("redis://unused"), self.name, 1000.0, 1, hinted=lambda *_: None, counted=lambda _: None)
        self.client, self.root = client, root
        self.heard = client.pubsub()
        self.heard.subscribe(f"{root}:news")
        while self.heard.get_message(timeout=1.0) is None:
            pass
        self.row: deque[float] = deque()
        self.held = 0
        own = Row("home", self.exchange, Alone().at("home"), prompt=False)
        self.exchange.add(own)
        self.places = View(own)
        self.places.subscribe(self.serve)
        self.say()

    def say(self, *, answered: bool = True) -> None:
        """One message; its answer may be lost, after which all is told anew."""
        answer = self.client.eval(SCRIPT, 1, self.root, self.exchange._message())
        if answered:
            self.exchange._answered(msgspec.msgpack.decode(answer))
        else:
            self.exchange._full_at = 0.0

    def hear(self, *, lost: bool = False) -> bool:
        """One piece of news, where there is one."""
        found = self.heard.get_message(timeout=0.001)
        if found is not None and not lost:
            self.exchange._heard_news(msgspec.msgpack.decode(found["data"]))
        return found is not None

    def ask(self, at: float) -> None:
        self.row.append(at)
        self.want()
        self.serve()

    def serve(self) -> None:
        while self.row and self.places.take(LIMIT):
            self.row.popleft()
            self.held += 1
            self.want()

    def want(self) -> None:
        self.places.want(len(self.row), self.row[0] if self.row else 0.0, LIMIT)

    def give_back(self) -> None:
        self.held -= 1
        self.places.give_back()
        self.serve()

    def abandon(self) -> None:
        self.row.pop()
        self.want()


class Fleet(RuleBasedStateMachine):
    """Three gateways; messages, answers and news are late, lost or repeated, and gateways die."""

    client: Any

    def __init__(self) -> None:
        super().__init__()
        self.root = f"{{fleet{next(ROOTS)}}}"
        self.client.set(f"{self.root}:began", 0)
        self.time = count(1)
        self.names = count(1)
        self.members = [self.born() for _ in range(MEMBERS)]

    def born(self) -> Member:
        return Member(f"g{next(self.names)}", self.client, self.root)

    which = st.integers(0, MEMBERS - 1)

    @rule(which=which)
    def ask(self, which: int) -> None:
        self.members[which].ask(float(next(self.time)))

    @rule(which=which)
    def give_back(self, which: int) -> None:
        if self.members[which].held:
            self.members[which].give_back()

    @rule(which=which)
    def abandon(self, which: int) -> None:
        if self.members[which].row:
            self.members[which].abandon()

    @rule(which=which, answered=st.booleans())
    def say(self, which: int, answered: bool) -> None:
        self.members[which].say(answered=answered)

    @rule(which=which, lost=st.booleans())
    def hear(self, which: int, lost: bool) -> None:
        self.members[which].hear(lost=lost)

    @rule(which=which)
    def a_repeated_message_changes_nothing(self, which: int) -> None:
        member = self.members[which]
        message = member.exchange._message()
        for _ in range(2):
            answer = self.client.eval(SCRIPT, 1, self.root, message)
        member.exchange._answered(msgspec.msgpack.decode(answer))

    @precondition(lambda self: next(self.time) > 5)
    @rule(which=which)
    def die(self, which: int) -> None:
        """Nothing is said any more, and the TTL runs out."""
        dead = self.members[which]
        dead.heard.close()
        self.client.zadd(f"{self.root}:members", {dead.name: 0})
        self.members[which] = self.born()

    @invariant()
    def never_more_than_the_limit(self) -> None:
        assert sum(member.held for member in self.members) <= LIMIT

    def teardown(self) -> None:
        for _ in range(40):
            for member in self.members:
                while member.hear():
                    pass
                if member.held:
                    member.give_back()
                member.exchange._full_at = 0.0
                member.say()
            self.never_more_than_the_limit()
        assert all(not member.row and not member.held for member in self.members), "everybody was served, and has given back"
        assert all(member.places.in_use == 0 and member.places.waiting <= 0 for member in self.members)
        for member in self.members:
            member.heard.close()


def test_places_of_a_fleet(tmp_path: Path) -> None:
    redis = pytest.importorskip("redis")
    with Redis(tmp_path) as store:
        client = redis.Redis(port=store.port, protocol=2)
        machine = type("OnAStore", (Fleet,), {"client": client})
        run_state_machine_as_test(machine, settings=settings(max_examples=60, stateful_step_count=40, deadline=None))
        client.close()
