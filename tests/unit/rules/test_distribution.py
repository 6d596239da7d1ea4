"""Histograms: their bounds, what is no figure, and what is shown of them."""

from __future__ import annotations

import math

import pytest

from homeport.rules.distribution import FIRST, LAST, Histogram, Spread, ticks


def counted(*figures: float) -> Histogram:
    found = Histogram()
    for figure in figures:
        found.add(figure)
    return found


@pytest.mark.parametrize("figure", [0.0, -1.0, math.nan, math.inf, -math.inf])
def test_what_is_no_figure_is_not_counted(figure: float) -> None:
    assert counted(figure) == Histogram()


def test_it_cannot_grow_without_end() -> None:
    found = counted(*(10.0**power for power in range(-300, 300)))
    assert len(found.counts) <= LAST - FIRST + 1
    assert (found.count, found.lowest, found.highest) == (600, 1e-300, 1e299)
    assert len(found.columns(44)) <= 44


def test_none_has_nothing_to_show() -> None:
    assert (Histogram().quantile(0.5), Histogram().columns(9), Histogram().figures()) == (None, [], None)
    assert Spread().figures() == {"first_token_ms": None, "tok_per_s": None}


def test_one_figure_is_every_quantile() -> None:
    assert [counted(417.3).quantile(share) for share in (0.0, 0.5, 1.0)] == [417.3] * 3


def test_what_is_shown() -> None:
    assert counted(100.0, 100.0, 100.0, 900.0).figures() == {
        "count": 4,
        "min": 100.0,
        "p5": 103.0,
        "p50": 103.0,
        "p95": 899.0,
        "p99": 899.0,
        "max": 900.0,
        "buckets": [[98.7, 108.0, 3], [861.0, 939.0, 1]],
    }


def test_merging_an_empty_one_changes_nothing() -> None:
    found = counted(3.0, 5.0)
    found.merge(Histogram())
    empty = Histogram()
    empty.merge(found)
    assert found == empty == counted(3.0, 5.0)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(37, 2100, [100, 300, 1000]), (9, 60, [10, 20, 50]), (3, 4, []), (0.01, 1e7, [0.01, 1, 100, 10_000, 1_000_000])],
)
def test_an_axis(low: float, high: float, expected: list[float]) -> None:
    assert list(ticks(low, high)) == pytest.approx(expected)
