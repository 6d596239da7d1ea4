"""When a circuit opens, how long it stays so, and how it comes back."""

from __future__ import annotations

import pytest

from homeport.rules import breaker
from homeport.rules.breaker import CLOSED, FAILURES, Circuit, Failure

REFUSED, GONE = Failure("refused", "HTTP 500"), Failure("unreachable", "connection refused")
SLOW, FROZEN = Failure("stalled", "no first token within 15 s"), Failure("stalled", "no first token within 15 s", frozen=True)


def after(*failures: Failure, now: float = 100.0, chance: float = 1.0) -> Circuit:
    circuit = CLOSED
    for failure in failures:
        circuit = breaker.failed(circuit, failure, now, chance, tried=True)
    return circuit


@pytest.mark.parametrize("failure", [GONE, FROZEN])
def test_what_cannot_be_there_is_left_out_at_once(failure: Failure) -> None:
    circuit = after(failure)
    assert (circuit.open, circuit.reason, circuit.since) == (True, failure.reason, 100.0)
    assert not breaker.admits(circuit, 100.0)


@pytest.mark.parametrize("failure", [REFUSED, SLOW])
def test_failed_asks_must_come_in_a_row(failure: Failure) -> None:
    circuit = after(*[failure] * (FAILURES - 1))
    assert not circuit.open
    assert breaker.failed(circuit, failure, 100.0, 0.0).open
    answered = breaker.succeeded(circuit, 100.0)
    assert not breaker.failed(answered, failure, 100.0, 0.0).open


def test_it_is_tried_again_after_a_moment_that_doubles() -> None:
    circuit, waits = CLOSED, []
    for _ in range(12):
        circuit = breaker.failed(circuit, GONE, 100.0, 1.0, tried=True)
        waits.append(circuit.retry_at - 100.0)
    assert waits[:4] == [0.25, 0.5, 1.0, 2.0]
    assert waits[-1] == breaker.LONGEST_S
    assert after(*[REFUSED] * FAILURES).retry_at == 100.0 + breaker.OTHER_FIRST_S
    assert after(GONE, chance=0.0).retry_at == 100.125  # equal jitter: half of it at least
    assert breaker.admits(after(GONE), 100.25)


def test_those_under_way_as_it_opens_do_not_make_it_longer() -> None:
    circuit = after(GONE)
    again = breaker.failed(circuit, GONE, 100.1, 1.0)
    assert (again.retry_at, again.openings, again.since) == (circuit.retry_at, circuit.openings, circuit.since)


def test_an_answer_closes_it() -> None:
    circuit = breaker.succeeded(after(GONE), 101.0)
    assert (circuit.open, circuit.wins, circuit.openings) == (False, -1, 0)
    assert breaker.places(circuit, 8) == 8


def test_after_a_long_absence_places_double_with_each_answer() -> None:
    circuit = breaker.probed(after(GONE), good=True, reason="", now=100.0 + breaker.SLOW_AFTER_S, chance=0.0)
    seen = [breaker.places(circuit, 6)]
    for _ in range(3):
        circuit = breaker.settled(breaker.succeeded(circuit, 110.0), 6)
        seen.append(breaker.places(circuit, 6))
    assert seen == [1, 2, 4, 6]
    assert circuit.wins == -1  # it is over


def test_one_that_has_just_come_back_is_left_out_by_its_next_failure() -> None:
    circuit = breaker.probed(after(GONE), good=True, reason="", now=120.0, chance=0.0)
    again = breaker.failed(circuit, REFUSED, 121.0, 1.0)
    assert again.open
    assert again.retry_at > 121.0 + breaker.OTHER_FIRST_S  # and for longer than the time before


def test_a_good_probe_says_nothing_of_a_model_that_stands_still() -> None:
    stuck = after(FROZEN)
    assert breaker.probed(stuck, good=True, reason="", now=200.0, chance=0.0) is stuck
    dark = breaker.probed(stuck, good=False, reason="no answer", now=200.0, chance=0.0)
    assert dark.dark
    assert dark.since == stuck.since
    assert not breaker.probed(dark, good=True, reason="", now=300.0, chance=0.0).open


def test_a_probe_without_answer_opens() -> None:
    circuit = breaker.probed(CLOSED, good=False, reason="no answer", now=100.0, chance=0.0)
    assert (circuit.open, circuit.dark, circuit.reason) == (True, True, "no answer")


def test_errors_weigh_and_are_forgotten() -> None:
    circuit = after(*[REFUSED] * 4)
    assert breaker.errors(circuit, 100.0) == pytest.approx(1 - 0.8**4)
    assert breaker.errors(circuit, 100.0 + breaker.HALF_S) == pytest.approx((1 - 0.8**4) / 2)
    assert breaker.rested(circuit, 4, 100.0) is circuit
    assert breaker.rested(circuit, 4, 100.0 + 6 * breaker.HALF_S) is CLOSED
    assert breaker.succeeded(circuit, 100.0 + 6 * breaker.HALF_S) is CLOSED


def test_all_is_as_new_after_nothing() -> None:
    assert breaker.succeeded(CLOSED, 100.0) is CLOSED
    assert breaker.probed(CLOSED, good=True, reason="", now=100.0, chance=0.0) is CLOSED
    assert breaker.errors(CLOSED, 100.0) == 0.0
    assert breaker.places(CLOSED, 4) == 4


def test_a_single_silence_is_let_go_after_a_while() -> None:
    once = after(FROZEN)
    assert not breaker.confirmed(once)
    assert breaker.rested(once, 4, 100.0 + breaker.REST_S - 1) is once
    assert not breaker.rested(once, 4, 100.0 + breaker.REST_S).open
    twice = after(FROZEN, FROZEN)
    assert breaker.confirmed(twice)
    assert breaker.rested(twice, 4, 100.0 + 10 * breaker.REST_S) is twice
    assert breaker.confirmed(after(GONE))
    assert breaker.confirmed(after(*[REFUSED] * FAILURES))
