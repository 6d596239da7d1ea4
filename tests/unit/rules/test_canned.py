"""What code answers in place of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.rules.canned import Canned, looked_up, written
from homeport.settings import AnswerSettings
from homeport.settings.answers import parts

FILE = Path("/data.json")


def canned(held: Any = None, **told: Any) -> Canned:
    return Canned([AnswerSettings(name="one", models=("assistant",), data=FILE, **told)], {FILE: held})


def test_none_are_false() -> None:
    assert not Canned()
    assert canned(exact=("x",), reply="y")


@pytest.mark.parametrize("text", ["help", " HELP\n", "Help"])
def test_exact_but_for_case_and_spaces(text: str) -> None:
    found = canned(exact=("help",), reply="yes")
    assert found.reply("assistant", text) == "yes"
    assert found.reply("assistant:latest", text) == "yes"
    assert found.reply("other", text) is None
    assert not found.covers("other")


@pytest.mark.parametrize("text", ["help!", "", "helpme", "help " * 60])
def test_no_more_than_exact(text: str) -> None:
    assert canned(exact=("help",), reply="yes").reply("assistant", text) is None


def test_the_first_rule_that_has_a_reply_gives_it() -> None:
    told = [
        AnswerSettings(name="a", models=("m",), pattern="show (?P<item>.+)", reply="{data.item}", data=FILE),
        AnswerSettings(name="b", models=("m",), pattern=".+", reply="no such thing"),
    ]
    found = Canned(told, {FILE: {"x": "here"}})
    assert (found.reply("m", "show x"), found.reply("m", "show y")) == ("here", "no such thing")


@given(st.text(min_size=1, max_size=40).filter(lambda text: text.split()))
def test_what_a_message_says_is_put_in_literally(text: str) -> None:
    said = " ".join(text.split())
    found = canned(pattern="say (?P<what>.+)", reply="<{what}> {not one} {}")
    if "\n" not in said:
        assert found.reply("assistant", f"say {text}") in (f"<{said}> {{not one}} {{}}", None)
        assert found.reply("assistant", f"say {text}") is not None or len(f"say {text}") > 200


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["a", "b"], 1),
        (["A", "b"], 1),
        (["a", "c"], None),
        (["twice"], None),
        (["a", "b", "c"], None),
        (["__class__"], None),
        ([], {"a": {"b": 1}, "Twice": 1, "tWice": 2}),
    ],
)
def test_looked_up(path: list[str], value: Any) -> None:
    assert looked_up({"a": {"b": 1}, "Twice": 1, "tWice": 2}, path) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [("x", "x"), (None, None), (12, "12"), (True, "true"), (["a", "b"], "a\nb"), ({"a": 1, "b": 2}, "a\nb"), ([{"a": 1}, 2], '{"a":1}\n2'), ([], ""), ("", "")],
)
def test_written(value: Any, text: str | None) -> None:
    assert written(value) == text


def test_parts_of_a_reply() -> None:
    assert parts("a {b} {data.c.d-e}{not this} {}") == ["a ", ("b",), " ", ("data", "c", "d-e"), "{not this} {}"]
    assert parts("") == []
