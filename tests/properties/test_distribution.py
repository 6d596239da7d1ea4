"""A histogram against the figures themselves: quantiles within its error, merging without a loss, nothing lost on the way to disk."""

from __future__ import annotations

import math

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from homeport.rules.distribution import ERROR, Histogram, Spread, merged, ticks

FIGURES = st.floats(min_value=0.002, max_value=3e7)


def counted(figures: list[float]) -> Histogram:
    found = Histogram()
    for figure in figures:
        found.add(figure)
    return found


@given(st.lists(FIGURES, min_size=1, max_size=400), st.floats(min_value=0.0, max_value=1.0))
def test_a_quantile_is_that_of_the_sorted_figures_within_its_error(figures: list[float], share: float) -> None:
    true = sorted(figures)[max(1, math.ceil(share * len(figures))) - 1]
    found = counted(figures).quantile(share)
    assert found is not None
    assert abs(found - true) <= true * (ERROR + 1e-9)
    assert min(figures) <= found <= max(figures)


@given(st.lists(st.lists(FIGURES, max_size=40), max_size=6))
def test_merging_is_counting_all_at_once(parts: list[list[float]]) -> None:
    whole = counted([figure for part in parts for figure in part])
    together = merged(Spread(counted(part)) for part in parts).first_token_ms
    assert together == whole
    assert together.count == sum(map(len, parts))
    assert merged(Spread(counted(part)) for part in reversed(parts)).first_token_ms == whole


@given(st.lists(FIGURES, max_size=60))
def test_it_survives_the_way_to_disk(figures: list[float]) -> None:
    spread = Spread(counted(figures), counted(figures[::2]))
    assert msgspec.json.decode(msgspec.json.encode(spread), type=Spread) == spread


@given(st.lists(FIGURES, min_size=1, max_size=200), st.integers(min_value=2, max_value=60))
def test_columns_hold_every_figure_once(figures: list[float], most: int) -> None:
    found = counted(figures)
    columns = found.columns(most)
    assert 1 <= len(columns) <= most
    assert sum(column.number for column in columns) == len(figures)
    assert [column.high for column in columns[:-1]] == [column.low for column in columns[1:]]
    assert columns[0].low <= min(figures) * (1 + 1e-9)
    assert max(figures) <= columns[-1].high * (1 + 1e-9)


@given(FIGURES, st.floats(min_value=1.0, max_value=1e6))
def test_an_axis_has_few_round_figures(low: float, times: float) -> None:
    found = ticks(low, low * times)
    assert len(found) <= 5
    assert list(found) == sorted(set(found))
    assert all(low <= figure <= low * times for figure in found)
    assert found or times < 10
