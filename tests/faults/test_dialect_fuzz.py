"""Ten thousand bodies of each dialect that are nearly right: each is answered or refused as its dialect does, at once, and nobody falls over."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from homeport.vocabulary import CHAT, COMPLETIONS, COUNT_TOKENS, EMBED, EMBEDDINGS, GENERATE, MESSAGES, OLD_EMBED, OLLAMA_CHAT, RESPONSES, Surface
from homeport.wire.dialects import HEARD, SPOKEN
from tests.caller import Caller, Heard, ask
from tests.dialects import DIALECT, FUNCTION, TALKING, TOOLS, body, error_kind, told
from tests.faults.engines import Engine, Goes
from tests.gateway import Running, config
from tests.spoiling import Spoiler, names_in, spoilt_streams, spoilt_wholes

BODIES = 10_000  # of each dialect
AT_ONCE = 4
TEXT = "all well"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Bonn"}'}}
GOOD: dict[Surface, list[dict[str, Any]]] = {
    CHAT: [
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}]},
                {"role": "assistant", "content": None, "reasoning_content": "Hm", "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "c1", "content": "rain"},
            ],
            "tools": TOOLS[CHAT],
            "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
            "parallel_tool_calls": True,
        },
        {
            "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA, "strict": True}},
            "max_completion_tokens": 9000,
            "stop": ["a"],
            "seed": 1,
        },
        {"temperature": 0.5, "top_p": 0.9, "reasoning_effort": "low", "chat_template_kwargs": {"enable_thinking": False}, "n": 1, "logprobs": False},
    ],
    COMPLETIONS: [{"suffix": "end", "max_tokens": 5, "stop": "x", "echo": False, "logprobs": None}, {"prompt": ["a"], "seed": 3, "best_of": 1}],
    EMBEDDINGS: [{"input": ["a", "b"], "encoding_format": "base64"}, {"input": "a", "dimensions": 3, "user": "me"}],
    RESPONSES: [
        {
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "Look"}, {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}]},
                {"type": "reasoning", "id": "rs", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm"}]},
                {"type": "function_call", "call_id": "c1", "name": "get_weather", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c1", "output": "rain"},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Rain."}]},
                {"role": "user", "content": "And now?"},
            ],
            "instructions": "Be brief.",
            "tools": [*TOOLS[RESPONSES], {"type": "custom", "name": "patch", "description": "Edit."}],
            "tool_choice": "auto",
            "include": ["reasoning.encrypted_content"],
        },
        {"text": {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA, "strict": True}}, "reasoning": {"effort": "low"}, "max_output_tokens": 9000},
        {"store": False, "metadata": {"a": "b"}, "temperature": 0.5, "top_p": 1, "parallel_tool_calls": False, "truncation": "disabled"},
    ],
    MESSAGES: [
        {
            "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "Look"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}],
                },
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "Hm", "signature": "x"},
                        {"type": "tool_use", "id": "t1", "name": "get_weather", "input": {"city": "Bonn"}},
                    ],
                },
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "rain"}], "is_error": False}]},
            ],
            "tools": TOOLS[MESSAGES],
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": False},
        },
        {"max_tokens": 5000, "thinking": {"type": "enabled", "budget_tokens": 2000}, "stop_sequences": ["a"], "metadata": {"user_id": "u"}},
        {"temperature": 0.5, "top_k": 3, "top_p": 0.9, "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}, "service_tier": "auto"},
    ],
    COUNT_TOKENS: [{"system": "Be brief.", "tools": TOOLS[MESSAGES]}],
    OLLAMA_CHAT: [
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Look", "images": [PNG]},
                {"role": "assistant", "content": "", "thinking": "Hm", "tool_calls": [{"function": {"name": "get_weather", "arguments": {"city": "Bonn"}}}]},
                {"role": "tool", "content": "rain", "tool_name": "get_weather"},
            ],
            "tools": [{"type": "function", "function": FUNCTION}],
        },
        {"format": SCHEMA, "options": {"temperature": 0.5, "num_predict": 9, "stop": ["a"], "seed": 1, "num_ctx": 512}, "keep_alive": "5m"},
        {"think": True, "format": "json", "keep_alive": -1, "options": {"top_k": 3, "repeat_penalty": 1.1, "mirostat": 1}},
    ],
    GENERATE: [{"system": "Be brief.", "images": [PNG], "options": {"num_predict": 3}, "think": False}, {"raw": True, "suffix": "end"}, {"context": [1, 2]}],
    EMBED: [{"input": ["a", "b"], "truncate": False, "dimensions": 3}, {"options": {"num_ctx": 9}, "keep_alive": "1m"}],
    OLD_EMBED: [{"prompt": "a", "options": {}, "keep_alive": 0}],
}
SHARES = {"openai": (CHAT, CHAT, COMPLETIONS, EMBEDDINGS), "responses": (RESPONSES,), "anthropic": (MESSAGES,) * 4 + (COUNT_TOKENS,)}
SHARES["ollama"] = (OLLAMA_CHAT, OLLAMA_CHAT, GENERATE, EMBED, OLD_EMBED)


@pytest.fixture(scope="module")
def engines() -> Iterator[dict[str, Engine]]:
    """A backend of each dialect."""
    with ExitStack() as stack:
        yield {dialect: stack.enter_context(Engine(dialect, Goes(text=TEXT))) for dialect in SPOKEN}


@pytest.fixture(scope="module")
def gateway(engines: dict[str, Engine], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One gateway before them."""
    backends = {dialect: {"kind": dialect, "url": engine.url} for dialect, engine in engines.items()}
    models = {dialect: {"routes": [{"backend": dialect, "model": "m"}]} for dialect in SPOKEN}
    with Running(config(tmp_path_factory.mktemp("fuzz"), backends, models=models), guarded=False) as gateway:
        yield gateway


def spoilt(dialect: str) -> Iterator[tuple[Surface, bytes]]:
    """Ten thousand bodies; a tenth are no JSON any more."""
    spoiler = Spoiler(sum(dialect.encode()))
    pick = spoiler.random.choice
    names = [*names_in([document for surface in SHARES[dialect] for document in GOOD[surface]]), "unknown", "n", "options", "messages", "input"]
    for number in range(BODIES):
        surface = pick(SHARES[dialect])
        good = body(surface, model=pick(sorted(SPOKEN)), stream=bool(number % 2)) | pick([{}, *GOOD[surface]])
        data = json.dumps(spoiler.document(good, names), ensure_ascii=number % 3 == 0).encode("utf-8", "surrogatepass")
        yield surface, spoiler.bytes(data) if number % 10 == 0 else data


@pytest.mark.parametrize("dialect", HEARD)
def test_ten_thousand_bodies(gateway: Running, caplog: pytest.LogCaptureFixture, dialect: str) -> None:
    bodies = spoilt(dialect)
    statuses: Counter[int] = Counter()

    async def some(number: int) -> None:
        async with Caller(gateway.url) as caller:
            if number == 0:  # a connection that once asked for a page stays with the other way in
                assert (await caller.ask(method="GET", path="/ready")).status == 200
            for surface, data in bodies:
                heard = await asyncio.wait_for(caller.ask(data, path=surface.value), 20)
                try:
                    statuses[answered(surface, heard)] += 1
                except (AssertionError, ValueError, LookupError, TypeError) as wrong:
                    raise AssertionError(f"{surface} {data!r} → {heard.status} {heard.end} {heard.body!r}") from wrong

    async def go() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(AT_ONCE):
                group.create_task(some(number))

    with caplog.at_level(logging.ERROR, "homeport"):
        asyncio.run(go())
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert sum(statuses.values()) == BODIES
    assert min(statuses[200], statuses[400]) > BODIES // 10  # both what is read and what is refused were met
    assert set(statuses) <= {200, 400, 404}
    assert gateway.idle(5)


ANSWERS = 300  # of each kind and dialect


@pytest.mark.parametrize("dialect", SPOKEN)
def test_whatever_an_engine_says(gateway: Running, engines: dict[str, Engine], caplog: pytest.LogCaptureFixture, dialect: str) -> None:
    """Nobody falls over; what is not whole is refused, or an error and an aborted connection."""
    statuses: Counter[int | str] = Counter()
    said = [*(Goes(stream=stream) for stream in spoilt_streams(dialect, 6)[:ANSWERS]), *(Goes(document=each) for each in spoilt_wholes(dialect, 7)[:ANSWERS])]

    async def go() -> None:
        for number, goes in enumerate(said):
            engines[dialect].goes = goes
            surface, stream = carried(dialect)[number % 5], number // 5 % 2 == 0
            heard = await asyncio.wait_for(ask(gateway.url, body(surface, model=dialect, stream=stream, tools=True), path=surface.value), 20)
            try:
                statuses[ended(surface, heard, stream=stream, passed=DIALECT[surface] == dialect)] += 1
            except (AssertionError, ValueError, LookupError, TypeError) as wrong:
                raise AssertionError(f"{surface} {goes} → {heard.status} {heard.end} {heard.body!r}") from wrong

    with caplog.at_level(logging.ERROR, "homeport"):
        asyncio.run(go())
    engines[dialect].goes = Goes(text=TEXT)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert set(statuses) == {200, 503, "cut"}
    assert min(statuses.values()) > 5
    assert gateway.idle(5)


def carried(dialect: str) -> list[Surface]:
    """Five surfaces whose asks a backend of this dialect can be sent."""
    return [surface for surface in TALKING if surface is not (COMPLETIONS if dialect == "anthropic" else GENERATE)]


def ended(surface: Surface, heard: Heard, *, stream: bool, passed: bool) -> int | str:
    """How an answer ended, which must be one of three ways. What is passed on as it came is for its reader to judge."""
    if heard.status == 503:
        assert heard.end == "complete" and error_kind(surface, heard.body)
        return 503
    assert heard.status == 200
    if heard.end == "complete":
        assert passed or told(surface, heard.body, stream=stream).whole
        return 200
    assert stream
    assert passed or (len(told(surface, heard.body, stream=True).errors), told(surface, heard.body, stream=True).ended) == (1, False)
    return "cut"


def answered(surface: Surface, heard: Heard) -> int:
    """The status of an answer that is what its dialect says it should be."""
    assert heard.end == "complete"
    if heard.status != 200:
        assert error_kind(surface, heard.body)
    elif surface in TALKING:
        kind = heard.headers["content-type"]
        found = told(surface, heard.body, stream=not kind.startswith("application/json"))
        assert found.whole
        assert found.text == TEXT or found.finish in ("load", "unload")
    elif surface is COUNT_TOKENS:
        assert heard.json["input_tokens"] >= 0
    else:
        assert heard.json.keys() & {"embedding", "embeddings", "data"}
    return heard.status


def test_every_surface_is_tried() -> None:
    assert set(itertools.chain(*SHARES.values())) == set(Surface) == set(GOOD)
    assert all(DIALECT[surface] == dialect for dialect, surfaces in SHARES.items() for surface in surfaces)
