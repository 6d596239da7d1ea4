"""A prompt as the request of a backend that speaks Anthropic's dialect: composed, or passed on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from homeport.errors import Uncarried
from homeport.vocabulary import COUNT_TOKENS
from homeport.wire.anthropic.compose import DEFAULT_MAX_TOKENS, compose
from homeport.wire.anthropic.request import passing, understand
from homeport.wire.normal import Call, Image, Prompt, Schema, Tool, Turn
from tests.unit.wire.anthropic_samples import ask

HI: list[Any] = [{"role": "user", "content": "hi"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


def body(prompt: Prompt | None = None, *, stream: bool = False, options: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    prompt = prompt or Prompt([Turn("user", ["hi"])], **fields)
    return compose(prompt, model="theirs", stream=stream, options=options or {})


def test_a_prompt_is_composed() -> None:
    out = body(
        stream=True,
        tools=[Tool("f", "d", {"properties": {}}, strict=True), Tool("g")],
        tool_choice="tool",
        tool_name="f",
        parallel_calls=False,
        format=Schema(SCHEMA),
        stop=["END"],
        max_tokens=9,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        thinking=False,
        frequency_penalty=0,
        repeat_penalty=1,
    )
    assert out == {
        "model": "theirs",
        "stream": True,
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [
            {"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {}}, "strict": True},
            {"name": "g", "input_schema": {"type": "object", "properties": {}}},
        ],
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
        "stop_sequences": ["END"],
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "thinking": {"type": "disabled"},
    }
    assert body() == {"model": "theirs", "stream": False, "messages": HI, "max_tokens": DEFAULT_MAX_TOKENS}


def test_turns_become_messages() -> None:
    turns = [
        Turn("system", ["One.", "Two."]),
        Turn("user", ["a"]),
        Turn("user", ["b", Image("/9j/4A")]),
        Turn("assistant", ["c"], reasoning="unsigned", calls=[Call("call:1", "f", '{"x":1}'), Call("", "g", " ")]),
        Turn("tool", ["r1"], answers="call:1"),
        Turn("system", ["Three."]),
        Turn("tool", [Image(url="https://example.test/a")], name="g", failed=True),
        Turn("user", ["d"]),
        Turn("assistant", []),
        Turn("assistant", ["e"]),
    ]
    out = body(Prompt(turns))
    assert out["system"] == "One.\n\nTwo.\n\nThree."
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/4A"}}
    assert out["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, picture]},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "c"},
                {"type": "tool_use", "id": "call_1", "name": "f", "input": {"x": 1}},
                {"type": "tool_use", "id": "toolu_3_1", "name": "g", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": "r1"},
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_3_1",
                    "content": [{"type": "image", "source": {"type": "url", "url": "https://example.test/a"}}],
                    "is_error": True,
                },
                {"type": "text", "text": "d"},
            ],
        },
        {"role": "assistant", "content": "e"},
    ]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"raw": True}, "prompt"),
        ({"suffix": "x"}, "suffix"),
        ({"seed": 0}, "seed"),
        ({"min_p": 0.1}, "min_p"),
        ({"frequency_penalty": 1}, "frequency_penalty"),
        ({"presence_penalty": -1}, "presence_penalty"),
        ({"repeat_penalty": 1.1}, "repeat_penalty"),
        ({"format": "json"}, "response_format"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"thinking": "galactic"}, "reasoning_effort"),
        ({"thinking": True, "max_tokens": 1024}, "max_tokens"),
        ({"turns": []}, "messages"),
        ({"turns": [Turn("system", ["x"])]}, "messages"),
        ({"turns": [Turn("system", [Image("x")])]}, "messages"),
        ({"turns": [Turn("user", [Image("AAAA")])]}, "messages"),
        ({"turns": [Turn("assistant", calls=[Call("1", "f", "[1]")])]}, "messages"),
        ({"turns": [Turn("tool", ["x"])]}, "messages"),
    ],
)
def test_what_the_api_cannot_be_told_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(Uncarried) as raised:
        body(Prompt(fields.pop("turns", [Turn("user", ["hi"])]), **fields))
    assert raised.value.param == param


@pytest.mark.parametrize(
    ("fields", "options", "expected"),
    [
        ({"thinking": True}, {}, {"thinking": {"type": "enabled", "budget_tokens": 4096}, "max_tokens": 8192}),
        ({"thinking": "low", "max_tokens": 9000}, {}, {"thinking": {"type": "enabled", "budget_tokens": 2048}, "max_tokens": 9000}),
        ({"thinking": "max", "max_tokens": 9000}, {}, {"thinking": {"type": "enabled", "budget_tokens": 8999}, "max_tokens": 9000}),
        ({"thinking_tokens": 1500}, {}, {"thinking": {"type": "enabled", "budget_tokens": 1500}, "max_tokens": 5596}),
        ({"thinking": "none"}, {}, {"thinking": {"type": "disabled"}, "max_tokens": 4096}),
        ({"thinking": "max"}, {"thinking": {"type": "adaptive"}}, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}, "max_tokens": 4096}),
        ({"thinking": True}, {"thinking": {"type": "adaptive"}}, {"thinking": {"type": "adaptive"}, "max_tokens": 4096}),
        ({}, {"think": True, "max_tokens": 5000}, {"thinking": {"type": "enabled", "budget_tokens": 4096}, "max_tokens": 5000}),
        ({"max_tokens": 100}, {"think": True}, {"max_tokens": 100}),
        ({"thinking": True}, {"think": False}, {"thinking": {"type": "enabled", "budget_tokens": 4096}, "max_tokens": 8192}),
        ({}, {"think": False, "seed": 42, "keep_alive": -1, "num_ctx": 8192}, {"thinking": {"type": "disabled"}, "max_tokens": 4096}),
        ({}, {"stop": "END", "num_predict": 77, "chat_template_kwargs": {}}, {"stop_sequences": ["END"], "max_tokens": 77, "chat_template_kwargs": {}}),
        ({"max_tokens": 5, "temperature": 0.1}, {"max_tokens": 9, "temperature": 0.9}, {"max_tokens": 5, "temperature": 0.1}),
    ],
)
def test_thinking_limits_and_defaults(fields: dict[str, Any], options: dict[str, Any], expected: dict[str, Any]) -> None:
    out = body(options=options, **fields)
    assert {name: value for name, value in out.items() if name not in ("model", "stream", "messages")} == expected


def test_what_is_understood_composes_to_the_same() -> None:
    given = {
        "system": "Top.",
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": [{"type": "text", "text": "b"}, {"type": "tool_use", "id": "t1", "name": "f", "input": {"x": [1]}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "r", "is_error": True}, {"type": "text", "text": "c"}]},
        ],
        "tools": [{"name": "f", "input_schema": SCHEMA | {"type": "object"}}],
        "tool_choice": {"type": "any"},
        "max_tokens": 50,
        "stop_sequences": ["x"],
    }
    prompt = understand(ask(given))
    assert isinstance(prompt, Prompt)
    assert body(prompt) == given | {"model": "theirs", "stream": False}


def test_passing_keeps_every_field_of_the_caller() -> None:
    given = ask({"messages": HI, "future": {"x": [1.0, None]}, "stream": True, "temperature": 0.5})
    out = json.loads(passing(given, model="theirs", stream=True, options={"temperature": 1, "top_k": 5, "think": False, "seed": 3}))
    assert out == {
        "model": "theirs",
        "messages": HI,
        "max_tokens": 50,
        "future": {"x": [1.0, None]},
        "stream": True,
        "temperature": 0.5,
        "top_k": 5,
        "thinking": {"type": "disabled"},
    }
    assert json.loads(passing(given, model="theirs", stream=False, options={}))["stream"] is False
    assert b"stream" in passing(ask({"messages": HI}), model="theirs", stream=True, options={})
    assert b"stream" not in passing(ask({"messages": HI}), model="theirs", stream=False, options={})


def test_passing_a_count_takes_no_defaults() -> None:
    given = ask({"messages": HI, "system": "x"}, COUNT_TOKENS)
    assert json.loads(passing(given, model="theirs", stream=False, options={"top_k": 5})) == {"model": "theirs", "messages": HI, "system": "x"}
