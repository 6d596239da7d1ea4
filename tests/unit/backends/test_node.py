"""What follows from a node's report: how well it could take an ask, its state as a whole, and when it is asked again."""

from __future__ import annotations

import pytest

from homeport.backends.node import AWAY_S, REPORT_S, Behinds
from homeport.rules.selection import FULL, OPEN, WELL
from homeport.vocabulary import Behind
from homeport.wire.node import Name, Report, Way

NOW = 100.0


def report(*behind: Behind, **names: str) -> Report:
    """These backends, and names with the backends that each leads to, with blanks between."""
    return Report("0.1.0", list(behind), [Name(name, [Way(backend) for backend in backends.split()]) for name, backends in names.items()])


def behind(name: str, state: str = "healthy", taken: int = 0, most: int = 4, reason: str = "") -> Behind:
    return Behind(name, state, reason, taken, most, 0)


def told(*backends: Behind, taken: int = 0, **names: str) -> Behinds:
    found = Behinds()
    found.take(report(*backends, **(names or {"m": " ".join(each.name for each in backends)})), taken)
    return found


@pytest.mark.parametrize(
    ("backends", "rank"),
    [
        ([behind("a")], WELL),
        ([behind("a", taken=4)], FULL),
        ([behind("a", taken=4), behind("b")], WELL),
        ([behind("a", taken=4), behind("b", "open")], FULL),
        ([behind("a", "open"), behind("b", "loading"), behind("c", "drained")], OPEN),
        ([behind("a", "open"), behind("b", "degraded")], WELL),
    ],
)
def test_the_best_of_its_routes_counts(backends: list[Behind], rank: int) -> None:
    assert told(*backends).rank("m", 0, NOW) == rank


def test_each_name_has_its_own() -> None:
    node = told(behind("a", "open"), behind("b", taken=1), m="a", n="b", **{"x:latest": "a"})
    assert [node.rank(name, 0, NOW) for name in ("m", "m:latest", "n", "x", "new")] == [OPEN, OPEN, WELL, OPEN, WELL]
    assert [node.load(name, 0) for name in ("n", "n:latest", "new")] == [1, 1, 0]


def test_the_names_that_answer_again_are_told() -> None:
    """Those that a report has as away, and the next one as there; one that is gone altogether is not."""
    node = told(behind("a", "open"), behind("b", "loading"), behind("c"), m="a", n="b", o="c", p="a")
    assert node.take(report(behind("a"), behind("b", "degraded", taken=4), behind("c", "open"), m="a", n="b", o="c"), 0) == {"m", "n"}
    assert node.take(report(behind("a"), m="a", o="a"), 0) == {"o"}


def test_what_is_taken_here_since_then_counts() -> None:
    """It said that 3 of 4 are taken, 2 of them ours: with 3 of ours it is full, and with 1 of ours it has two free."""
    node = told(behind("a", taken=3), taken=2)
    assert [node.rank("m", ours, NOW) for ours in (1, 2, 3, 4)] == [WELL, WELL, FULL, FULL]


@pytest.mark.parametrize(
    ("backends", "state", "reason"),
    [
        ([behind("a")], "healthy", ""),
        ([behind("a"), behind("b", "drained")], "healthy", ""),
        ([behind("a"), behind("b", "open", reason="connection refused")], "degraded", "behind it, b is away (connection refused)"),
        ([behind("a", "loading"), behind("b", "open")], "loading", "behind it, a is loading; b is away"),
        ([behind("a", "open", reason="connection refused")], "open", "it is up, but nothing behind it answers: a is away (connection refused)"),
        ([behind("a", "drained")], "open", "it is up, but nothing behind it answers: all is drained"),
        ([], "degraded", "it is up, and serves no model"),
    ],
)
def test_its_state_is_that_of_what_its_names_lead_to(backends: list[Behind], state: str, reason: str) -> None:
    node = told(*backends, behind("unused", "open"), m=" ".join(each.name for each in backends))
    assert (node.state, node.reason) == (state, reason)


@pytest.mark.parametrize(
    ("backends", "busy", "soon_s"),
    [
        ([behind("a")], False, float("inf")),
        ([behind("a")], True, REPORT_S),
        ([behind("a", taken=4)], False, REPORT_S),
        ([behind("a", "loading")], False, REPORT_S),
        ([behind("a", "open")], False, AWAY_S),
    ],
)
def test_it_is_asked_again_as_soon_as_that_matters(backends: list[Behind], busy: bool, soon_s: float) -> None:
    assert told(*backends).soon_s(busy=busy) == soon_s


def test_what_it_has_no_room_for_by_its_own_word_is_left_until_then() -> None:
    node = told(behind("a"), m="a", n="a")
    node.hold("m", NOW + 7)
    assert [node.rank("m", 0, now) for now in (NOW, NOW + 6.9, NOW + 7)] == [FULL, FULL, WELL]
    assert node.rank("n", 0, NOW) == WELL
    node.take(report(behind("a", "open"), m="a"), 0)
    assert node.rank("m", 0, NOW + 7) == OPEN


def test_its_load_is_that_of_everybody() -> None:
    """3 are taken there, 2 of them by us; the one of somebody else stays, whatever ours do."""
    node = told(behind("a", taken=3), behind("b", "open", taken=7), taken=2, m="a b", n="b")
    assert [node.load("m", ours) for ours in (0, 2, 4)] == [1, 3, 5]
    assert [node.load("n", 1), node.load("new", 2)] == [1, 2]


def test_its_figures_add_up() -> None:
    shown = told(Behind("a", in_flight=1, max_in_flight=4, queued=2), Behind("b", in_flight=2, max_in_flight=3, queued=0)).shown()
    assert (shown.version, shown.in_flight, shown.max_in_flight, shown.queued, [each.name for each in shown.backends]) == ("0.1.0", 3, 7, 2, ["a", "b"])
