"""Prompts of any dialect, as the requests of OpenAI backends."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from homeport.errors import Uncarried
from homeport.vocabulary import CHAT, COMPLETIONS, EMBEDDINGS
from homeport.wire.normal import Call, Image, Prompt, Schema, Texts, Tool, Turn
from homeport.wire.openai import request as openai_request
from homeport.wire.openai.compose import compose
from homeport.wire.openai.understand import understand
from tests.unit.wire.openai_samples import PNG, chat

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
HI = Turn("user", ["Hi"])


def body(prompt: Prompt | Texts, **options: Any) -> dict[str, Any]:
    return compose(prompt, model="theirs", stream=False, options=options)[1]


def test_the_path_and_the_stream() -> None:
    assert compose(Prompt([HI]), model="theirs", stream=True, options={}) == (
        CHAT,
        {"model": "theirs", "messages": [{"role": "user", "content": "Hi"}], "stream": True, "stream_options": {"include_usage": True}},
    )
    assert compose(Prompt([HI], raw=True), model="theirs", stream=False, options={}) == (COMPLETIONS, {"model": "theirs", "prompt": "Hi"})
    assert compose(Texts(["a", "b"], 3), model="theirs", stream=False, options={"temperature": 1}) == (
        EMBEDDINGS,
        {"model": "theirs", "input": ["a", "b"], "dimensions": 3},
    )


def test_turns() -> None:
    prompt = Prompt(
        [
            Turn("system", ["Be", "brief."]),
            Turn("user", ["Look", Image(PNG), Image(PNG, "image/webp"), Image(url="https://example.com/a")]),
            Turn("assistant", ["I look."], reasoning="hm", calls=[Call("c1", "look", "{}"), Call("c2", "look", '{"a": 1}')]),
            Turn("tool", ["it", "broke"], answers="c1", failed=True),
            Turn("tool", ["see", Image("/9j/4AAQ")], answers="c2"),
            Turn("assistant", calls=[Call("c3", "look", "{}")]),
        ]
    )
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}},
        {"id": "c2", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}},
    ]

    def image(url: str) -> dict[str, Any]:
        return {"type": "image_url", "image_url": {"url": url}}

    assert body(prompt)["messages"] == [
        {"role": "system", "content": "Be\nbrief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look"},
                image(f"data:image/png;base64,{PNG}"),
                image(f"data:image/webp;base64,{PNG}"),
                image("https://example.com/a"),
            ],
        },
        {"role": "assistant", "content": "I look.", "reasoning_content": "hm", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "Error:\nit\nbroke"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "see"}, image("data:image/jpeg;base64,/9j/4AAQ")]},
        {"role": "assistant", "content": None, "tool_calls": [calls[0] | {"id": "c3"}]},
    ]


def test_results_find_their_calls_where_a_dialect_has_no_ids() -> None:
    prompt = Prompt(
        [
            Turn("assistant", calls=[Call("", "north", "{}"), Call("", "south", "{}"), Call("", "north", "{}")]),
            Turn("tool", ["s"], name="south"),
            Turn("tool", ["n1"], name="north"),
            Turn("tool", ["n2"]),
        ]
    )
    assistant, *results = body(prompt)["messages"]
    ids = [call["id"] for call in assistant["tool_calls"]]
    assert len(set(ids)) == 3
    assert [result["tool_call_id"] for result in results] == [ids[1], ids[0], ids[2]]


def test_tools_and_their_choice() -> None:
    tool = Tool("look", "Look.", SCHEMA, True)
    made = body(Prompt([HI], tools=[tool, Tool("bare")], tool_choice="tool", tool_name="look", parallel_calls=False))
    assert made["tools"] == [
        {"type": "function", "function": {"name": "look", "description": "Look.", "parameters": SCHEMA, "strict": True}},
        {"type": "function", "function": {"name": "bare", "parameters": {"type": "object", "properties": {}}}},
    ]
    assert made["tool_choice"] == {"type": "function", "function": {"name": "look"}}
    assert made["parallel_tool_calls"] is False
    assert body(Prompt([HI], tools=[tool], tool_choice="required"))["tool_choice"] == "required"
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & body(Prompt([HI], tool_choice="auto", parallel_calls=True)).keys()


def test_sampling_and_forms() -> None:
    prompt = Prompt([HI], stop=["END"], max_tokens=5, temperature=0.0, top_p=0.5, top_k=20, min_p=0.0, repeat_penalty=1.1, seed=0, format="json")
    assert body(prompt) == {
        "model": "theirs",
        "messages": [{"role": "user", "content": "Hi"}],
        "stop": ["END"],
        "max_tokens": 5,
        "temperature": 0.0,
        "top_p": 0.5,
        "top_k": 20,
        "min_p": 0.0,
        "repeat_penalty": 1.1,
        "repetition_penalty": 1.1,
        "seed": 0,
        "response_format": {"type": "json_object"},
    }
    form = body(Prompt([HI], format=Schema(SCHEMA, "place", True)))["response_format"]
    assert form == {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA, "strict": True}}


def test_thinking() -> None:
    assert body(Prompt([HI], thinking=False))["chat_template_kwargs"] == {"enable_thinking": False}
    assert body(Prompt([HI], thinking="low"))["reasoning_effort"] == "low"
    assert body(Prompt([HI], thinking=True, thinking_tokens=99))["thinking_budget_tokens"] == 99
    assert "thinking_budget_tokens" not in body(Prompt([HI], thinking=False, thinking_tokens=99))


def test_a_routes_options_are_defaults() -> None:
    options = {"temperature": 0.3, "seed": 42, "think": False, "keep_alive": -1, "num_ctx": 4096, "cache_prompt": True}
    made = body(Prompt([HI], temperature=0.9), **options)
    assert (made["temperature"], made["seed"], made["cache_prompt"]) == (0.9, 42, True)
    assert made["chat_template_kwargs"] == {"enable_thinking": False}
    assert not {"think", "keep_alive", "num_ctx"} & made.keys()
    assert body(Prompt([HI], thinking="high"), think=False)["reasoning_effort"] == "high"
    words = body(Prompt([HI], thinking=True), chat_template_kwargs={"persona": "p", "enable_thinking": False})["chat_template_kwargs"]
    assert words == {"persona": "p", "enable_thinking": True}
    assert "max_completion_tokens" not in body(Prompt([HI], max_tokens=5), max_completion_tokens=9)


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt([Turn("system", ["Be brief."]), HI], raw=True),
        Prompt([Turn("user", ["a", Image(PNG)])], raw=True),
        Prompt([HI], raw=True, tools=[Tool("look")]),
        Prompt([Turn("assistant", [Image(PNG)])]),
        Prompt([HI], suffix="end"),  # llama.cpp and vLLM ignore it
        Prompt([HI, Turn("assistant", ["Hel"])]),  # a prefill: one repeats it, the other begins anew
    ],
)
def test_what_cannot_be_said(prompt: Prompt) -> None:
    with pytest.raises(Uncarried):
        body(prompt)


def test_what_was_understood_is_composed_again() -> None:
    """A request crosses to the normal form and back without loss, and Homeport's own reader takes it."""
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}]},
        {"role": "assistant", "content": "I look.", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "a dot"},
    ]
    sent = {
        "messages": messages,
        "tools": [{"type": "function", "function": {"name": "look", "description": "Look.", "parameters": SCHEMA}}],
        "tool_choice": "auto",
        "response_format": {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA, "strict": False}},
        "max_tokens": 7,
        "stop": ["a", "b"],
        "temperature": 0.5,
        "reasoning_effort": "low",
    }
    made = body(understand(chat(**sent)))
    assert made == sent | {"model": "theirs"}
    assert openai_request.read(msgspec.json.encode(made), CHAT)[1] == "theirs"
    json.dumps(made)
