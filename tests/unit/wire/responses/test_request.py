"""What requests to /v1/responses ask, in the normal form: conversations of items, tools of four kinds, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from homeport.errors import CallerError, Malformed, Uncarried, UnknownModel
from homeport.vocabulary import RESPONSES
from homeport.wire.normal import Answer, Call, Image, Prompt, Schema, Tool, Turn
from homeport.wire.responses.reply import whole
from homeport.wire.responses.request import read, understand
from homeport.wire.responses.tools import Offered, offer
from tests.unit.wire.openai_samples import PNG, response

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
LOOK = {"type": "function", "name": "look", "description": "Look.", "parameters": SCHEMA, "strict": True}
PATCH = {"type": "custom", "name": "patch", "description": "Edit.", "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "a"'}}
GROUP = {"type": "namespace", "name": "agents", "description": "Helpers.", "tools": [{"type": "function", "name": "wait", "parameters": SCHEMA}]}
SEARCH = {"type": "tool_search", "execution": "client", "description": "Find tools.", "parameters": SCHEMA}
INPUT = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"], "additionalProperties": False}


def test_reading() -> None:
    fields, model, stream, usage, chars = read(b'{"model": "m", "instructions": "Be brief.", "input": "Hi", "stream": true}', RESPONSES)
    assert (set(fields), model, stream, usage, chars) == ({"model", "instructions", "input", "stream"}, "m", True, True, 11)
    items = b'[{"role": "user", "content": [{"type": "input_text", "text": "abc"}]}, {"type": "function_call_output", "call_id": "c", "output": "de"}, 3]'
    assert read(b'{"model": "m", "input": ' + items + b"}", RESPONSES)[2:] == (False, False, 5)


@pytest.mark.parametrize(
    ("param", "body"),
    [
        ("model", b'{"input": "Hi"}'),
        ("model", b'{"model": "", "input": "Hi"}'),
        ("input", b'{"model": "m"}'),
        ("input", b'{"model": "m", "input": ""}'),
        ("input", b'{"model": "m", "input": 3}'),
        ("stream", b'{"model": "m", "input": "Hi", "stream": "yes"}'),
        ("max_output_tokens", b'{"model": "m", "input": "Hi", "max_output_tokens": "many"}'),
        (None, b"nonsense"),
    ],
)
def test_what_cannot_be_read(param: str | None, body: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        read(body, RESPONSES)
    assert refused.value.param == param


def test_a_name_that_nothing_has() -> None:
    with pytest.raises(UnknownModel):
        read(b'{"model": "%b", "input": "Hi"}' % (b"m" * 300), RESPONSES)


def test_a_text_is_a_users_turn() -> None:
    assert understand(response(instructions="Be brief.")) == Prompt([Turn("system", ["Be brief."]), Turn("user", ["Hi"])])


def test_neighbours_of_one_role_are_one_turn() -> None:
    prompt = understand(
        response(
            instructions="Be brief.",
            input=[
                {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Use tools."}]},
                {"role": "user", "content": "Here I am."},
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "What is it?"},
                        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"},
                    ],
                },
                {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "A tool."}], "encrypted_content": "x"},
                {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "I look.", "annotations": []}]},
                {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "look", "arguments": "{}", "status": "completed"},
                {"type": "function_call", "call_id": "c2", "name": "wait", "namespace": "agents", "arguments": "{}"},
                {"type": "web_search_call", "id": "ws_1", "status": "completed"},
                {"type": "function_call_output", "call_id": "c1", "output": "a dot"},
                {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "done"}]},
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "short"}], "encrypted_content": "x"},
                {"type": "custom_tool_call", "call_id": "c3", "name": "patch", "input": "a\nb"},
                {"type": "custom_tool_call_output", "call_id": "c3", "output": "ok"},
                {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "nothing came of it"}]},
            ],
        )
    )
    assert prompt.turns == [
        Turn("system", ["Be brief.", "Use tools."]),
        Turn("user", ["Here I am.", "What is it?", Image(PNG, "image/png")]),
        Turn("assistant", ["I look."], reasoning="A tool.", calls=[Call("c1", "look", "{}"), Call("c2", "agents__wait", "{}")]),
        Turn("tool", ["a dot"], answers="c1"),
        Turn("tool", ["done"], answers="c2"),
        Turn("assistant", calls=[Call("c3", "patch", '{"input":"a\\nb"}')]),
        Turn("tool", ["ok"], answers="c3"),
    ]


def test_tools_of_four_kinds() -> None:
    asked = response(tools=[LOOK, PATCH, GROUP, SEARCH, {"type": "web_search", "external_web_access": True}, {"type": "tool_search"}])
    prompt = understand(asked)
    assert prompt.tools == [
        Tool("look", "Look.", SCHEMA, True),
        Tool("patch", 'Edit.\n\nThe string `input` must match this lark grammar:\nstart: "a"', INPUT),
        Tool("agents__wait", "", SCHEMA),
        Tool("tool_search", "Find tools.", SCHEMA),
    ]
    made = offer(asked.fields)
    assert made.shown == [LOOK, PATCH, GROUP, SEARCH]
    assert made.called("agents__wait") == Offered("function", "wait", "agents")
    assert made.called("patch").kind == "custom" and made.called("tool_search").kind == "tool_search"
    assert made.called("unheard of") == Offered("function", "unheard of")


def test_tools_that_a_search_brought() -> None:
    late = {"type": "namespace", "name": "mcp__home__", "description": "", "tools": [{"type": "function", "name": "lamp", "defer_loading": True}]}
    asked = response(
        input=[
            {"role": "user", "content": "Light!"},
            {"type": "tool_search_call", "call_id": "c1", "execution": "client", "arguments": {"query": "lamp"}, "status": "completed"},
            {"type": "tool_search_output", "call_id": "c1", "execution": "client", "status": "completed", "tools": [late]},
            {"type": "additional_tools", "role": "developer", "tools": [LOOK]},
        ],
        tools=[SEARCH],
    )
    prompt = understand(asked)
    assert [tool.name for tool in prompt.tools] == ["tool_search", "mcp__home__lamp", "look"]
    assert prompt.turns[1:] == [
        Turn("assistant", calls=[Call("c1", "tool_search", '{"query":"lamp"}')]),
        Turn("tool", ['{"tools":["mcp__home__lamp"]}'], answers="c1"),
    ]
    assert offer(asked.fields).called("mcp__home__lamp") == Offered("function", "lamp", "mcp__home__")


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("required", ("required", "", ["look", "patch"])),
        ({"type": "function", "name": "look"}, ("tool", "look", ["look", "patch"])),
        ({"type": "custom", "name": "patch"}, ("tool", "patch", ["look", "patch"])),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "custom", "name": "patch"}]}, ("auto", "", ["patch"])),
    ],
)
def test_tool_choice(choice: Any, expected: Any) -> None:
    prompt = understand(response(tools=[LOOK, PATCH], tool_choice=choice, parallel_tool_calls=False))
    assert (prompt.tool_choice, prompt.tool_name, [tool.name for tool in prompt.tools]) == expected
    assert prompt.parallel_calls is False


def test_how_to_answer() -> None:
    prompt = understand(
        response(
            max_output_tokens=9,
            temperature=0,
            top_p=0.5,
            reasoning={"effort": "high", "summary": "auto"},
            text={"verbosity": "low", "format": {"type": "json_schema", "name": "place", "schema": SCHEMA, "strict": True, "description": "d"}},
        )
    )
    assert (prompt.max_tokens, prompt.temperature, prompt.top_p, prompt.thinking) == (9, 0, 0.5, "high")
    assert prompt.format == Schema(SCHEMA, "place", True)
    assert understand(response(text={"format": {"type": "json_object"}}, reasoning={"effort": "none"})) == Prompt(
        [Turn("user", ["Hi"])], format="json", thinking=False
    )


def test_hints_and_nulls_go() -> None:
    hints = {"store": True, "truncation": "auto", "metadata": {"a": "b"}, "user": "u", "include": ["reasoning.encrypted_content"], "service_tier": "auto"}
    hints |= {"prompt_cache_key": "k", "client_metadata": {"x": "y"}, "stream_options": {"include_obfuscation": False}, "background": False}
    hints |= {"previous_response_id": None, "conversation": None, "made_up": None, "reasoning": {"summary": "auto"}, "text": {"verbosity": "low"}}
    assert understand(response(**hints)) == Prompt([Turn("user", ["Hi"])])


@pytest.mark.parametrize(
    ("param", "body"),
    [
        ("previous_response_id", {"previous_response_id": "resp_1"}),
        ("conversation", {"conversation": "conv_1"}),
        ("prompt", {"prompt": {"id": "p"}}),
        ("background", {"background": True}),
        ("context_management", {"context_management": [{"type": "compaction"}]}),
        ("include", {"include": ["message.output_text.logprobs"]}),
        ("top_logprobs", {"top_logprobs": 2}),
        ("made_up", {"made_up": 1}),
        ("text.format", {"text": {"format": {"type": "grammar"}}}),
        ("tools[0]", {"tools": [{"type": "web_search"}]}),
        ("tools[1]", {"tools": [LOOK, {"type": "file_search", "vector_store_ids": ["v"]}]}),
        ("tools[0]", {"tools": [{"type": "local_shell"}]}),
        ("tool_choice", {"tools": [LOOK], "tool_choice": {"type": "web_search"}}),
        ("input[0]", {"input": [{"type": "item_reference", "id": "msg_1"}]}),
        ("input[0]", {"input": [{"type": "mcp_call"}]}),
        ("input[0].content[0]", {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}),
        ("input[0].content[0]", {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}),
    ],
)
def test_what_only_openai_can_do(param: str, body: dict[str, Any]) -> None:
    with pytest.raises(Uncarried) as refused:
        understand(response(**body))
    assert refused.value.param == param and f"`{param}`" in str(refused.value)


def test_the_store_has_a_way_round() -> None:
    with pytest.raises(Uncarried, match=r"Send the whole conversation in `input`\.$"):
        understand(response(previous_response_id="resp_1"))


@pytest.mark.parametrize(
    ("param", "body"),
    [
        ("input[0]", {"input": ["Hi"]}),
        ("input[0].type", {"input": [{"text": "Hi"}]}),
        ("input[0].role", {"input": [{"role": "narrator", "content": "a"}]}),
        ("input[0].content", {"input": [{"role": "user", "content": 3}]}),
        ("input[0].call_id", {"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}),
        ("input", {"input": [{"type": "reasoning", "summary": []}]}),
        ("max_output_tokens", {"max_output_tokens": 0}),
        ("tools[0]", {"tools": [3]}),
        ("tools[0].type", {"tools": [{"name": "f"}]}),
        ("tools[0].name", {"tools": [{"type": "function", "function": {"name": "nested"}}]}),
        ("tools[0]", {"tools": [{"type": "function", "name": "f", "parameters": 3}]}),
        ("tools[1]", {"tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "f"}]}),
        ("tools[0].format", {"tools": [{"type": "custom", "name": "f", "format": {"type": "grammar"}}]}),
        ("tools[0].tools", {"tools": [{"type": "namespace", "name": "n"}]}),
        ("tool_choice", {"tool_choice": "sometimes"}),
        ("tool_choice", {"tools": [LOOK], "tool_choice": {"type": "function", "name": "other"}}),
        ("text.format.schema", {"text": {"format": {"type": "json_schema", "name": "a"}}}),
        ("temperature", {"temperature": "hot"}),
    ],
)
def test_what_is_malformed_names_its_field(param: str, body: dict[str, Any]) -> None:
    with pytest.raises(CallerError) as refused:
        understand(response(**body))
    assert type(refused.value) is Malformed and refused.value.param == param


def test_what_a_response_put_out_is_taken_in_again() -> None:
    """As the SDKs and Codex do it: the output, and the results of its calls, behind what was there."""
    tools: list[dict[str, Any]] = [LOOK, PATCH, GROUP, SEARCH]
    calls = [Call("c1", "look", "{}"), Call("c2", "agents__wait", "{}"), Call("c3", "patch", '{"input":"a"}'), Call("c4", "tool_search", '{"query":"q"}')]
    output = json.loads(whole(response(tools=tools), Answer("I look.", "A tool.", calls, "tool_calls")))["output"]
    prompt = understand(response(tools=tools, input=[{"role": "user", "content": "Hi"}, *output]))
    assert prompt.turns[1:] == [Turn("assistant", ["I look."], reasoning="A tool.", calls=calls)]
