"""A request with the beginning of its answer in it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from homeport.vocabulary import CHAT, GENERATE, MESSAGES, OLLAMA_CHAT, RESPONSES, Begun, Route, Surface
from homeport.wire.bridge import BRIDGES
from homeport.wire.prefill import given, kept, prefilled
from tests.dialects import ask

HI = {"role": "user", "content": "hi"}
FLAGS = {"continue_final_message": True, "add_generation_prompt": False}


def sent(body: dict[str, Any], text: str, tokens: int, engine: str = "llama.cpp") -> dict[str, Any]:
    said: dict[str, Any] = msgspec.json.decode(prefilled(msgspec.json.encode(body), Route("b", "m", engine=engine, begun=Begun(text, tokens))))
    return said


@pytest.mark.parametrize("text", ["The", "The ", "The\n\n", " The", "“Naïve” 🚢"])
def test_a_chat_ends_with_what_was_said(text: str) -> None:
    body = {"messages": [HI], "temperature": 0.1, "x": [1.50, {"y": None}]}
    assert sent(body, text, 3) == body | FLAGS | {"messages": [HI, {"role": "assistant", "content": text}]}
    assert sent(body, text, 3, "vllm") == body | FLAGS | {"messages": [HI, {"role": "assistant", "content": text.rstrip()}]}


@pytest.mark.parametrize("engine", ["llama.cpp", "vllm"])
def test_a_prompt_without_a_template_ends_with_it_to_the_character(engine: str) -> None:
    assert sent({"prompt": "One\n", "max_tokens": 9}, "two \n", 2, engine) == {"prompt": "One\ntwo \n", "max_tokens": 7}


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        ({}, {}),
        ({"max_tokens": 50}, {"max_tokens": 46}),
        ({"max_completion_tokens": 5, "max_tokens": 50}, {"max_completion_tokens": 1, "max_tokens": 46}),
        ({"max_tokens": 2}, {"max_tokens": 1}),
        ({"max_tokens": -1}, {"max_tokens": -1}),
        ({"max_tokens": None}, {"max_tokens": None}),
    ],
)
def test_the_limit_is_lowered_by_what_was_said(limits: dict[str, Any], left: dict[str, Any]) -> None:
    said = sent({"messages": [HI], **limits}, "The", 4)
    assert {name: said[name] for name in limits} == left


def test_blanks_that_vllm_says_again_count_as_not_said() -> None:
    assert (given("a \n", "vllm"), given("a \n", "llama.cpp")) == (("a", " \n"), ("a \n", ""))
    assert (kept(Begun("a \n", 4), "vllm"), kept(Begun("a", 4), "vllm"), kept(Begun("a \n", 4), "llama.cpp")) == (3, 4, 4)
    assert sent({"messages": [HI], "max_tokens": 9}, "a \n", 4, "vllm")["max_tokens"] == 6


@pytest.mark.parametrize("surface", [CHAT, RESPONSES, MESSAGES, OLLAMA_CHAT, GENERATE])
def test_every_caller_is_gone_on_with_in_the_same_words(surface: Surface) -> None:
    route = Route("b", "m", engine="vllm", begun=Begun("The", 1))
    _, body = BRIDGES["openai"][surface].request(ask(surface, stream=True), route, stream=True)
    said = msgspec.json.decode(body)
    assert said["messages"][-1] == {"role": "assistant", "content": "The"}
    assert FLAGS.items() <= said.items()
