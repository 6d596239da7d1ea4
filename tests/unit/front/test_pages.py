"""The list of models, paged as Anthropic's clients page it; and the verdict: how things stand, in one sentence for people."""

from __future__ import annotations

import json
from typing import Any

import pytest

from homeport.errors import Malformed
from homeport.front import pages
from homeport.front.pages import Name, Place
from homeport.vocabulary import Card, FleetStanding, Standing, Weights
from tests.unit.front.status.samples import Sample, standing
from tests.unit.front.test_ollama_pages import Fake

FIVE = Fake(*(Name(name, [Place("home", name)], "local") for name in "abcde"))


def listed(**query: str) -> tuple[str, bool]:
    said: dict[str, Any] = json.loads(pages.models(FIVE, query))
    ids = [row["id"] for row in said["data"]]
    assert (said["first_id"], said["last_id"]) == ((ids[0], ids[-1]) if ids else (None, None))
    return "".join(ids), said["has_more"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ("abcde", False)),
        ({"limit": "1000"}, ("abcde", False)),
        ({"limit": "5"}, ("abcde", False)),
        ({"limit": "2"}, ("ab", True)),
        ({"limit": "2", "after_id": "b"}, ("cd", True)),
        ({"limit": "2", "after_id": "d"}, ("e", False)),
        ({"after_id": "e"}, ("", False)),
        ({"after_id": "nobody"}, ("abcde", False)),
        ({"limit": "2", "before_id": "d"}, ("bc", True)),
        ({"limit": "9", "before_id": "d"}, ("abc", False)),
        ({"before_id": "a"}, ("", False)),
    ],
)
def test_paging(query: dict[str, str], expected: tuple[str, bool]) -> None:
    assert listed(**query) == expected


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1001", "", "1e3", "99999999999999999999", "²"])
def test_a_limit_that_is_none(limit: str) -> None:
    with pytest.raises(Malformed, match="`limit`"):
        listed(limit=limit)


def test_what_is_known_of_a_model_is_shown_without_its_file() -> None:
    card = Card(engine="ollama", context=4096, capabilities={"tools": True}, weights=Weights(digest="ab"))
    shown = pages.routes(Name("a", [Place("home", "m", card=card), Place("vm", "m")], "local"))
    assert shown[0]["card"]["context"] == 4096
    assert "weights" not in shown[0]["card"]
    assert shown[1] == {"backend": "vm", "model": "m", "card": None}


def test_a_name_is_found_with_its_tag_and_without() -> None:
    overview = Fake(Name("qwen:latest", [], "local"), Name("assistant", [], "local"))
    found = [pages.named(overview, name) for name in ("qwen", "qwen:latest", "assistant:latest", "nobody")]
    assert [name and name.name for name in found] == ["qwen:latest", "qwen:latest", "assistant", None]


HOME, VM, PILOT = standing("home"), standing("vm"), standing("pilot")
GONE = standing("home", "open", "connection refused")
LOADS, DRAINED = standing("vm", "loading", "loading weights"), standing("vm", "drained")
FAILS = standing("home", "degraded", "HTTP 500.")


@pytest.mark.parametrize(
    ("standings", "said"),
    [
        ([], "No backend is configured."),
        ([HOME, VM], "All is well."),
        ([GONE, VM, PILOT], "home does not answer (connection refused); the others answer."),
        ([GONE, VM], "home does not answer (connection refused); the other answers."),
        ([GONE], "Nothing can answer: home does not answer (connection refused)."),
        ([GONE, LOADS], "Nothing can answer: home does not answer (connection refused); vm is still loading."),
        ([GONE, DRAINED], "Nothing can answer: home does not answer (connection refused); vm is drained and takes no new requests."),
        ([HOME, LOADS], "vm is still loading."),
        ([LOADS, standing("pilot", "loading")], "vm, pilot are still loading."),
        ([FAILS], "home answers, but not well (HTTP 500)."),
        ([FAILS, VM], "home answers, but not well (HTTP 500)."),
        ([FAILS, DRAINED, PILOT], "home answers, but not well (HTTP 500); vm is drained and takes no new requests; the other answers."),
        ([standing("home", "open")], "Nothing can answer: home does not answer."),
        ([standing("home", "on fire", "x"), VM], "home does not answer (x); the other answers."),
        (
            [standing(name, "open", "x") for name in "abcde"] + [VM, PILOT],
            "a does not answer (x); b does not answer (x); c does not answer (x); 2 more are not well; the others answer.",
        ),
        ([standing(name, "loading") for name in "abcd"], "a, b, c and 1 more are still loading."),
    ],
)
def test_the_verdict(standings: list[Standing], said: str) -> None:
    assert pages.verdict(standings, None) == said


def test_what_the_owner_must_see_to_comes_first() -> None:
    assert pages.verdict([GONE], "no space left") == "Receipts cannot be written: no space left."


@pytest.mark.parametrize(("standings", "status"), [([HOME], 200), ([GONE, FAILS], 200), ([GONE], 503), ([LOADS], 503), ([DRAINED], 503), ([], 503)])
def test_ready_once_one_can_be_asked(standings: list[Standing], status: int) -> None:
    found, body = pages.ready(Sample(*standings))
    assert (found, json.loads(body)["ready"]) == (status, status == 200)


def test_the_verdict_tells_of_a_fleet_whose_store_is_away() -> None:
    away = FleetStanding("away", "nothing listens there", 0.0, 2, 0, "redis://h:1")
    said = "The backends are well. The fleet's store at redis://h:1 cannot be used (nothing listens there), so this gateway keeps to its share, one of 2."
    assert pages.verdict([HOME], None, away) == said
    assert pages.verdict([HOME], None, FleetStanding("together", "", 0.0, 2, 4, "redis://h:1", 0.2)) == "All is well."
    assert pages.verdict([GONE], None, away).startswith("Nothing can answer: home does not answer")
