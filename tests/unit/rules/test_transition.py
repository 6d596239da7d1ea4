"""Hysteresis and damping, step by step."""

from __future__ import annotations

import pytest

from homeport.rules import transition
from homeport.rules.transition import DOUBLINGS, FREE, WINDOW_S, Watched
from homeport.vocabulary import Finding


def run(
    probes: str, watched: Watched | None = None, *, down_after: int = 2, up_after: int = 2, period_s: float = 15.0
) -> tuple[list[tuple[str, int]], Watched]:
    """`+` good, `-` bad, `?` neither: what is told, each with the number of its probe, and what is known in the end."""
    watched = watched or Watched()
    told = []
    for number, mark in enumerate(probes, 1):
        watched = transition.noted(watched, Finding({"+": True, "-": False, "?": None}[mark], f"reason {number}" if mark == "-" else ""), number * period_s)
        if state := transition.due(watched, down_after=down_after, up_after=up_after):
            watched = transition.told(watched)
            told.append((state, number))
    return told, watched


@pytest.mark.parametrize(
    ("probes", "told"),
    [
        ("+", [("up", 1)]),
        ("?????", []),
        ("-", []),
        ("--", [("down", 2)]),
        ("-?-", [("down", 3)]),
        ("+-+-+-+", [("up", 1)]),
        ("+--++", [("up", 1), ("down", 3), ("up", 5)]),
        ("+--+-+-++", [("up", 1), ("down", 3), ("up", 9)]),
        ("+------", [("up", 1), ("down", 3)]),
        ("--+?+", [("down", 2), ("up", 5)]),
    ],
)
def test_so_many_in_a_row(probes: str, told: list[tuple[str, int]]) -> None:
    assert run(probes)[0] == told


def test_since_the_first_that_showed_it() -> None:
    _, watched = run("+++---")
    assert (watched.state, watched.since) == ("down", 4 * 15.0)
    _, watched = run("+--+++")
    assert (watched.state, watched.since) == ("up", 4 * 15.0)


def test_down_after_one_and_up_after_many() -> None:
    assert run("+-++++", down_after=1, up_after=4)[0] == [("up", 1), ("down", 2), ("up", 6)]


def test_the_reason_is_the_last_one() -> None:
    watched = transition.noted(run("+-")[1], Finding(False, "timed out"), 99.0)
    assert watched.reason == "timed out"


def test_lapses_are_counted_and_forgotten() -> None:
    _, watched = run("+--+-+-+-")
    assert watched.lapses == 3
    assert run("++++++++", watched)[1].lapses == 0


class TestPatience:
    """More good probes for one that comes and goes."""

    def after(self, outages: int, period_s: float = 15.0) -> Watched:
        probes = ""
        watched = Watched()
        for _ in range(outages):
            probes += "--" + "+" * (2 << DOUBLINGS)
        told, watched = run(probes[: -(2 << DOUBLINGS)], watched, period_s=period_s)
        assert [state for state, _ in told].count("down") == outages
        return watched

    @pytest.mark.parametrize(("outages", "wanted"), [(1, 2), (FREE, 2), (FREE + 1, 4), (FREE + 2, 8), (FREE + DOUBLINGS, 64), (FREE + DOUBLINGS + 4, 64)])
    def test_it_doubles_from_the_fourth_on(self, outages: int, wanted: int) -> None:
        watched = self.after(outages, period_s=1.0)
        assert transition.patience(watched, 2) == wanted

    def test_old_outages_do_not_count(self) -> None:
        watched = self.after(FREE + 3, period_s=1.0)
        later = transition.noted(watched, Finding(True), watched.since + 2 * WINDOW_S)
        assert transition.patience(later, 2) == 2

    def test_untold_ones_count(self) -> None:
        _, watched = run("+--" + "+-" * 30 + "+")
        assert transition.patience(watched, 2) == 64
