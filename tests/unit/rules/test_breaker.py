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
    assert not breaker.rested(once, 4, once.retry_at + breaker.REST_S).open
    twice = after(FROZEN, FROZEN)
    assert breaker.confirmed(twice)
    assert breaker.rested(twice, 4, 100.0 + 10 * breaker.REST_S) is twice
    assert breaker.confirmed(after(GONE))
    assert breaker.confirmed(after(*[REFUSED] * FAILURES))


def test_the_numbers_are_those_of_the_documentation() -> None:
    """docs/models-and-routes.md and decision 0016; the tests above take them from the rule."""
    assert (FAILURES, breaker.FIRST_S, breaker.OTHER_FIRST_S, breaker.LONGEST_S) == (5, {"unreachable": 0.25}, 1.0, 30.0)
    assert (breaker.WEIGHT, breaker.UNSTEADY, breaker.HALF_S, breaker.FORGOTTEN) == (0.2, 0.5, 10.0, 0.02)
    assert (breaker.SLOW_AFTER_S, breaker.REST_S) == (5.0, 60.0)


def test_as_new_is_closed_and_knows_of_nothing() -> None:
    assert Circuit() == CLOSED == Circuit(False, "", "", 0.0, 0.0, 0, False, 0, 0.0, 0.0, -1)
    assert not Failure("stalled", "").frozen


def test_what_opens_remembers_why_and_begins_anew() -> None:
    slow_start = Circuit(wins=2, errors=0.1, at=90.0)
    assert breaker.failed(slow_start, REFUSED, 100.0, 0.5) == Circuit(
        open=True, kind="refused", reason="HTTP 500", since=100.0, retry_at=100.75, openings=1, failures=1, errors=pytest.approx(0.24), at=100.0, wins=-1
    )
    once = breaker.failed(CLOSED, REFUSED, 100.0, 0.5)
    assert once == Circuit(kind="refused", reason="HTTP 500", failures=1, errors=pytest.approx(0.2), at=100.0)


@pytest.mark.parametrize("failure", [REFUSED, SLOW])
def test_a_try_that_fails_opens_it_for_longer_whatever_the_failure(failure: Failure) -> None:
    again = breaker.failed(after(FROZEN), failure, 101.0, 1.0, tried=True)
    assert (again.open, again.openings, again.failures, again.since, again.retry_at) == (True, 2, 2, 100.0, 103.0)


def test_a_first_place_that_fails_at_once_is_left_out() -> None:
    assert breaker.failed(Circuit(wins=0), REFUSED, 100.0, 1.0).open


@pytest.mark.parametrize(("away_s", "wins"), [(4.9, -1), (5.0, 1), (60.0, 1)])
def test_an_answer_after_an_absence_counts_where_it_was_long(away_s: float, wins: int) -> None:
    answered = breaker.succeeded(after(GONE), 100.0 + away_s)
    assert answered == Circuit(kind="unreachable", reason="connection refused", since=100.0 + away_s, errors=answered.errors, at=100.0 + away_s, wins=wins)
    assert answered.errors == pytest.approx(0.2 * 0.5 ** (away_s / 10.0) * 0.8)


@pytest.mark.parametrize(("away_s", "wins"), [(1.0, -1), (4.9, -1), (5.0, 0), (60.0, 0)])
def test_one_that_is_back_starts_slowly_where_it_was_away_for_long(away_s: float, wins: int) -> None:
    gone = after(GONE, GONE)
    assert breaker.back(gone, 100.0 + away_s) == Circuit(
        kind="unreachable", reason="connection refused", since=100.0 + away_s, errors=gone.errors, at=100.0, wins=wins, openings=2
    ), "the next failure makes it wait for longer"
    well = after(REFUSED)
    assert breaker.back(well, 200.0) is well


def test_a_slow_start_lasts_until_every_place_is_reached() -> None:
    begun = Circuit(wins=0)
    assert breaker.succeeded(begun, 100.0) == Circuit(at=100.0, wins=1)
    assert breaker.rested(begun, 4, breaker.REST_S - 1) is begun
    assert breaker.settled(begun, 2) is begun
    assert breaker.settled(begun, 1).wins == -1
    assert breaker.settled(Circuit(wins=2), 4).wins == -1
    assert breaker.settled(CLOSED, 1) is CLOSED
    assert breaker.places(Circuit(wins=100), 1 << 30) == 1 << 20
    assert breaker.places(Circuit(open=True, wins=3), 8) == 1


def test_few_errors_are_forgotten_just_below_the_bound() -> None:
    for share, forgotten in ((0.02, False), (0.0199, True)):
        circuit = Circuit(errors=share, at=100.0)
        assert (breaker.rested(circuit, 4, 100.0) is CLOSED) is forgotten
    for share, forgotten in ((0.026, False), (0.0249, True)):  # an answer takes a fifth of it
        assert (breaker.succeeded(Circuit(errors=share, at=100.0), 100.0) is CLOSED) is forgotten


def test_a_probe_without_answer_makes_it_wait_as_no_connection_does() -> None:
    stuck = after(FROZEN)
    dark = breaker.probed(stuck, good=False, reason="no answer", now=101.0, chance=1.0)
    assert (dark.kind, dark.reason, dark.openings, dark.retry_at) == ("unreachable", "no answer", 2, 101.5)
    assert breaker.probed(CLOSED, good=False, reason="no answer", now=100.0, chance=1.0).retry_at == 100.25


def test_a_good_probe_lets_in_what_could_not_be_reached_and_no_other() -> None:
    for circuit, closes in (
        (after(GONE), True),
        (Circuit(open=True, kind="stalled", dark=True), True),
        (Circuit(open=True, kind="stalled"), False),
        (Circuit(kind="unreachable"), False),
    ):
        found = breaker.probed(circuit, good=True, reason="", now=101.0, chance=0.0)
        assert (found is not circuit) is closes
        assert not (closes and found.open)


def test_a_silence_is_confirmed_by_probes_that_fail_or_a_second_one() -> None:
    assert breaker.confirmed(Circuit(open=True, kind="stalled", openings=1, dark=True))
    assert breaker.confirmed(Circuit(open=True, kind="stalled", openings=2))
    assert not breaker.confirmed(Circuit(open=True, kind="stalled", openings=1))
    assert not breaker.confirmed(Circuit(kind="refused", openings=3))


def test_a_slow_start_that_nobody_asks_for_ends_by_itself() -> None:
    back = breaker.probed(after(GONE), good=True, reason="", now=120.0, chance=0.0)
    assert breaker.places(breaker.rested(back, 4, 120.0 + breaker.REST_S - 1), 4) == 1
    assert breaker.places(breaker.rested(back, 4, 120.0 + breaker.REST_S), 4) == 4


def test_what_failed_and_is_not_asked_any_more_is_let_go_after_a_while() -> None:
    """A fallback that was mended meanwhile; one that stands still is not."""
    refused = after(*[REFUSED] * FAILURES)
    assert breaker.rested(refused, 4, refused.retry_at + breaker.REST_S - 1) is refused
    assert not breaker.rested(refused, 4, refused.retry_at + breaker.REST_S).open


def test_hearsay_closes_nobody_out_but_the_next_failure_does() -> None:
    heard = breaker.hinted(CLOSED, 100.0)
    assert not heard.open and breaker.admits(heard, 100.0) and breaker.errors(heard, 100.0) < breaker.UNSTEADY
    assert breaker.failed(heard, REFUSED, 101.0, 0.5).open
    assert breaker.succeeded(heard, 101.0).failures == 0
    opened = after(GONE)
    assert breaker.hinted(opened, 100.0) is opened


def test_hearsay_outlives_good_probes_for_a_while_and_is_forgotten() -> None:
    heard = breaker.hinted(CLOSED, 100.0)
    assert breaker.rested(heard, 4, 120.0).failures == FAILURES - 1
    assert breaker.rested(heard, 4, 125.0) is CLOSED
