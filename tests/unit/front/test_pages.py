"""The list of models, paged as Anthropic's clients page it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from homeport.errors import Malformed
from homeport.front import pages
from homeport.front.pages import Name, Place
from homeport.vocabulary import Card, Weights
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
