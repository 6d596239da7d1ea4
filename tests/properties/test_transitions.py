"""One event a transition, whatever the probes say and whenever the gateway dies or its disk is full."""

from __future__ import annotations

import shutil
import tempfile
from itertools import pairwise
from pathlib import Path
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from homeport.errors import HomeportError
from homeport.monitor.outbox import Outbox, incidents
from homeport.monitor.transitions import Transitions
from homeport.rules import transition
from homeport.rules.transition import DOUBLINGS, FREE, Watched
from homeport.vocabulary import Event, Finding

T0 = 1_795_000_000.0
UP, DOWN, UNSURE = Finding(True), Finding(False, "connection refused"), Finding(None, "loading")


def quick(folder: Path) -> Outbox:
    """An outbox that does not wait for the disk."""
    outbox = Outbox(folder)
    outbox._connection.execute("PRAGMA synchronous = OFF")
    return outbox


class Nowhere:
    """No traffic to tell of."""

    def goes(self, backend: str) -> str | None:
        return None

    def went(self, backend: str, since: float, until: float) -> str | None:
        return None


class Owner(RuleBasedStateMachine):
    """One backend under two gateways' lives; the model is what a patient owner would write down."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="owner-"))
        self.now = 0.0
        self.heard: list[Event] = []
        self.first = 0.0
        self.row: list[bool] = []  # what the last probes of this run said, since they last changed their mind
        self.full = False

    @initialize(down_after=st.integers(1, 4), up_after=st.integers(1, 4))
    def begin(self, down_after: int, up_after: int) -> None:
        self.down_after, self.up_after = down_after, up_after
        self.outbox = quick(self.folder)
        self.start()

    def start(self) -> None:
        self.row = []
        self.live = Transitions(self.outbox, ["t"], Nowhere(), down_after=self.down_after, up_after=self.up_after, at=self.now, now=T0 + self.now)

    @property
    def told(self) -> str:
        return self.heard[-1].kind if self.heard else "nothing"

    def probe(self, finding: Finding, *, dies: bool = False) -> None:
        self.now += 15.0
        if finding.good is not None:
            if self.row[-1:] != [finding.good]:
                self.row, self.first = [], self.now
            self.row.append(finding.good)
        before = self.told
        wanted = [] if not self.full else [mock.patch.object(self.outbox, "record", side_effect=HomeportError("full"))]
        try:
            with wanted[0] if wanted else mock.MagicMock():
                event = self.live.saw("home", finding, self.now, T0 + self.now)
        except HomeportError:
            assert self.full
            event = None
        if event is not None:
            self.heard.append(event)
            assert event.kind != before, "told again"
            assert (event.kind == "up") is finding.good
            assert len(self.row) >= (self.down_after if event.kind == "down" else self.up_after)
            assert abs(event.since - T0 - self.first) < 0.001, "since the first probe that showed it"
        if dies:
            self.start()

    @rule(finding=st.sampled_from([UP, DOWN, UNSURE]), times=st.integers(1, 5))
    def probes(self, finding: Finding, times: int) -> None:
        for _ in range(times):
            self.probe(finding)

    @rule(finding=st.sampled_from([UP, DOWN]))
    def probe_and_die(self, finding: Finding) -> None:
        """Killed right after what it wrote, before anything else."""
        self.probe(finding, dies=True)

    @rule(hours=st.floats(0, 3))
    def restart(self, hours: float) -> None:
        self.outbox.close()
        self.now += hours * 3600
        self.outbox = quick(self.folder)
        self.start()

    @rule(full=st.booleans())
    def disk(self, full: bool) -> None:
        self.full = full

    @rule(probes=st.integers(1, 6))
    def down_while_the_disk_is_full(self, probes: int) -> None:
        """Told by the first probe after there is room."""
        self.full = True
        for _ in range(max(probes, self.down_after)):
            self.probe(DOWN)
        self.full = False
        self.probe(DOWN)
        assert self.told == "down"

    @rule()
    def stays_down(self) -> None:
        self.full = False
        for _ in range(self.down_after):
            self.probe(DOWN)
        assert self.told == "down"

    @rule()
    def stays_up(self) -> None:
        self.full = False
        known = self.outbox.states()
        for _ in range(self.up_after << DOUBLINGS):
            self.probe(UP)
        assert self.told != "down"
        assert self.outbox.states()["home"][0] == "up"
        assert known or not self.heard, "that one who was never known to be down is up, is no news"

    @invariant()
    def what_was_heard_is_on_disk(self) -> None:
        if not hasattr(self, "outbox"):
            return
        assert self.outbox.waiting("t") == self.heard
        assert [event.kind for event in self.heard] == ["down", "up"] * (len(self.heard) // 2) + ["down"] * (len(self.heard) % 2)
        assert len({event.id for event in self.heard}) == len(self.heard)
        for down, up in zip(self.heard[::2], self.heard[1::2], strict=False):
            assert up.downtime_s is not None
            assert abs(up.since - down.since - up.downtime_s) < 0.01
        assert self.outbox.incidents() == incidents(self.heard)[:50]

    def teardown(self) -> None:
        if hasattr(self, "outbox"):
            self.outbox.close()
        shutil.rmtree(self.folder)


TestOwner = Owner.TestCase
TestOwner.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


@given(st.lists(st.sampled_from([True, False, None]), max_size=300), st.integers(1, 4), st.integers(1, 4), st.floats(0.1, 900))
@settings(max_examples=200, deadline=None)
def test_events_alternate_and_are_few(probes: list[bool | None], down_after: int, up_after: int, period_s: float) -> None:
    watched, told, at = Watched(), [], 0.0
    for good in probes:
        at += period_s
        watched = transition.noted(watched, Finding(good, "gone"), at)
        state = transition.due(watched, down_after=down_after, up_after=up_after)
        if state is not None:
            assert state != watched.state
            watched = transition.told(watched)
            told.append(state)
            assert (watched.state, watched.streak) == (state, 0)
    assert all(one != other for one, other in pairwise(told))
    in_a_row = min(down_after, up_after)
    assert len(told) <= 1 + len(probes) // in_a_row


@given(st.integers(1, 20), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_a_hundred_flaps_are_told_a_few_times(length: int, after: int) -> None:
    """Away and there for `length` probes each, 15 s apart; those of more than two minutes are outages of their own that are worth telling."""
    watched, told, at = Watched(), 0, 0.0
    for _ in range(100):
        for good in (False, True):
            for _ in range(length):
                at += 15.0
                watched = transition.noted(watched, Finding(good), at)
                if transition.due(watched, down_after=after, up_after=after):
                    watched, told = transition.told(watched), told + 1
    if length < after:
        assert told <= 1
    elif length <= 8:
        assert told <= 2 * (FREE + DOUBLINGS), "however long it goes on"
    else:
        assert told <= 200
