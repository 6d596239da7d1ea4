"""Where requests go, and where they went."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest

from homeport.errors import HomeportError
from homeport.monitor.traffic import Traffic

ROUTES = [("assistant", ["home", "home", "vm", "pilot"]), ("chat", ["home", "vm", "pilot"]), ("coder", ["home"]), ("small", ["pilot"])]


def traffic(answers: Mapping[str | None, int], asked: list[object] | None = None) -> Traffic:
    def count(names: Collection[str], since: float, until: float) -> Mapping[str | None, int]:
        if asked is not None:
            asked.append((set(names), since, until))
        return answers

    return Traffic(lambda: ROUTES, count)


def test_where_it_goes() -> None:
    assert traffic({}).goes("home") == "to vm, then pilot (assistant, chat); nowhere (coder)"
    assert traffic({}).goes("vm") == "to home, then pilot (assistant, chat)"
    assert traffic({}).goes("other") is None


def test_many_names() -> None:
    many = Traffic(lambda: [(f"m{number}", ["home"]) for number in range(8)], lambda *_: {})
    assert many.goes("home") == "nowhere (m0, m1, m2, m3, m4 and 3 more)"


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({}, "nobody asked"),
        ({"vm": 12, "pilot": 30}, "pilot answered 30, vm 12"),
        ({"vm": 1, None: 1}, "vm answered 1; 1 was not answered"),
        ({None: 4}, "4 were not answered"),
    ],
)
def test_where_it_went(answers: Mapping[str | None, int], said: str) -> None:
    asked: list[object] = []
    assert traffic(answers, asked).went("home", 1.0, 2.0) == said
    assert asked == [({"assistant", "chat", "coder"}, 1.0, 2.0)]


def test_what_is_not_known() -> None:
    def count(*_: object) -> Mapping[str | None, int]:
        raise HomeportError("spoilt")

    assert Traffic(lambda: ROUTES, count).went("home", 1.0, 2.0) is None
    assert traffic({}).went("other", 1.0, 2.0) is None
