"""The official OpenAI SDK on scripted backends: what is sent on, and how every failure shows in the SDK's own exceptions."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer, Fault, Point, Refuse, ToolCall
from tests.clients.conftest import dial
from tests.gateway import Running, Spawned, config

TEXT = "one two three four five six seven eight"
SLOW = Answer(text=TEXT, delay_s=0.2)
ASKED: Any = [{"role": "user", "content": "hi"}]


@pytest.fixture
def backend() -> Iterator[ScriptedBackend]:
    with ScriptedBackend(TEXT, style="vllm") as backend:
        yield backend


@pytest.fixture
def gateway(backend: ScriptedBackend, tmp_path: Path) -> Iterator[Running]:
    with Running(config(tmp_path, {"only": {"url": backend.url, "idle_timeout_s": 0.5}})) as gateway:
        yield gateway


@pytest.fixture
def client(gateway: Running) -> Iterator[OpenAI]:
    with dial(gateway.url) as found:
        yield found


def test_every_field_of_the_sdk_reaches_the_backend(client: OpenAI, backend: ScriptedBackend) -> None:
    fields: dict[str, Any] = {
        "temperature": 0.2,
        "top_p": 0.9,
        "max_tokens": 7,
        "seed": 3,
        "stop": ["x", "y"],
        "n": 2,
        "logprobs": True,
        "top_logprobs": 2,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "logit_bias": {"5": 1},
        "user": "ada",
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "response_format": {"type": "json_schema", "json_schema": {"name": "label", "schema": {"type": "string"}}},
        "reasoning_effort": "low",
    }
    extra: dict[str, Any] = {"grammar": 'root ::= "a"', "cache_prompt": True, "structured_outputs": {"choice": ["a"]}, "mirostat": 0}
    client.chat.completions.create(model="assistant", messages=ASKED, extra_body=extra, **fields)
    seen = backend.asks[0].fields
    assert {name: seen[name] for name in fields | extra} == fields | extra
    assert seen["messages"] == ASKED
    assert seen["model"] == "m"


def test_the_callers_key_stays_here(client: OpenAI, backend: ScriptedBackend) -> None:
    client.chat.completions.create(model="assistant", messages=ASKED)
    assert "authorization" not in backend.asks[0].headers


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_several_tool_calls(client: OpenAI, backend: ScriptedBackend, streamed: bool) -> None:
    backend.default = Answer(tool_calls=(ToolCall(name="weather", arguments='{"city": "Oslo"}'), ToolCall(name="time", id="call_2")))
    tools: Any = [{"type": "function", "function": {"name": name}} for name in ("weather", "time")]
    if streamed:
        with client.chat.completions.stream(model="assistant", messages=ASKED, tools=tools) as stream:
            message = stream.get_final_completion().choices[0].message
    else:
        message = client.chat.completions.create(model="assistant", messages=ASKED, tools=tools).choices[0].message  # type: ignore[assignment]
    assert message.tool_calls is not None
    calls: list[Any] = list(message.tool_calls)
    assert [(call.id, call.function.name, call.function.arguments) for call in calls] == [("call_1", "weather", '{"city": "Oslo"}'), ("call_2", "time", "{}")]


def test_usage_is_made_up_for_where_the_backend_gives_none(client: OpenAI, backend: ScriptedBackend) -> None:
    backend.default = Answer(text=TEXT, usage=False)
    with client.chat.completions.create(model="assistant", messages=ASKED, stream=True, stream_options={"include_usage": True}) as stream:
        last = list(stream)[-1]
    assert last.usage is not None
    assert last.usage.completion_tokens == 8


def test_an_end_that_comes_by_itself_is_seen_as_one(client: OpenAI, backend: ScriptedBackend, gateway: Running) -> None:
    backend.default = Answer(text=TEXT, fault=Fault(8, "freeze", for_s=0.05))  # finish, usage and [DONE] come in reads of their own
    with client.chat.completions.create(model="assistant", messages=ASKED, stream=True) as stream:
        chunks = list(stream)
    assert {chunk.model for chunk in chunks} == {"assistant"}
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    receipt = gateway.journal.settled(1)[0]
    assert (receipt["outcome"], receipt["completion_tokens"], receipt["prompt_tokens"] > 0) == ("ok", 8, True)


def test_an_unknown_model(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="Did you mean `assistant`") as caught:
        client.chat.completions.create(model="asistant", messages=ASKED)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("asistant")


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"temperature": "hot"}, "temperature"), ({"messages": []}, "messages"), ({"n": 0}, "n"), ({"messages": [{"content": "x"}]}, "messages[0].role")],
)
def test_a_bad_body_names_its_field(client: OpenAI, backend: ScriptedBackend, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**{"model": "assistant", "messages": ASKED, **fields})  # type: ignore[call-overload]
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"
    assert backend.generations == 0


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_what_the_backend_refuses_as_the_callers_fault(client: OpenAI, backend: ScriptedBackend, streamed: bool) -> None:
    backend.default = Refuse(status=400, message="top_p must be at most 1")
    with pytest.raises(openai.BadRequestError, match="top_p must be at most 1"):
        client.chat.completions.create(model="assistant", messages=ASKED, top_p=2, stream=streamed)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_a_backend_that_fails(client: OpenAI, backend: ScriptedBackend, streamed: bool) -> None:
    backend.default = Refuse(status=500)
    with pytest.raises(openai.InternalServerError, match="No backend could answer `assistant`") as caught:
        client.chat.completions.create(model="assistant", messages=ASKED, stream=streamed)
    assert caught.value.status_code == 503
    assert caught.value.code == "no_route"
    assert int(caught.value.response.headers["retry-after"]) > 0


HOWS = ["close", "reset", "freeze", "end", "error", "error_done", "garbage"]


@pytest.mark.parametrize("at", [3, Point.FINISH], ids=["amid", "finish"])
@pytest.mark.parametrize("how", HOWS)
def test_a_cut_stream_is_an_exception(client: OpenAI, backend: ScriptedBackend, gateway: Running, how: Any, at: Any) -> None:
    backend.default = Answer(text=TEXT, fault=Fault(at, how, after_s=0.05))
    text = ""
    raised = (openai.APIError, json.JSONDecodeError)  # the SDK's word for an event that is no JSON
    with pytest.raises(raised), client.chat.completions.create(model="assistant", messages=ASKED, stream=True) as stream:
        for chunk in stream:
            text += chunk.choices[0].delta.content or "" if chunk.choices else ""
            assert not (chunk.choices and chunk.choices[0].finish_reason)
    assert TEXT.startswith(text)
    assert text
    left = {"client_left"} if how == "garbage" else set()  # the SDK hangs up on what is no JSON, which may be seen before the end of the stream
    assert gateway.journal.settled(1)[0]["outcome"] in {"cut"} | left


@pytest.mark.parametrize("how", ["close", "error_done"])
def test_a_cut_stream_is_an_exception_for_the_async_sdk_too(backend: ScriptedBackend, gateway: Running, how: Any) -> None:
    backend.default = Answer(text=TEXT, fault=Fault(3, how, after_s=0.05))

    async def go() -> None:
        async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client:
            stream = await client.chat.completions.create(model="assistant", messages=ASKED, stream=True)
            with pytest.raises(openai.APIError):
                async for _ in stream:
                    pass

    asyncio.run(asyncio.wait_for(go(), 20))


@pytest.mark.parametrize("how", HOWS)
def test_a_whole_reply_that_breaks_is_an_exception(client: OpenAI, backend: ScriptedBackend, how: Any) -> None:
    backend.default = Answer(text=TEXT, fault=Fault(3, how))
    with pytest.raises(openai.InternalServerError, match="No backend could answer"):
        client.chat.completions.create(model="assistant", messages=ASKED)


def test_another_backend_takes_over_unseen(backend: ScriptedBackend, tmp_path: Path) -> None:
    folder = tmp_path / "two"
    folder.mkdir()
    backend.default = Answer(text="wrong words", fault=Fault(1, "close"))
    with ScriptedBackend(TEXT) as other, Running(config(folder, {"first": backend.url, "second": other.url})) as gateway, dial(gateway.url) as client:
        raw = client.chat.completions.with_raw_response.create(model="assistant", messages=ASKED)
        assert raw.parse().choices[0].message.content == TEXT
        assert (raw.headers["x-homeport-backend"], raw.headers["x-homeport-attempts"]) == ("second", "2")


def test_a_client_that_closes_its_stream(client: OpenAI, backend: ScriptedBackend, gateway: Running) -> None:
    backend.default = SLOW
    stream = client.chat.completions.create(model="assistant", messages=ASKED, stream=True)
    next(iter(stream))
    left = time.perf_counter()
    stream.close()
    assert backend.until(lambda: backend.in_flight == 0, 1.0)
    seen = backend.asks[0]
    assert seen.ended == "peer_left"
    assert seen.peer_left_at is not None
    assert seen.peer_left_at - left < 1.0
    assert gateway.journal.settled(1)[0]["outcome"] == "client_left"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_an_async_client_that_is_cancelled(backend: ScriptedBackend, gateway: Running, streamed: bool) -> None:
    backend.default = SLOW

    async def go() -> None:
        async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client:

            async def ask() -> None:
                answer = await client.chat.completions.create(model="assistant", messages=ASKED, stream=streamed)
                async for _ in answer:  # type: ignore[union-attr]
                    pass

            task = asyncio.create_task(ask())
            assert await backend.reached(lambda: bool(backend.asks) and backend.asks[0].tokens > 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await backend.reached(lambda: backend.in_flight == 0, 1.0)

    asyncio.run(asyncio.wait_for(go(), 20))
    assert backend.asks[0].ended == "peer_left"
    assert gateway.journal.settled(1)[0]["outcome"] == "client_left"


def test_keys(backend: ScriptedBackend, tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    with Spawned(config(folder, {"only": backend.url})) as gateway:
        key = gateway.run("keys", "add", "laptop").stdout.split()[0]
        assert gateway.run("keys", "add", "phone").returncode == 0  # with the last key gone, this machine may ask again
        time.sleep(0.5)  # a running gateway looks five times a second
        with dial(gateway.url) as stranger, pytest.raises(openai.AuthenticationError, match="not known here"):
            stranger.chat.completions.create(model="assistant", messages=ASKED)
        with dial(gateway.url) as stranger, pytest.raises(openai.AuthenticationError):
            stranger.models.list()
        with dial(gateway.url, key) as client:
            assert client.chat.completions.create(model="assistant", messages=ASKED).choices[0].message.content == TEXT
            backend.default = SLOW
            with pytest.raises(openai.APIError, match="revoked"), client.chat.completions.create(model="assistant", messages=ASKED, stream=True) as stream:
                next(iter(stream))
                assert gateway.run("keys", "revoke", "laptop").returncode == 0
                list(stream)
            with pytest.raises(openai.AuthenticationError):
                client.chat.completions.create(model="assistant", messages=ASKED)
        assert [receipt["key"] for receipt in gateway.journal.settled(2, 1.0)] == ["laptop", "laptop"]  # the one that was cut off, too
        assert not any(key in file.read_text(errors="replace") for file in folder.rglob("*") if file.is_file())
