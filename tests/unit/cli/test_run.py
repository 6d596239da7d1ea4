"""`homeport run`: ask, and see the answer as it comes."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest

from .conftest import FakeGateway, Homeport

FIGURES = {"backend": "home", "model": "qwen", "location": "local", "attempts": 2, "tok_per_s": 31.4, "gen_time": 1.0, "tokens": 42, "first_token_ms": 120.0}
USAGE = {"prompt_tokens": 3, "completion_tokens": 42, "total_tokens": 45}


def delta(finish: str | None = None, **content: Any) -> dict[str, Any]:
    return {"model": "default", "choices": [{"index": 0, "delta": content, "finish_reason": finish}]}


ANSWER = [delta(role="assistant"), delta(reasoning_content="Hm."), delta(content="Hello "), delta(content="there"), delta("stop")]
LAST = {"model": "default", "choices": [], "usage": USAGE, "homeport": FIGURES}


def test_it_streams_the_text(homeport: Homeport, gateway: FakeGateway) -> None:
    gateway.streams(*ANSWER, LAST)
    ended = homeport("run", "default", "Where", "is it?")
    assert (ended.code, ended.out, ended.err) == (0, "Hello there\n", "")
    path, headers, body = gateway.seen[0]
    assert path == "POST /v1/chat/completions"
    assert body == {"model": "default", "messages": [{"role": "user", "content": "Where is it?"}], "stream": True, "stream_options": {"include_usage": True}}
    assert headers["user-agent"] == "homeport-cli"


def test_on_a_terminal_it_shows_thoughts_and_figures_but_no_control_characters(homeport: Homeport, gateway: FakeGateway, terminal: None) -> None:
    gateway.streams(*ANSWER, delta(content="\x1b]0;evil\x07!\n"), LAST)
    ended = homeport("run", "default", "hi")
    assert ended.out == "\x1b[2mHm.\x1b[0m\n\nHello there]0;evil!\n"
    assert ended.err == "\x1b[2mhome · qwen · 42 tokens, 31 tok/s, first after 120 ms, 2 attempts\x1b[0m\n"


def test_json_is_one_line_at_the_end(homeport: Homeport, gateway: FakeGateway) -> None:
    gateway.streams(*ANSWER, LAST)
    assert homeport("run", "default", "hi", "--json", "--max-tokens", "9").json == {
        "model": "default",
        "text": "Hello there",
        "reasoning": "Hm.",
        "finish_reason": "stop",
        "usage": USAGE,
        "homeport": FIGURES,
    }
    assert gateway.seen[0][2]["max_tokens"] == 9


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ([{"error": {"message": "The backend fell silent."}}], "The backend fell silent."),
        ([], "broke off; the answer is not complete"),
        (["not an object"], "broke off; the answer is not complete"),
    ],
)
def test_a_cut_answer_is_never_shown_as_complete(homeport: Homeport, gateway: FakeGateway, events: list[Any], told: str) -> None:
    gateway.streams(delta(content="Hel"), *events, done=False)
    ended = homeport("run", "default", "hi")
    assert ended.code == 1
    assert ended.out == "Hel\n"
    assert told in ended.err
    assert told in homeport("run", "default", "hi", "--json").json["error"]


def test_an_unknown_model_is_told_with_the_nearest(homeport: Homeport, gateway: FakeGateway) -> None:
    gateway.says({"error": {"message": "No model `defualt` is served here. Did you mean `default`?", "type": "t", "param": "model", "code": "c"}}, status=404)
    ended = homeport("run", "defualt", "hi")
    assert (ended.code, ended.err) == (1, "homeport: No model `defualt` is served here. Did you mean `default`?\n")


def test_the_question_may_come_from_a_pipe(homeport: Homeport, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.streams(*ANSWER)
    monkeypatch.setattr(sys, "stdin", io.StringIO("long\ntext\n"))
    assert homeport("run", "default").code == 0
    assert gateway.seen[0][2]["messages"][0]["content"] == "long\ntext\n"


def test_without_a_question_it_asks_for_one(homeport: Homeport, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(" \n"))
    ended = homeport("run", "default")
    assert (ended.code, ended.err) == (2, 'homeport: what should it answer? homeport run default "Where is my parcel?"\n')
    assert homeport("run", "default", "hi", "--max-tokens", "0").code == 2
    assert gateway.seen == []
