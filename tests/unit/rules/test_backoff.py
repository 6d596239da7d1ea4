"""The wait before the next try."""

from __future__ import annotations

import pytest

from homeport.rules import backoff


def test_it_doubles_up_to_the_longest_and_half_of_it_is_chance() -> None:
    def wait(failures: int, chance: float) -> float:
        return backoff.wait_s(failures, chance, first_s=1.0, longest_s=10.0)

    assert [wait(failures, 1.0) for failures in (1, 2, 3, 4, 5, 1000)] == [1, 2, 4, 8, 10, 10]
    assert [wait(failures, 0.0) for failures in (1, 2, 5)] == [0.5, 1, 5]
    assert wait(3, 0.5) == pytest.approx(3.0)
    assert wait(0, 1.0) == wait(1, 1.0)
