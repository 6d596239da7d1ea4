"""Whatever a receiver answers, and whenever the gateway dies: each event is taken in its order, and again only after a death between send and note."""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from homeport.errors import HomeportError
from homeport.monitor.notify import Messenger, Target
from homeport.vocabulary import Event
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
