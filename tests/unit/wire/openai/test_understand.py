"""What OpenAI requests ask, in the normal form, and what of them no other dialect can say."""

from __future__ import annotations

from typing import Any

import pytest

from homeport.errors import CallerError, Malformed, Uncarried
from homeport.vocabulary import EMBEDDINGS
from homeport.wire.normal import Call, Image, Prompt, Schema, Texts, Tool, Turn
from homeport.wire.openai.understand import understand
from tests.unit.wire.openai_samples import PNG, ask, chat, completion

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


def test_a_conversation_with_everything_in_it() -> None:
    data = f"data:image/png;base64,{PNG}"
    prompt = understand(
        chat(
            messages=[
                {"role": "developer", "content": "Be brief."},
                {
                    "role": "user",
                    "name": "ann",
                    "content": [
                        {"type": "text", "text": "What is it?"},
                        {"type": "image_url", "image_url": {"url": data, "detail": "low"}},
                        {"type": "image_url", "image_url": {"url": "https://example.com/a.jpg"}},
                    ],
                },
                {
                    "role": "assistant",
                    "content": None,
                    "reasoning_content": "A tool.",
                    "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"deep": true}'}}],
                    "annotations": [],
                    "refusal": None,
                },
                {"role": "tool", "tool_call_id": "call_1", "content": "a dot"},
                {"role": "assistant", "content": "A dot.", "reasoning": "vLLM's name"},
            ],
            tools=[{"type": "function", "function": {"name": "look", "description": "Look.", "parameters": SCHEMA, "strict": True}}],
            tool_choice={"type": "function", "function": {"name": "look"}},
            parallel_tool_calls=False,
            response_format={"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA, "strict": True}},
        )
    )
    assert prompt == Prompt(
        [
            Turn("system", ["Be brief."]),
            Turn("user", ["What is it?", Image(PNG, "image/png"), Image(url="https://example.com/a.jpg")]),
            Turn("assistant", reasoning="A tool.", calls=[Call("call_1", "look", '{"deep": true}')]),
            Turn("tool", ["a dot"], answers="call_1"),
            Turn("assistant", ["A dot."], reasoning="vLLM's name"),
        ],
        tools=[Tool("look", "Look.", SCHEMA, True)],
        tool_choice="tool",
        tool_name="look",
        parallel_calls=False,
        format=Schema(SCHEMA, "place", True),
    )


def test_how_to_sample() -> None:
    prompt = understand(
        chat(
            stop="END",
            max_tokens=9,
            max_completion_tokens=10,
            temperature=0,
            top_p=0.5,
            top_k=20,
            min_p=0.1,
            frequency_penalty=1,
            presence_penalty=-1,
            repeat_penalty=1.1,
            seed=2**40,
        )
    )
    assert isinstance(prompt, Prompt)
    assert (prompt.stop, prompt.max_tokens, prompt.temperature, prompt.top_p, prompt.top_k, prompt.min_p) == (["END"], 10, 0, 0.5, 20, 0.1)
    assert (prompt.frequency_penalty, prompt.presence_penalty, prompt.repeat_penalty, prompt.seed) == (1, -1, 1.1, 2**40)


@pytest.mark.parametrize(
    ("body", "thinking"),
    [
        ({}, None),
        ({"reasoning_effort": "high"}, "high"),
        ({"reasoning_effort": "none"}, False),
        ({"reasoning_effort": None}, None),
        ({"chat_template_kwargs": {"enable_thinking": False}}, False),
        ({"chat_template_kwargs": {"thinking": True}}, True),
        ({"chat_template_kwargs": {"reasoning_effort": "low"}}, "low"),
        ({"think": False, "reasoning_effort": "high"}, False),
    ],
)
def test_thinking(body: dict[str, Any], thinking: object) -> None:
    prompt = understand(chat(**body))
    assert isinstance(prompt, Prompt) and prompt.thinking == thinking and type(prompt.thinking) is type(thinking)


@pytest.mark.parametrize(
    ("body", "form"),
    [
        ({"response_format": {"type": "text"}}, None),
        ({"response_format": {"type": "json_object"}}, "json"),
        ({"response_format": {"type": "json_object", "schema": SCHEMA}}, Schema(SCHEMA)),
        ({"json_schema": SCHEMA}, Schema(SCHEMA)),
        ({"structured_outputs": {"json": SCHEMA}}, Schema(SCHEMA)),
    ],
)
def test_forms(body: dict[str, Any], form: object) -> None:
    prompt = understand(chat(**body))
    assert isinstance(prompt, Prompt) and prompt.format == form


def test_hints_and_nulls_go() -> None:
    hints = {"user": "u", "metadata": {"a": "b"}, "store": False, "service_tier": "auto", "prompt_cache_key": "k", "stream": True}
    hints |= {"stream_options": {"include_usage": True}, "logit_bias": None, "n": 1, "logprobs": False, "max_tokens": -1, "made_up": None}
    assert understand(chat(**hints)) == Prompt([Turn("user", ["Hi"])])


@pytest.mark.parametrize(
    ("param", "body"),
    [
        ("n", {"n": 2}),
        ("logprobs", {"logprobs": True}),
        ("logit_bias", {"logit_bias": {"50256": -100}}),
        ("modalities", {"modalities": ["text", "audio"]}),
        ("made_up", {"made_up": 1}),
        ("messages[0].prefix", {"messages": [{"role": "user", "content": "a", "prefix": True}]}),
        ("messages[0].content[0]", {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]}]}),
        ("messages[0].audio", {"messages": [{"role": "assistant", "audio": {"id": "a"}}]}),
        ("tools[0]", {"tools": [{"type": "custom", "custom": {"name": "a"}}]}),
        ("tool_choice", {"tool_choice": {"type": "allowed_tools", "allowed_tools": {}}}),
        ("response_format", {"response_format": {"type": "grammar"}}),
        ("structured_outputs", {"structured_outputs": {"choice": ["a", "b"]}}),
        ("chat_template_kwargs.persona", {"chat_template_kwargs": {"persona": "pirate"}}),
    ],
)
def test_what_no_other_dialect_can_say(param: str, body: dict[str, Any]) -> None:
    with pytest.raises(Uncarried) as refused:
        understand(chat(**body))
    assert refused.value.param == param
    assert f"`{param}`" in str(refused.value)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("param", "body"),
    [
        ("max_tokens", {"max_tokens": 0}),
        ("messages[0].role", {"messages": [{"role": "narrator", "content": "a"}]}),
        ("messages[0].content[0]", {"messages": [{"role": "user", "content": [{"type": "text"}]}]}),
        ("messages[0].content[0]", {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}]}),
        ("tools[0].function", {"tools": [{"type": "function", "name": "flat"}]}),
        ("tools[0].function.parameters", {"tools": [{"type": "function", "function": {"name": "f", "parameters": 3}}]}),
        ("response_format", {"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}}),
        ("tool_choice", {"tool_choice": "sometimes"}),
        ("top_k", {"top_k": "many"}),
        ("reasoning_effort", {"reasoning_effort": 3}),
    ],
)
def test_what_is_malformed_names_its_field(param: str, body: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as refused:
        understand(chat(**body))
    assert refused.value.param == param


def test_older_ways_to_call() -> None:
    messages = [
        {"role": "assistant", "content": "", "function_call": {"name": "look", "arguments": "{}"}},
        {"role": "function", "name": "look", "content": "a dot"},
        {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "look", "arguments": {"a": 1}}}]},
    ]
    prompt = understand(chat(messages=messages))
    assert isinstance(prompt, Prompt)
    assert prompt.turns == [
        Turn("assistant", calls=[Call("", "look", "{}")]),
        Turn("tool", ["a dot"], name="look"),
        Turn("assistant", calls=[Call("1", "look", '{"a":1}')]),
    ]


def test_completions() -> None:
    assert understand(completion(prompt=["Once"], suffix="end", max_tokens=5)) == Prompt([Turn("user", ["Once"])], raw=True, suffix="end", max_tokens=5)


@pytest.mark.parametrize(
    ("param", "body"),
    [
        ("prompt", {"prompt": ["a", "b"]}),
        ("prompt", {"prompt": [1, 2]}),
        ("prompt", {"prompt": None}),
        ("echo", {"echo": True}),
        ("best_of", {"best_of": 3}),
        ("logprobs", {"logprobs": 0}),
        ("n", {"n": 3}),
    ],
)
def test_completions_that_cannot_be_carried(param: str, body: dict[str, Any]) -> None:
    with pytest.raises(CallerError) as refused:
        understand(completion(**body))
    assert refused.value.param == param


def test_embeddings() -> None:
    assert understand(ask(EMBEDDINGS, {"input": "a"})) == Texts(["a"])
    assert understand(ask(EMBEDDINGS, {"input": ["a", "b"], "dimensions": 3, "encoding_format": "base64"})) == Texts(["a", "b"], 3, base64=True)
    for body in ({"input": [1, 2]}, {"input": "a", "encoding_format": "hex"}, {"input": "a", "truncate": 3}):
        with pytest.raises(CallerError):
            understand(ask(EMBEDDINGS, body))
