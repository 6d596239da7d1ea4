"""Replies as tasks read them: whole, streamed, strange; and what goes along with a request."""

from __future__ import annotations

from typing import Any

import pytest

from homeport.tasks import replies
from homeport.vocabulary import Errand


def test_headers_say_the_task_and_why_it_asks_again() -> None:
    assert replies.headers(Errand("extract")) == {"homeport-task": "extract"}
    assert replies.headers(Errand("x", ("quote", "json"), True)) == {"homeport-task": "x", "homeport-checks": "quote,json", "homeport-private": "true"}


def test_names_beyond_ascii_go_along() -> None:
    assert replies.headers(Errand("größe", ("straße",))) == {"homeport-task": "gr%C3%B6%C3%9Fe", "homeport-checks": "stra%C3%9Fe"}


@pytest.mark.parametrize(
    ("body", "text", "finish"),
    [
        ({"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}, "a", "stop"),
        ({"choices": [{"message": {"content": None}, "finish_reason": "length"}]}, "", "length"),
        ({"choices": [{"text": "b"}]}, "b", None),
        ({"data": []}, "", None),
        ({"choices": None}, "", None),
        ({"choices": ["x"]}, "", None),
        ({"choices": [{"message": "x"}]}, "", None),
    ],
)
def test_a_whole_reply(body: dict[str, Any], text: str, finish: str | None) -> None:
    said = replies.whole(body, {"X-Homeport-Backend": "home", "date": "now"})
    assert (said.text, said.finish, said.headers) == (text, finish, {"x-homeport-backend": "home"})


def test_a_stream_is_put_together_and_its_figures_are_as_of_a_whole_reply() -> None:
    heard: list[str] = []
    gathered = replies.Gathered(heard.append)
    for event in (
        {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
        {"choices": [{"delta": {"content": "a"}}]},
        {"choices": [{"delta": {"content": "b"}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"completion_tokens": 2}, "homeport": {"backend": "home", "tokens": 2, "tok_per_s": 1.5, "first_token_ms": 3}},
    ):
        gathered.take(event)
    said = gathered.said({"x-request-id": "req-1"})
    assert (heard, said.text, said.finish) == (["a", "b"], "ab", "stop")
    assert said.headers == {"x-request-id": "req-1", "x-homeport-backend": "home", "x-tokens": "2", "x-tok-per-s": "1.5"}


STATUS = {
    "backends": [
        {"name": "home", "kind": "ollama", "location": "local"},
        {"name": "pilot", "kind": "pilot", "location": "local"},
        {"name": "far", "location": "cloud"},
    ],
    "models": [
        {"name": "qwen:latest", "routes": [{"backend": "home", "card": {"engine": "ollama"}}, {"backend": "far", "card": None}]},
        {"name": "default", "routes": [{"backend": "pilot", "card": None}]},
        {"name": "lost", "routes": [{"backend": "nowhere"}]},
    ],
}


@pytest.mark.parametrize(
    ("name", "places"),
    [("qwen", [("ollama", "local"), (None, "cloud")]), ("default", [("llama.cpp", "local")]), ("lost", [(None, "cloud")]), ("nope", [])],
)
def test_engine_and_location_of_what_stands_behind_a_name(name: str, places: list[Any]) -> None:
    assert replies.places(STATUS, name) == places


def test_a_character_whose_halves_come_apart_is_one_and_half_of_one_is_kept() -> None:
    heard: list[str] = []
    gathered = replies.Gathered(heard.append)
    for piece in ("a", "b\ud83d", "\ude00c", "\ud83d", "d", "\ude00", "e\ud83d"):
        gathered.take({"choices": [{"delta": {"content": piece}}]})
    assert heard == ["a", "b", "😀c", "\ud83dd", "\ude00", "e"]
    assert gathered.said({}).text == "ab😀c\ud83dd\ude00e\ud83d"
