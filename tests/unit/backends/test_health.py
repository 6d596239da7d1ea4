"""A backend's health: what each end of an ask and each probe changes, who may go there, and what is said of it."""

from __future__ import annotations

import asyncio
import math

import pytest

from homeport.backends import health as module
from homeport.backends.health import Health
from homeport.errors import BackendError, BrokeMidStream, ClientLeft, Malformed, NoRouteLeft, Refused, Stalled, Unreachable
from homeport.rules import breaker
from homeport.rules.breaker import FAILURES
from homeport.testing.clock import ManualClock
from tests.unit.storage.samples import receipt

LIMIT = 4


class Stand:
    """A Health on a clock of its own, and how often it said that something changed."""

    def __init__(self, *, drained: bool = False) -> None:
        self.clock = ManualClock()
        self.changes = 0
        self.health = Health(self.clock, LIMIT, self.changed, drained=drained, chance=lambda: 1.0)

    def changed(self) -> None:
        self.changes += 1

    def fails(self, model: str, error: BackendError, times: int = 1) -> None:
        for _ in range(times):
            assert self.health.enter(model)
            self.health.seen(model, error)


@pytest.fixture
def stand() -> Stand:
    return Stand()


def frozen() -> Stalled:
    error = Stalled("no first token within 15 s")
    error.frozen = True
    return error


def test_a_new_one_is_well_and_open_to_all(stand: Stand) -> None:
    health = stand.health
    assert health.pristine
    assert (health.enter("m"), health.may_try("m"), health.opens_in("m"), health.retry_at) == (True, True, 0.0, None)
    assert (health.state(1), health.places, health.errors(), health.condemned(1)) == (("healthy", ""), LIMIT, 0.0, False)
    health.seen("m", None)
    health.found(good=True)
    assert stand.changes == 0, "nothing was to be looked at"


def test_a_drained_one_is_never_asked() -> None:
    health = Stand(drained=True).health
    assert not health.pristine
    assert not health.may_try("m")
    assert health.opens_in("m") == math.inf
    health.reset()
    assert not health.pristine


def test_no_connection_closes_all_of_it_to_all_models(stand: Stand) -> None:
    stand.fails("a", Unreachable("connection refused"))
    health = stand.health
    assert (health.pristine, stand.changes, health.models) == (False, 1, {})
    assert health.circuit("a") is health.circuit("b") is health.whole
    assert (health.whole.kind, health.state(2), health.places) == ("unreachable", ("open", "connection refused"), 1)
    assert [health.enter(model) for model in "ab"] == [False, False]
    assert health.opens_in("b") == 0.25
    assert health.retry_at == stand.clock.time() + 0.25
    assert health.condemned(2)
    stand.clock.advance(1.0)
    assert (health.opens_in("b"), health.retry_at) == (0.0, stand.clock.time())


def test_an_engine_that_dies_under_an_ask_counts_as_gone(stand: Stand) -> None:
    error = BrokeMidStream("reset")
    error.gone = True
    stand.fails("a", error)
    assert (stand.health.whole.kind, stand.health.whole.openings, stand.health.models) == ("unreachable", 1, {})


@pytest.mark.parametrize("error", [Refused("HTTP 500"), BrokeMidStream("cut"), Stalled("slow")])
def test_other_failures_are_the_models_and_must_come_in_a_row(stand: Stand, error: BackendError) -> None:
    health = stand.health
    stand.fails("a", error, FAILURES - 1)
    assert not health.models["a"].open
    assert not health.whole.open
    assert health.state(2) == ("degraded", f"59% of its asks failed lately: {error}")
    stand.fails("a", error)
    assert (health.models["a"].kind, health.circuit("a").open, health.circuit("b").open) == (error.outcome, True, False)
    assert health.state(2) == ("degraded", f"a is left out: {error}")
    assert health.state(1) == ("open", str(error))
    assert (health.enter("a"), health.enter("b"), health.places) == (False, True, LIMIT)
    assert (health.opens_in("a"), health.opens_in("b")) == (1.0, 0.0)
    assert health.retry_at == stand.clock.time() + 1.0


def test_several_models_are_told_of_and_all_of_them_are_it(stand: Stand) -> None:
    stand.fails("a", frozen())
    stand.fails("b", Refused("HTTP 500"), FAILURES)
    assert stand.health.state(3) == ("degraded", "a is left out: no first token within 15 s; b is left out: HTTP 500")
    assert stand.health.state(2) == ("open", "no first token within 15 s")
    assert [stand.health.condemned(models) for models in (1, 2)] == [True, False], "a single silence is not held against it"
    assert stand.health.state(1)[0] == "open"


def test_one_ask_at_a_time_tries_it(stand: Stand) -> None:
    health = stand.health
    stand.fails("a", frozen())
    stand.fails("b", frozen())
    stand.clock.advance(1.0)
    assert [health.may_try(model) for model in "ab"] == [True, True]
    assert [health.enter(model) for model in "aab"] == [True, False, True], "each model's way is its own"
    assert [health.may_try(model) for model in "ab"] == [False, False]
    assert health.enter("c")
    health.seen("a", None)
    assert (health.enter("a"), health.enter("a"), health.enter("b"), "a" in health.models) == (True, True, False, True)
    assert not health.models["a"].open
    assert health.models["b"].open


def test_of_a_whole_that_is_open_one_ask_for_any_model_tries_it(stand: Stand) -> None:
    health = stand.health
    stand.fails("a", Unreachable("gone"))
    stand.clock.advance(0.25)
    assert [health.may_try(model) for model in "ab"] == [True, True]
    assert health.enter("a")
    assert [health.enter(model) for model in "ab"] == [False, False]
    health.seen("a", Refused("HTTP 502"))  # it answered, badly: the way is not free yet
    assert (health.whole.open, health.whole.openings, health.whole.kind) == (True, 2, "unreachable")
    assert health.opens_in("b") == 0.5
    assert health.models["a"].failures == 1
    assert health.opens_in("a") == 0.5


def test_a_models_circuit_and_the_wholes_must_both_admit(stand: Stand) -> None:
    health = stand.health
    stand.fails("a", frozen())
    health.seen("b", Unreachable("gone"))
    assert health.retry_at == stand.clock.time() + 0.25, "the whole is tried first"
    stand.clock.advance(0.25)
    assert (health.opens_in("a"), health.opens_in("b")) == (0.75, 0.0)
    assert (health.may_try("a"), health.may_try("b")) == (False, True)


def test_those_under_way_as_it_opened_do_not_make_it_longer(stand: Stand) -> None:
    health = stand.health
    for _ in range(3):
        health.enter("a")
    for _ in range(3):
        health.seen("a", frozen())
    assert (health.models["a"].openings, health.models["a"].failures, health.whole.open) == (1, 3, False)


def test_a_caller_who_leaves_says_nothing_and_lets_the_next_one_try(stand: Stand) -> None:
    health = stand.health
    stand.fails("a", frozen())
    stand.clock.advance(1.0)
    assert health.enter("a")
    before = dict(health.models)
    changes = stand.changes
    health.seen("a", ClientLeft("left"))
    assert (health.models, stand.changes) == (before, changes + 1), "those who wait for it are told"
    assert health.enter("a")


def test_what_never_came_there_says_nothing(stand: Stand) -> None:
    health = stand.health
    stand.fails("a", frozen())
    changes = stand.changes
    health.seen("a", Malformed("bad"))
    health.seen("a", NoRouteLeft("not a backend's"))
    assert health.models["a"].open
    assert stand.changes == changes
    stand.clock.advance(1.0)
    assert health.enter("a")
    health.seen("a", Malformed("it was never sent"))
    assert health.models["a"].open
    assert health.enter("a"), "another may try"


def test_an_outcome_that_is_no_failure_of_the_backends_is_none(stand: Stand) -> None:
    error = Refused("its queue is full")
    error.outcome = "full"  # type: ignore[misc]
    stand.health.seen("a", error)
    assert stand.health.pristine


def test_an_answer_closes_the_models_way_and_the_wholes(stand: Stand) -> None:
    health = stand.health
    stand.fails("a", frozen())
    health.seen("b", Unreachable("gone"))
    stand.clock.advance(1.0)
    assert health.enter("a")
    health.seen("a", None)
    assert not health.whole.open
    assert not health.circuit("a").open
    stand.clock.advance(100.0)
    health.found(good=True)
    assert (health.pristine, health.models, health.state(1)) == (True, {}, ("healthy", ""))


def test_after_a_long_absence_places_come_back_one_by_one(stand: Stand) -> None:
    health = stand.health
    health.found(good=False, reason="no answer")
    assert health.state(1) == ("open", "no answer")
    stand.clock.advance(60.0)
    health.found(good=True)
    assert (health.state(1), health.places) == (("degraded", "it has just come back, and gets 1 of its 4 places"), 1)
    for places in (2, 4):
        assert health.enter("a")
        health.seen("a", None)
        assert health.places == places
    assert health.state(1) == ("healthy", "")
    health.found(good=True)
    assert health.pristine


def test_where_there_is_one_place_a_good_probe_ends_it(stand: Stand) -> None:
    stand.health._limit = 1
    stand.health.found(good=False, reason="no answer")
    stand.clock.advance(60.0)
    stand.health.found(good=True)
    assert (stand.health.places, stand.health.pristine) == (1, True)


def test_a_good_probe_after_bad_ones_frees_its_models_too(stand: Stand) -> None:
    health = stand.health
    stand.fails("a", frozen())
    stand.clock.advance(1.0)
    health.found(good=True)
    assert health.models["a"].open, "whether a model answers only an ask can show"
    health.found(good=False, reason="no answer")
    health.found(good=True)
    assert not health.circuit("a").open
    assert health.may_try("a")


def test_a_good_probe_lets_old_errors_go(stand: Stand) -> None:
    health = stand.health
    stand.fails("a", Refused("HTTP 500"))
    stand.fails("b", Refused("HTTP 500"), 2)
    health.found(good=True)
    assert set(health.models) == {"a", "b"}
    stand.clock.advance(34.0)  # 0.2 and 0.36 with a half-life of 10 s; 0.02 no longer counts
    health.found(good=True)
    assert set(health.models) == {"b"}
    stand.clock.advance(34.0)
    health.found(good=True)
    assert health.pristine


def test_a_bad_probe_says_nothing_of_its_models(stand: Stand) -> None:
    stand.fails("a", Refused("HTTP 500"))
    stand.clock.advance(60.0)
    before = dict(stand.health.models)
    stand.health.found(good=False, reason="no answer")
    assert stand.health.models == before


def test_errors_are_the_worst_models_and_fade(stand: Stand) -> None:
    health = stand.health
    stand.fails("a", Refused("HTTP 500"), 4)
    stand.fails("b", Refused("HTTP 502"))
    assert health.errors() == pytest.approx(1 - 0.8**4)
    assert health.errors() >= breaker.UNSTEADY
    assert health.state(2) == ("degraded", "59% of its asks failed lately: HTTP 500")
    stand.clock.advance(10.0)
    assert health.errors() == pytest.approx((1 - 0.8**4) / 2)
    assert health.errors() < breaker.UNSTEADY
    assert health.state(2) == ("healthy", "")


def test_unsteady_begins_at_its_bound(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    stand.fails("a", Refused("HTTP 500"))
    monkeypatch.setattr(breaker, "UNSTEADY", stand.health.errors())
    assert stand.health.errors() >= breaker.UNSTEADY


def test_reset_forgets_who_tried_it_too(stand: Stand) -> None:
    health = stand.health
    stand.fails("a", frozen())
    stand.clock.advance(1.0)
    assert health.enter("a")
    changes = stand.changes
    health.reset()
    assert (health.pristine, health.models, stand.changes) == (True, {}, changes + 1)
    health.seen("a", frozen())  # of the one that was under way
    assert health.models["a"].openings == 1
    stand.clock.advance(1.0)
    assert health.enter("a")


def test_a_try_ends_with_the_silence_that_it_tried(stand: Stand) -> None:
    """Its circuit closed by a probe meanwhile: it tries nothing any more, and another that opens has a try of its own."""
    health = stand.health
    health.found(good=False, reason="no answer")
    stand.clock.advance(1.0)
    assert health.enter("a")
    health.found(good=True)
    health.seen("b", Unreachable("gone"))
    stand.clock.advance(1.0)
    assert health.enter("b")


def test_who_waits_hears_of_a_change_or_the_time(stand: Stand) -> None:
    async def go() -> None:
        health = stand.health
        waiting = [asyncio.ensure_future(health.change(30.0)) for _ in range(2)]
        await asyncio.sleep(0)
        assert health.watchers == 2
        waiting[0].cancel()
        await asyncio.sleep(0)
        assert health.watchers == 1
        health.seen("a", Refused("HTTP 500"))
        assert health.watchers == 0
        await waiting[1]
        await health.change(0.001)
        assert health.watchers == 0
        timers = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
        assert [timer for timer in timers if not timer.cancelled()] == []

    asyncio.run(go())


def test_speed_is_a_moving_average_of_answers(stand: Stand) -> None:
    health = stand.health
    health.measured(receipt(first_token_ms=None, tok_per_s=None))
    assert (health.ttft_ms, health.tok_per_s) == (None, None)
    health.measured(receipt(first_token_ms=110.0, queue_ms=10.0, tok_per_s=40.0))
    assert (health.ttft_ms, health.tok_per_s) == (100.0, 40.0)
    health.measured(receipt(first_token_ms=210.0, queue_ms=10.0, tok_per_s=50.0))
    assert (health.ttft_ms, health.tok_per_s) == (pytest.approx(120.0), pytest.approx(42.0))
    health.measured(receipt(first_token_ms=5.0, queue_ms=10.0, tok_per_s=0.0))
    assert (health.ttft_ms, health.tok_per_s) == (pytest.approx(96.0), pytest.approx(42.0)), "never less than nothing"


def test_an_ask_waits_a_second_for_what_has_nowhere_else_to_go() -> None:
    assert module.PATIENCE_S == 1.0


def test_a_models_try_that_fails_is_the_models(stand: Stand) -> None:
    health = stand.health
    stand.fails("a", frozen())
    stand.clock.advance(1.0)
    stand.fails("a", frozen())
    assert (health.models["a"].openings, health.whole.open) == (2, False)


def test_what_fails_while_all_of_it_is_open_is_no_second_failure_of_all(stand: Stand) -> None:
    health = stand.health
    stand.fails("a", Unreachable("gone"))
    health.seen("b", Refused("HTTP 500"))  # it was under way
    assert (health.whole.failures, health.whole.openings, health.models["b"].failures) == (1, 1, 1)


def test_an_ask_on_a_way_that_is_free_tries_nothing(stand: Stand) -> None:
    health = stand.health
    stand.fails("a", Refused("HTTP 500"))
    assert health.enter("a")
    before = dict(health.models)
    health.seen("a", Malformed("bad"))
    assert health.models == before


def test_a_try_goes_on_while_others_leave(stand: Stand) -> None:
    health = stand.health
    stand.fails("a", Unreachable("gone"))
    stand.clock.advance(0.25)
    assert health.enter("a")
    health.seen("b", ClientLeft("left"))
    assert not health.enter("b")


def test_a_good_probe_of_one_that_answered_probes_frees_no_model(stand: Stand) -> None:
    health = stand.health
    stand.fails("a", frozen())
    health.seen("b", Unreachable("gone"))
    health.found(good=True)
    assert (health.whole.open, health.models["a"].open) == (False, True)


def test_a_try_that_ends_otherwise_lets_the_next_one_try(stand: Stand) -> None:
    stand.fails("a", frozen())
    stand.clock.advance(1.0)
    assert stand.health.enter("a")
    changes = stand.changes
    stand.health.seen("a", NoRouteLeft("not a backend's"))
    assert stand.changes == changes + 1
    assert stand.health.enter("a")
