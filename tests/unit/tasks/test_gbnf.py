"""Schemas as grammars; a real engine decodes by them in tests/journeys/test_tasks_on_the_pilot.py."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct

from homeport.tasks.gbnf import grammar
from homeport.tasks.quote import Quote
from homeport.tasks.shapes import Shape


class Inner(Struct):
    tags: list[Quote]
    good: bool | None


class Outer(Struct):
    name: Quote | None
    kind: Literal["a", "b"]
    count: int
    share: float
    inner: Inner
    note: str


class Tree(Struct):
    word: Quote
    children: list[Tree]


def rules(text: str) -> dict[str, str]:
    return dict(line.split(" ::= ", 1) if " ::= " in line else (line.removesuffix(" ::="), "") for line in text.splitlines())


@pytest.mark.parametrize("kind", [Outer, Tree, list[Quote], Quote, Quote | None, int, Literal["x", "y"]])
def test_every_rule_that_is_named_is_there(kind: Any) -> None:
    written = grammar(Shape(kind).schema, ['Ann "the Lee"'])
    assert written is not None
    found = rules(written)
    assert "root" in found
    bare = [part for body in found.values() for part in _names(body)]
    assert set(bare) <= found.keys()


def _names(body: str) -> list[str]:
    import re

    return re.findall(r"[A-Za-z][A-Za-z0-9-]*", re.sub(r'"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]', " ", body))


def test_fields_come_in_the_order_of_the_type() -> None:
    written = grammar(Shape(Outer).schema, ["Ann"]) or ""
    root = rules(written)["root"]
    places = [root.index(f'\\"{name}\\":') for name in ("name", "kind", "count", "share", "inner", "note")]
    assert places == sorted(places)


class Bounded(Struct):
    name: Quote
    size: Annotated[int, Meta(ge=3)]


@pytest.mark.parametrize("kind", [Bounded, dict[str, Quote | None], Any])
def test_what_a_grammar_cannot_say_is_left_to_the_schema(kind: Any) -> None:
    assert grammar(Shape(kind).schema, ["Ann"]) is None


def test_without_anything_to_quote_there_is_none() -> None:
    assert grammar(Shape(Outer).schema, [""]) is None
