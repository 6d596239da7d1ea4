"""Quiet hours and back-off."""

from __future__ import annotations

import pytest

from homeport.rules.notification import LONGEST_S, quiet, wait_s


@pytest.mark.parametrize(
    ("minute", "window", "held"),
    [
        (0, None, False),
        (22 * 60 + 59, (23 * 60, 7 * 60), False),
        (23 * 60, (23 * 60, 7 * 60), True),
        (0, (23 * 60, 7 * 60), True),
        (7 * 60 - 1, (23 * 60, 7 * 60), True),
        (7 * 60, (23 * 60, 7 * 60), False),
        (12 * 60, (12 * 60, 13 * 60), True),
        (13 * 60, (12 * 60, 13 * 60), False),
        (11 * 60 + 59, (12 * 60, 13 * 60), False),
    ],
)
def test_quiet_hours(minute: int, window: tuple[int, int] | None, held: bool) -> None:
    assert quiet(minute, window) is held


def test_waits_double_with_equal_jitter() -> None:
    assert [wait_s(failures, 1.0) for failures in range(1, 6)] == [1, 2, 4, 8, 16]
    assert [wait_s(failures, 0.0) for failures in range(1, 4)] == [0.5, 1, 2]
    assert wait_s(10_000, 1.0) == LONGEST_S
