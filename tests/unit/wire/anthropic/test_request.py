"""Anthropic requests: what is read of them, and what is understood."""

from __future__ import annotations

import json
from typing import Any

import pytest

from homeport.errors import Malformed, Uncarried, UnknownModel
from homeport.vocabulary import COUNT_TOKENS, MESSAGES
from homeport.wire.anthropic.request import read, understand
from homeport.wire.normal import Call, Image, Prompt, Schema, Tool, Turn
from tests.unit.wire.anthropic_samples import ask

HI: list[Any] = [{"role": "user", "content": "hi"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


def asked(**fields: Any) -> Prompt:
    prompt = understand(ask({"messages": HI, **fields}))
    assert isinstance(prompt, Prompt)
    return prompt


def test_read() -> None:
    given = {
        "model": "m",
        "max_tokens": 9,
        "system": [{"type": "text", "text": "abc"}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "de"}, {"type": "tool_result", "tool_use_id": "t", "content": "f"}]},
            {"role": "assistant", "content": "gh"},
        ],
        "stream": True,
        "future": 1,
    }
    fields, model, stream, wants_usage, chars = read(json.dumps(given).encode(), MESSAGES)
    assert (model, stream, wants_usage, chars) == ("m", True, True, 8)
    assert bytes(fields["future"]) == b"1"


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"model": "m", "messages": HI}, "max_tokens"),
        ({"model": "m", "messages": HI, "max_tokens": -1}, "max_tokens"),
        ({"model": "m", "messages": HI, "max_tokens": "9"}, "max_tokens"),
        ({"model": "m", "messages": [], "max_tokens": 9}, "messages"),
        ({"model": "m", "max_tokens": 9}, "messages"),
        ({"model": "", "messages": HI, "max_tokens": 9}, "model"),
        ({"model": "m", "messages": [{"role": "user"}], "max_tokens": 9}, "messages[0].content"),
        ({"model": "m", "messages": HI, "max_tokens": 9, "tools": [1]}, "tools[0]"),
    ],
)
def test_read_names_the_field_at_fault(given: dict[str, Any], param: str) -> None:
    with pytest.raises(Malformed) as raised:
        read(json.dumps(given).encode(), MESSAGES)
    assert raised.value.param == param


def test_read_of_a_count_needs_no_limit() -> None:
    assert read(b'{"model":"m","messages":[{"role":"user","content":"hi"}]}', COUNT_TOKENS)[1:] == ("m", False, False, 2)
    with pytest.raises(UnknownModel):
        read(json.dumps({"model": "m" * 300, "messages": HI}).encode(), COUNT_TOKENS)


def test_fields_are_understood() -> None:
    prompt = asked(
        max_tokens=9,
        stop_sequences=["END"],
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        tools=[{"name": "f", "description": "d", "input_schema": SCHEMA, "strict": True, "cache_control": {"type": "ephemeral"}}],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        thinking={"type": "enabled", "budget_tokens": 2000},
        output_config={"format": {"type": "json_schema", "schema": SCHEMA}},
        metadata={"user_id": "u"},
        service_tier="auto",
    )
    assert prompt == Prompt(
        [Turn("user", ["hi"])],
        max_tokens=9,
        stop=["END"],
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        tools=[Tool("f", "d", SCHEMA, strict=True)],
        tool_choice="required",
        parallel_calls=False,
        thinking=True,
        thinking_tokens=2000,
        format=Schema(SCHEMA),
    )


def test_what_claude_code_sends_is_understood() -> None:
    """Tools, cache marks, thinking, metadata, context management, effort: all at once."""
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    prompt = asked(
        system=[{"type": "text", "text": "You help.", **mark}, {"type": "text", "text": "Be brief.", **mark}],
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "<system-reminder>x</system-reminder>"}, {"type": "text", "text": "List files", **mark}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Let me look.", "signature": "c2ln"},
                    {"type": "redacted_thinking", "data": "xyz"},
                    {"type": "text", "text": "I look.", "citations": None},
                    {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}, "caller": {"type": "direct"}},
                    {"type": "tool_use", "id": "toolu_2", "name": "Read", "input": {"path": "a"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "a b"}], "is_error": False},
                    {"type": "tool_result", "tool_use_id": "toolu_2", "content": "no such file", "is_error": True, **mark},
                    {"type": "text", "text": "Go on."},
                ],
            },
        ],
        tools=[{"name": "Bash", "description": "Run", "input_schema": SCHEMA, "eager_input_streaming": True}, {"name": "Read", "input_schema": SCHEMA}],
        thinking={"type": "adaptive", "display": "omitted"},
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        output_config={"effort": "high"},
        metadata={"user_id": "user_1"},
        temperature=1,
        stream=True,
    )
    assert prompt.turns == [
        Turn("system", ["You help.", "Be brief."]),
        Turn("user", ["<system-reminder>x</system-reminder>", "List files"]),
        Turn("assistant", ["I look."], "Let me look.", [Call("toolu_1", "Bash", '{"command":"ls"}'), Call("toolu_2", "Read", '{"path":"a"}')]),
        Turn("tool", ["a b"], answers="toolu_1", name="Bash"),
        Turn("tool", ["no such file"], answers="toolu_2", name="Read", failed=True),
        Turn("user", ["Go on."]),
    ]
    assert prompt.thinking == "high" and prompt.thinking_tokens is None
    assert [tool.name for tool in prompt.tools] == ["Bash", "Read"]


def test_images_and_a_prefill() -> None:
    prompt = asked(
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
                    {"type": "image", "source": {"type": "url", "url": "https://example.test/a.png"}},
                    {"type": "text", "text": "What?"},
                ],
            },
            {"role": "assistant", "content": "It is"},
        ]
    )
    assert prompt.turns[0].parts == [Image("iVBO", "image/png"), Image(url="https://example.test/a.png"), "What?"]
    assert prompt.turns[1] == Turn("assistant", ["It is"])


def test_system_messages_stay_in_their_place_until_they_are_cleared() -> None:
    aside = {"role": "system", "content": "Aside.", "clear_at": "next_user_message"}
    prompt = asked(system="Top.", messages=[*HI, aside, {"role": "system", "content": [{"type": "text", "text": "Stay."}]}, *HI, aside])
    assert [(turn.role, turn.text) for turn in prompt.turns] == [("system", "Top."), ("user", "hi"), ("system", "Stay."), ("user", "hi"), ("system", "Aside.")]


@pytest.mark.parametrize(
    ("thinking", "config", "expected"),
    [
        (None, None, (None, None)),
        ({"type": "adaptive"}, None, (None, None)),
        ({"type": "enabled", "budget_tokens": 1024}, {"effort": "low"}, ("low", 1024)),
        ({"type": "disabled"}, {"effort": "max"}, (False, None)),
        (None, {"effort": "max"}, ("max", None)),
    ],
)
def test_thinking_is_understood(thinking: Any, config: Any, expected: Any) -> None:
    prompt = asked(thinking=thinking, output_config=config)
    assert (prompt.thinking, prompt.thinking_tokens) == expected


def test_the_older_output_format_and_examples_of_input() -> None:
    prompt = asked(
        output_format={"type": "json_schema", "schema": SCHEMA},
        tools=[{"type": "custom", "name": "f", "input_schema": SCHEMA, "input_examples": [{"city": "Oslo"}]}],
    )
    assert prompt.format == Schema(SCHEMA)
    assert prompt.tools[0].parameters == {**SCHEMA, "examples": [{"city": "Oslo"}]}


def said_by_user(*blocks: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(blocks)}]}


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"container": "c"}, "container"),
        ({"mcp_servers": [{"name": "x"}]}, "mcp_servers"),
        ({"future": True}, "future"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"name": "f", "input_schema": {}, "defer_loading": True}]}, "tools[0].defer_loading"),
        ({"thinking": {"type": "between_tools"}}, "thinking.type"),
        ({"output_config": {"task_budget": {"total": 5}}}, "output_config.task_budget"),
        (said_by_user({"type": "document", "source": {"type": "text", "data": "x"}}), "messages[0].content[0]"),
        (said_by_user({"type": "image", "source": {"type": "file", "file_id": "f"}}), "messages[0].content[0].source"),
        (said_by_user({"type": "text", "text": "x", "citations": [{"type": "char_location"}]}), "messages[0].content[0].citations"),
        (said_by_user({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "search_result"}]}), "messages[0].content[0].content[0]"),
        ({"messages": [{"role": "user", "content": "x", "future": 1}]}, "messages[0].future"),
    ],
)
def test_what_no_other_dialect_has_is_refused(given: dict[str, Any], param: str) -> None:
    with pytest.raises(Uncarried) as raised:
        asked(**given)
    assert raised.value.param == param


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"tool_choice": {"type": []}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"output_config": {"effort": ["high"]}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "text"}}}, "output_config.format"),
        ({"output_config": 5}, "output_config"),
        ({"thinking": {"type": "enabled", "budget_tokens": "many"}}, "thinking.budget_tokens"),
        (said_by_user({"type": "tool_use", "id": "t", "name": "f", "input": {}}), "messages[0].content[0]"),
        (said_by_user({"text": "x"}), "messages[0].content[0].type"),
        (said_by_user({"type": "text", "text": 5}), "messages[0].content[0].text"),
        (said_by_user({"type": "image", "source": "x"}), "messages[0].content[0].source"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "assistant", "content": [{"type": "tool_result", "tool_use_id": "t"}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": "{}"}]}]}, "messages[0].content[0].input"),
    ],
)
def test_what_is_malformed_is_named(given: dict[str, Any], param: str) -> None:
    with pytest.raises(Malformed) as raised:
        asked(**given)
    assert raised.value.param == param
