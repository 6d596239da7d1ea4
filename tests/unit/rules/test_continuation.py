"""Who may go on with a cut answer, and after what."""

from __future__ import annotations

import pytest

from homeport.errors import BrokeMidStream, ClientLeft, HomeportError, Malformed, Refused, Stalled, Unauthenticated, Unreachable
from homeport.rules.continuation import excusable, order
from homeport.vocabulary import Route


def route(backend: str, model: str = "m", engine: str | None = "llama.cpp") -> Route:
    return Route(backend, model, on_break="continue", engine=engine)


A, B, C = route("a"), route("b", engine="vllm"), route("c", model="other")
OLLAMA, UNKNOWN, MESSAGES = route("d", engine="ollama"), route("e", engine=None), route("f", engine="anthropic")


@pytest.mark.parametrize(
    ("routes", "broken", "expected"),
    [
        ([A], A, [A]),
        ([A, B], A, [B, A]),
        ([A, B], B, [A, B]),
        ([C, A, B], A, [B, A]),
        ([A, C], A, [A]),
        ([C], C, [C]),
        ([A, OLLAMA, UNKNOWN, MESSAGES], A, [A]),
        ([OLLAMA, A], OLLAMA, [A]),
        ([OLLAMA, UNKNOWN], OLLAMA, []),
        ([A, route("b", "other")], route("b", "other"), [route("b", "other")]),
    ],
)
def test_the_same_model_elsewhere_and_then_the_same_place(routes: list[Route], broken: Route, expected: list[Route]) -> None:
    assert order(routes, broken) == expected


def test_a_backends_failure_is_excused_and_nobody_elses() -> None:
    overdue = Stalled("not done within 600 s")
    overdue.overdue = True
    assert all(map(excusable, (BrokeMidStream("x"), Stalled("x"), Unreachable("x"), Refused("x"))))
    assert not any(map(excusable, (overdue, ClientLeft("x"), Malformed("x"), Unauthenticated("x"), HomeportError("x"), ValueError("x"))))
