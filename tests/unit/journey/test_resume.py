"""The ways of an ask whose answer may be told by several attempts."""

from __future__ import annotations

from collections.abc import Iterator

from homeport.errors import BrokeMidStream, ClientLeft, Stalled
from homeport.journey.resume import Resumption
from homeport.vocabulary import CHAT, Begun, Route
from homeport.wire.bridge import BRIDGES
from tests.dialects import ask
from tests.faults.engines import openai

BRIDGE = BRIDGES["openai"][CHAT]
BROKE = BrokeMidStream("x")


def route(backend: str, model: str = "m", engine: str | None = "llama.cpp") -> Route:
    return Route(backend, model, on_break="continue", engine=engine)


A, B, C = route("a"), route("b"), route("c", "other")


def said(resumption: Resumption, way: Route, *tokens: str, **fields: object) -> None:
    """One attempt, which says so much."""
    stream = resumption.stream(ask(CHAT, stream=True, **fields), BRIDGE, way, "openai", 0)
    for token in tokens:
        stream.feed(openai(CHAT.value, token))


def names(ways: Iterator[Route]) -> list[str]:
    return [way.backend for way in ways]


def test_before_the_commit_point_the_routes_come_in_their_order() -> None:
    resumption = Resumption([A, C, B])
    ways = resumption.ways()
    for expected in (A, C, B):
        assert next(ways) == expected
        said(resumption, expected)
        assert not resumption.after(BROKE)
    assert names(ways) == []
    assert resumption.times == 0


def test_after_it_the_same_model_goes_on_with_what_was_said() -> None:
    resumption = Resumption([A, C, B])
    ways = resumption.ways()
    said(resumption, next(ways), "The", " end")
    assert resumption.after(BROKE)
    second = next(ways)
    assert (second.backend, second.begun) == ("b", Begun("The end", 2))
    said(resumption, second, " of", " it")
    assert resumption.after(BROKE)
    third = next(ways)
    assert (third.backend, third.begun) == ("a", Begun("The end of it", 4))
    said(resumption, third)
    assert [(way.backend, way.begun) for way in ways] == [("b", third.begun)]
    assert resumption.times == 2


def test_who_says_nothing_is_passed_over_once() -> None:
    resumption = Resumption([A, B])
    ways = resumption.ways()
    said(resumption, next(ways), "The")
    assert names(ways) == ["b", "a"]


def test_what_does_not_go_on() -> None:
    resumption = Resumption([C, A])
    said(resumption, next(resumption.ways()), "The")
    assert resumption.after(BROKE)  # at the same place
    overdue = Stalled("x")
    overdue.overdue = True
    assert not resumption.after(overdue)
    assert not resumption.after(ClientLeft("x"))
    unknown = Resumption([route("a", engine=None)])
    said(unknown, next(unknown.ways()), "The")
    assert not unknown.after(BROKE)
    several = Resumption([A, B])
    ways = several.ways()
    said(several, next(ways), "The", n=2)
    assert (several.telling, several.after(BROKE)) == (None, False)
    assert names(ways) == ["b"]  # as for any other ask
