"""A backend's health under any order of asks, failures, probes and time: one at a time while it is open, never locked out for good."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from homeport.backends.health import Health
from homeport.errors import BackendError, BrokeMidStream, ClientLeft, Malformed, Refused, Stalled, Unreachable
from homeport.rules import breaker
from homeport.testing.clock import ManualClock

MODELS = ("big", "small")
LIMIT = 4


def failure(kind: str) -> BackendError:
    error: BackendError = {
        "unreachable": Unreachable,
        "stalled": Stalled,
        "frozen": Stalled,
        "refused": Refused,
        "broke": BrokeMidStream,
        "gone": BrokeMidStream,
    }[kind]("why")
    error.frozen, error.gone = kind == "frozen", kind == "gone"
    return error


class Machine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.clock = ManualClock()
        self.changes = 0
        self.health = Health(self.clock, LIMIT, self.changed, chance=lambda: 0.5)
        self.under_way: list[tuple[str, bool]] = []  # model, and whether its way was open when it was sent
        self.in_a_row = dict.fromkeys(MODELS, 0)  # failures since the last answer or opening

    def changed(self) -> None:
        self.changes += 1

    @rule(model=st.sampled_from(MODELS))
    def ask(self, model: str) -> None:
        open_before = self.health.circuit(model).open or (model in self.health.models and self.health.models[model].open)
        may, left = self.health.may_try(model), self.health.opens_in(model)
        entered = self.health.enter(model)
        assert entered == may
        if not open_before:
            assert entered
        if entered and open_before:
            assert left == 0.0
            assert not self.health.enter(model)  # one at a time
        if entered:
            self.under_way.append((model, open_before))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), kind=st.sampled_from(["unreachable", "stalled", "frozen", "refused", "broke", "gone"]))
    def fails(self, data: st.DataObject, kind: str) -> None:
        model, tried = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        trying = tried and model in self.health._trials
        self.health.seen(model, failure(kind))
        assert not self.health.pristine
        circuit = self.health.circuit(model)
        if kind in ("unreachable", "gone"):
            assert self.health.whole.open
            assert self.health.whole.kind == "unreachable"
        elif kind == "frozen":
            assert circuit.open
        assert self.health.opens_in(model) <= breaker.LONGEST_S
        if trying:
            assert self.health.opens_in(model) > 0.0  # one that tries and fails makes it wait again
            assert self.health.retry_at is not None
            assert self.health.retry_at >= self.clock.time()

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def answers(self, data: st.DataObject) -> None:
        model, _ = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        self.health.seen(model, None)
        assert not self.health.whole.open
        assert not self.health.circuit(model).open
        assert self.health.may_try(model)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), error=st.sampled_from([ClientLeft("left"), Malformed("bad")]))
    def ends_without_saying_anything(self, data: st.DataObject, error: Exception) -> None:
        model, tried = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        before = self.health.whole, dict(self.health.models)
        self.health.seen(model, error)
        if isinstance(error, ClientLeft):
            assert (self.health.whole, self.health.models) == before
            if tried and self.health.opens_in(model) == 0.0 and not any(other == model for other, _ in self.under_way) and not self.health.whole.open:
                assert self.health.may_try(model)  # the next may try instead

    @rule(good=st.booleans())
    def probed(self, good: bool) -> None:
        dark = self.health.whole.open and self.health.whole.dark
        self.health.found(good=good, reason="" if good else "no answer")
        if not good:
            assert self.health.whole.open
            assert self.health.whole.dark
        elif dark:
            assert self.health.state(2)[0] in ("healthy", "degraded")
            assert all(not self.health.circuit(model).open for model in MODELS)

    @rule(seconds=st.sampled_from([0.01, 0.3, 1.0, 6.0, 31.0, 300.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)
        if seconds > breaker.LONGEST_S:  # whatever happened, it may be tried again
            assert all(self.health.opens_in(model) == 0.0 for model in MODELS)

    @invariant()
    def it_agrees_with_itself(self) -> None:
        if not hasattr(self, "health"):
            return
        health = self.health
        state, reason = health.state(2)
        assert state in ("healthy", "degraded", "open")
        assert bool(reason) == (state != "healthy")
        assert 1 <= health.places <= LIMIT
        assert (health.retry_at is None) == (not any(circuit.open for circuit in (health.whole, *health.models.values())))
        if health.pristine:
            assert (state, health.places, health.errors(), health.models) == ("healthy", LIMIT, 0.0, {})
        assert 0.0 <= health.errors() <= 1.0
        assert len(health.models) <= len(MODELS)

    def teardown(self) -> None:
        if hasattr(self, "health"):
            self.health.reset()
            assert self.health.pristine
            assert self.health.enter("big")


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
