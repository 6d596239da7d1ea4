"""The generic cell rate algorithm, by examples; tests/properties has its bounds."""

from __future__ import annotations

import pytest

from homeport.rules.rates import spent, wait_s, whole_s


def admitted(limit: int, times: list[float]) -> list[bool]:
    level, answers = 0.0, []
    for now in times:
        fits = not wait_s(level, now, limit)
        if fits:
            level = spent(level, now, 1, limit)
        answers.append(fits)
    return answers


@pytest.mark.parametrize("limit", [1, 3, 7, 60, 6000])
def test_a_minutes_worth_may_come_at_once_and_no_more(limit: int) -> None:
    assert admitted(limit, [1e6] * (limit + 2)) == [True] * limit + [False, False]


def test_one_more_each_time_its_share_of_the_minute_is_over() -> None:
    assert admitted(6, [100.0] * 7) == [True] * 6 + [False]
    assert admitted(6, [100.0] * 6 + [109.9, 110.0, 110.1, 119.0, 120.0]) == [True] * 6 + [False, True, False, False, True]


def test_what_was_not_used_is_kept_for_a_minute_only() -> None:
    assert admitted(2, [0.0, 1000.0, 1000.0, 1000.0]) == [True, True, True, False]


def test_the_wait_is_true() -> None:
    level = spent(spent(0.0, 50.0, 1, 2), 50.0, 1, 2)
    assert wait_s(level, 50.0, 2) == 30.0
    assert wait_s(level, 79.0, 2) == 1.0
    assert wait_s(level, 80.0, 2) == 0.0


def test_what_is_known_afterwards_may_be_owed() -> None:
    level = spent(0.0, 0.0, 250, 100)  # two and a half minutes' worth by one answer
    assert wait_s(level, 0.0, 100) == pytest.approx(90.6)
    assert wait_s(level, 90.6, 100) == 0.0


def test_whole_seconds() -> None:
    assert [whole_s(seconds) for seconds in (0.001, 1.0, 1.0000000001, 1.1, 59.5)] == [1, 1, 1, 2, 60]
