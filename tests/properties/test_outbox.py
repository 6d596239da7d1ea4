"""Whatever a receiver answers, and whenever the gateway dies: each event is taken in its order, and again only after a death between send and note."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from homeport.errors import HomeportError
from homeport.monitor.notify import Messenger, Target
from homeport.monitor.outbox import FILE, KEPT_S, Outbox
from homeport.vocabulary import Event, Incident
from tests.properties.test_transitions import quick

URLS = ["json://one", "json://two"]


class Killed(Exception):
    """The process is gone at this very point."""


class Deliveries(RuleBasedStateMachine):
    """Two receivers, each up or down; a gateway that is killed now and then, at any of its two steps."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="deliveries-"))
        self.now = 0.0
        self.made: list[Event] = []
        self.taken: dict[str, list[str]] = {url: [] for url in URLS}
        self.up = dict.fromkeys(URLS, True)
        self.quiet = False
        self.dies = ""  # before: with the request on its way; after: once it was taken
        self.deaths = 0
        self.full = False
        self.begin()

    def begin(self) -> None:
        self.outbox = quick(self.folder)
        self.targets = [Target(url, number) for number, url in enumerate(URLS, 1)]
        self.messenger = Messenger(self.folder, self.targets, quiet=lambda: self.quiet, send=self.send, clock=lambda: self.now, chance=lambda: 1.0)

    def send(self, url: str, event: Event, ended: threading.Event) -> str | None:
        assert not self.quiet
        if self.dies == "before":
            raise Killed
        if not self.up[url]:
            return "no"
        self.taken[url].append(event.id)
        if self.dies == "after":
            self.deaths += 1
            raise Killed
        return None

    @rule(kind=st.sampled_from(["down", "up"]))
    def event(self, kind: str) -> None:
        event = Event(f"evt-{len(self.made)}", kind, f"b{len(self.made)}", 1.0, "r", None, None)
        assert self.outbox.record(event, [target.key for target in self.targets], 1.0)
        self.made.append(event)

    @rule(url=st.sampled_from(URLS), up=st.booleans())
    def receiver(self, url: str, up: bool) -> None:
        self.up[url] = up

    @rule(quiet=st.booleans())
    def hours(self, quiet: bool) -> None:
        self.quiet = quiet

    @rule(seconds=st.floats(0, 400), dies=st.sampled_from(["", "", "", "before", "after"]))
    def turn(self, seconds: float, dies: str) -> None:
        self.now += seconds
        self.dies = dies
        before = {url: len(taken) for url, taken in self.taken.items()}
        try:
            rest = self.messenger.turn(self.outbox)
        except Killed:
            self.outbox.close()
            self.begin()
            return
        finally:
            self.dies = ""
        waiting = any(self.outbox.waiting(target.key) for target in self.targets)
        assert (rest is None) is not waiting
        if self.quiet:
            assert before == {url: len(taken) for url, taken in self.taken.items()}

    @precondition(lambda self: all(self.up.values()) and not self.quiet)
    @rule()
    def disk_full_at_the_note(self) -> None:
        """Taken, and that cannot be written down: it is not sent again by the same run."""
        self.now += 1000
        with mock.patch.object(self.outbox, "acknowledge", side_effect=HomeportError("full")):
            for _ in range(3):
                before = sum(map(len, self.taken.values()))
                try:
                    self.messenger.turn(self.outbox)
                except HomeportError:
                    assert sum(map(len, self.taken.values())) <= before + 1
        self.all_is_well()

    @rule()
    def all_is_well(self) -> None:
        self.up = dict.fromkeys(URLS, True)
        self.quiet, self.now = False, self.now + 1000
        assert self.messenger.turn(self.outbox) is None
        self.look()

    def look(self) -> None:
        ids = [event.id for event in self.made]
        twice = 0
        for taken in self.taken.values():
            assert list(dict.fromkeys(taken)) == ids, "each, in its order"
            twice += len(taken) - len(ids)
        assert twice <= self.deaths

    def teardown(self) -> None:
        try:
            self.all_is_well()
        finally:
            self.outbox.close()
            shutil.rmtree(self.folder)


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


class Dying:
    """A connection whose process is killed at a commit: what the kernel has of the files at that moment is what the next one finds."""

    def __init__(self, connection: sqlite3.Connection, folder: Path, left: Path, *, before: bool) -> None:
        self.connection, self.folder, self.left, self.before = connection, folder, left, before

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    def execute(self, asked: str, *values: Any) -> Any:
        if asked != "COMMIT":
            return self.connection.execute(asked, *values)
        if not self.before:
            self.connection.execute(asked)
        for end in ("", "-wal"):
            if (file := self.folder / f"{FILE}{end}").exists():
                shutil.copy(file, self.left)
        raise Killed


NAMES = st.sampled_from(["home", "vm", "box"])
WAYS = st.lists(st.sampled_from(["a", "b", "c"]), unique=True)


class Rows(RuleBasedStateMachine):
    """The file itself: what is recorded, settled, delivered, forgotten and pruned, and a process that ends or is killed at any commit."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="rows-"))
        self.folder = self.root / "0"
        self.outbox = quick(self.folder)
        self.now = 1_000.0
        self.count = 0
        self.known: dict[str, tuple[str, float]] = {}
        self.events: list[tuple[float, Event]] = []
        self.deliveries: dict[str, list[str]] = {"a": [], "b": [], "c": []}

    # what it is told, and what must then be there

    def does(self, act: Callable[[Outbox], Any], dies: str, then: Callable[[], None]) -> Any:
        """`act`, and `then` in the model; with `dies` the process is killed before or after the commit."""
        if not dies:
            done = act(self.outbox)
            then()
            return done
        left = self.root / str(int(self.folder.name) + 1)
        left.mkdir()
        connection = self.outbox._connection
        self.outbox._connection = Dying(connection, self.folder, left, before=dies == "before")  # type: ignore[assignment]
        try:
            done = act(self.outbox)
        except Killed:
            if dies == "after":
                then()
            done = None
        connection.close()
        if not (left / FILE).exists():  # it came to no commit
            shutil.copytree(self.folder, left, dirs_exist_ok=True)
        self.folder = left
        self.outbox = quick(left)
        return done

    @rule(kind=st.sampled_from(["down", "up"]), name=NAMES, ways=WAYS, dies=st.sampled_from(["", "", "", "before", "after"]))
    def record(self, kind: str, name: str, ways: list[str], dies: str) -> None:
        self.count += 1
        lasted = self.now / 7 if kind == "up" and self.count % 2 else None
        event = Event(f"evt-{self.count}", kind, name, self.now, f"why {self.count}", lasted, f"to {self.count}" if self.count % 3 else None)
        new = self.known.get(name, ("", 0.0))[0] != kind
        told = self.does(lambda outbox: outbox.record(event, ways, self.now), dies, lambda: self.happened(event, ways) if new else None)
        assert told in ((new,) if not dies else (None, False))

    @rule(ways=WAYS)
    def record_of_no_backend(self, ways: list[str]) -> None:
        self.count += 1
        event = Event(f"evt-{self.count}", "test", None, self.now, "r", None, None)
        assert self.outbox.record(event, ways, self.now)
        self.happened(event, ways)

    @rule(name=NAMES)
    def settle(self, name: str) -> None:
        if name not in self.known:
            self.outbox.settle(name, "up", self.now)
            self.known[name] = ("up", self.now)

    @rule(way=st.sampled_from("abc"), place=st.integers(0, 3), dies=st.sampled_from(["", "", "", "before", "after"]))
    def deliver(self, way: str, place: int, dies: str) -> None:
        waiting = self.deliveries[way]
        if place < len(waiting):
            id = waiting[place]
            self.does(lambda outbox: outbox.acknowledge(id, way), dies, lambda: waiting.remove(id))

    @rule(names=st.lists(NAMES, unique=True), dies=st.sampled_from(["", "", "before", "after"]))
    def keep(self, names: list[str], dies: str) -> None:
        def forgotten() -> None:
            for name in sorted(set(self.known) - set(names)):
                if self.known.pop(name)[0] == "down":
                    event = Event(f"removed-{name}-{self.now:.3f}", "removed", name, self.now, "it is configured no more", None, None)
                    self.events.append((self.now, event))

        self.now += 1.0  # a name is not removed twice within a millisecond
        self.does(lambda outbox: outbox.keep(names, self.now), dies, forgotten)

    @rule(ways=WAYS, dies=st.sampled_from(["", "", "before", "after"]))
    def prune(self, ways: list[str], dies: str) -> None:
        def dropped() -> None:
            down = {name for name, (state, _) in self.known.items() if state == "down"}
            self.events = [(at, event) for at, event in self.events if at >= self.now - KEPT_S or event.backend in down]
            kept = {event.id for _, event in self.events}
            self.deliveries = {way: [id for id in ids if id in kept and way in ways] for way, ids in self.deliveries.items()}

        self.does(lambda outbox: outbox.prune(self.now, ways), dies, dropped)

    @rule(seconds=st.sampled_from([1.0, 60.0, KEPT_S / 2, KEPT_S]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def reopen(self) -> None:
        self.outbox.close()
        self.outbox = quick(self.folder)

    def happened(self, event: Event, ways: list[str]) -> None:
        if event.backend is not None:
            self.known[event.backend] = (event.kind, event.since)
        self.events.append((self.now, event))
        for way in ways:
            self.deliveries[way].append(event.id)

    # what it says

    @invariant()
    def it_says_what_happened(self) -> None:
        assert self.outbox.states() == self.known
        events = {event.id: event for _, event in self.events}
        for way, ids in self.deliveries.items():
            assert self.outbox.waiting(way) == [events[id] for id in ids]
        assert list(self.outbox.incidents()) == self.outages()[:50]

    def outages(self) -> list[Incident]:
        found = []
        for number, (_, begun) in enumerate(self.events):
            if begun.kind == "down":
                end = next((event for _, event in self.events[number + 1 :] if event.backend == begun.backend), None)
                lasted = None if end is None else end.downtime_s if end.downtime_s is not None else end.since - begun.since
                until, traffic = (None, begun.traffic) if end is None else (end.since, end.traffic or begun.traffic)
                found.append(Incident(begun.id, "down", begun.backend or "", begun.since, until, begun.reason, lasted, traffic))
        return found[::-1]

    def teardown(self) -> None:
        self.outbox.close()
        shutil.rmtree(self.root)


TestRows = Rows.TestCase
TestRows.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
