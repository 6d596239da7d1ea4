"""The official OpenAI SDK on real engines: what it gets through the gateway is what the bare engine says."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from tests.clients.conftest import ADA, LONG, TALE
from tests.gateway import Spawned

WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}


class Person(BaseModel):
    name: str
    age: int


def said(text: str = "hi") -> Any:
    return [{"role": "user", "content": text}]


def test_a_chat_is_what_the_bare_engine_says(client: OpenAI, bare_client: OpenAI) -> None:
    ours = client.chat.completions.create(model="talker", messages=said())
    theirs = bare_client.chat.completions.create(model="talker", messages=said())
    assert ours.choices[0].message.content == theirs.choices[0].message.content == TALE
    assert ours.choices[0].finish_reason == theirs.choices[0].finish_reason == "stop"
    assert ours.usage is not None and theirs.usage is not None
    assert (ours.usage.prompt_tokens, ours.usage.completion_tokens) == (theirs.usage.prompt_tokens, theirs.usage.completion_tokens)
    assert ours.model == "talker"


def test_a_stream_is_what_the_bare_engine_streams(client: OpenAI, bare_client: OpenAI) -> None:
    texts = []
    for one in (client, bare_client):
        with one.chat.completions.create(model="talker", messages=said(), stream=True) as stream:
            chunks = list(stream)
        texts.append([chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content])
        assert all(chunk.usage is None for chunk in chunks)
        assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason] == ["stop"]
    assert texts[0] == texts[1]
    assert "".join(texts[0]) == TALE
    assert len(texts[0]) > 5


def test_usage_and_the_figures_of_a_stream(client: OpenAI) -> None:
    with client.chat.completions.create(model="talker", messages=said(), stream=True, stream_options={"include_usage": True}) as stream:
        chunks = list(stream)
    last = chunks[-1]
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens > 5
    assert all(chunk.usage is None for chunk in chunks[:-1])
    figures: Any = last.model_extra
    assert (figures["homeport"]["backend"], figures["homeport"]["model"], figures["homeport"]["tokens"]) == ("home", "home", last.usage.completion_tokens)


def test_the_headers_of_a_whole_reply(client: OpenAI, gateway: Spawned) -> None:
    raw = client.chat.completions.with_raw_response.create(model="talker", messages=said())
    assert raw.parse().choices[0].message.content == TALE
    assert (raw.headers["x-homeport-backend"], raw.headers["x-homeport-location"], raw.headers["x-homeport-attempts"]) == ("home", "local", "1")
    assert int(raw.headers["x-tokens"]) > 5
    assert raw.headers["x-request-id"] in {receipt["id"] for receipt in gateway.journal.receipts}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_a_tool_call(client: OpenAI, bare_client: OpenAI, streamed: bool) -> None:
    calls = []
    for one in (client, bare_client):
        if streamed:
            with one.chat.completions.stream(model="talker", messages=said("[tool]"), tools=[WEATHER]) as stream:
                choice = stream.get_final_completion().choices[0]
        else:
            choice = one.chat.completions.create(model="talker", messages=said("[tool]"), tools=[WEATHER]).choices[0]  # type: ignore[assignment]
        assert choice.finish_reason == "tool_calls"
        assert choice.message.tool_calls is not None
        (call,) = choice.message.tool_calls
        assert call.type == "function"
        assert call.id
        calls.append((call.function.name, json.loads(call.function.arguments)))
    assert calls[0] == calls[1] == ("weather", {"city": "Oslo"})


def test_the_turns_of_a_tool_call(client: OpenAI) -> None:
    first = client.chat.completions.create(model="talker", messages=said("[tool]"), tools=[WEATHER]).choices[0].message
    assert first.tool_calls
    turns: Any = [*said("[tool]"), first.to_dict(), {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "rain"}, *said("and now?")]
    assert client.chat.completions.create(model="talker", messages=turns, tools=[WEATHER]).choices[0].message.content == TALE


def test_a_parsed_answer_under_its_schema(client: OpenAI) -> None:
    person = client.chat.completions.parse(model="talker", messages=said("[json]"), response_format=Person).choices[0].message.parsed
    assert person == Person(name="Ada", age=36)


@pytest.mark.parametrize("model", ["talker", "pilot"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_the_schema_holds_whatever_the_model_would_say(client: OpenAI, model: str, streamed: bool) -> None:
    schema = {"type": "string", "enum": ["question", "other"]}
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "label", "schema": schema}}
    if streamed:
        with client.chat.completions.create(model=model, messages=said(), response_format=wanted, max_tokens=60, stream=True) as stream:
            text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    else:
        text = client.chat.completions.create(model=model, messages=said(), response_format=wanted, max_tokens=60).choices[0].message.content or ""
    assert json.loads(text) in schema["enum"]


def test_several_choices(client: OpenAI) -> None:
    reply = client.chat.completions.create(model="talker", messages=said(), n=2)
    assert [(choice.index, choice.message.content) for choice in reply.choices] == [(0, TALE), (1, TALE)]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_logprobs(client: OpenAI, streamed: bool) -> None:
    if streamed:
        with client.chat.completions.create(model="talker", messages=said(), max_tokens=3, logprobs=True, top_logprobs=2, stream=True) as stream:
            tokens = [token for chunk in stream for choice in chunk.choices if choice.logprobs for token in choice.logprobs.content or []]
    else:
        found = client.chat.completions.create(model="talker", messages=said(), max_tokens=3, logprobs=True, top_logprobs=2).choices[0].logprobs
        assert found is not None
        tokens = found.content or []
    assert "".join(token.token for token in tokens) == "The quick brown"
    assert all(token.logprob > -1e-6 and len(token.top_logprobs) == 2 for token in tokens)


def test_stop_and_a_limit(client: OpenAI) -> None:
    stopped = client.chat.completions.create(model="talker", messages=said(), stop=[" fox"]).choices[0]
    assert (stopped.message.content, stopped.finish_reason) == ("The quick brown", "stop")
    short = client.chat.completions.create(model="talker", messages=said(), max_completion_tokens=2).choices[0]
    assert (short.message.content, short.finish_reason) == ("The quick", "length")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_completions(client: OpenAI, bare_client: OpenAI, streamed: bool) -> None:
    texts = []
    for one in (client, bare_client):
        if streamed:
            with one.completions.create(model="talker", prompt="go on", stream=True) as stream:
                texts.append("".join(chunk.choices[0].text for chunk in stream if chunk.choices))
        else:
            texts.append(one.completions.create(model="talker", prompt="go on").choices[0].text)
    assert texts == [TALE, TALE]


def test_embeddings_as_floats_and_as_base64(client: OpenAI, bare_client: OpenAI) -> None:
    given = ["a house by the sea", "12345"]
    floats = client.embeddings.create(model="talker", input=given, encoding_format="float")
    default = client.embeddings.create(model="talker", input=given)  # the SDK asks for base64 and unpacks it
    theirs = bare_client.embeddings.create(model="talker", input=given, encoding_format="float")
    assert [row.index for row in floats.data] == [0, 1]
    assert floats.usage.prompt_tokens == theirs.usage.prompt_tokens > 0
    for ours, packed, bare in zip(floats.data, default.data, theirs.data, strict=True):
        assert ours.embedding == pytest.approx(bare.embedding, abs=1e-5)
        assert packed.embedding == pytest.approx(ours.embedding, abs=1e-6)
    raw: Any = client.embeddings.with_raw_response.create(model="talker", input=given, encoding_format="base64").http_response.json()
    text = raw["data"][0]["embedding"]
    assert struct.unpack(f"<{len(floats.data[0].embedding)}f", base64.b64decode(text)) == pytest.approx(floats.data[0].embedding, abs=1e-6)


def test_models(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["talker", "pilot"]
    assert client.models.retrieve("pilot").owned_by == "homeport"


def test_the_pilot_answers_in_words(client: OpenAI) -> None:
    with client.chat.completions.create(model="pilot", messages=said("Where is my parcel?"), stream=True, max_tokens=64, temperature=0) as stream:
        streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    whole = client.chat.completions.create(model="pilot", messages=said("Where is my parcel?"), max_tokens=64, temperature=0)
    assert whole.choices[0].message.content == streamed
    assert len(streamed.split()) > 1


def test_the_async_sdk(gateway: Spawned) -> None:
    async def go() -> None:
        async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0, timeout=30) as client:
            whole, embedded = await asyncio.gather(
                client.chat.completions.create(model="talker", messages=said()), client.embeddings.create(model="talker", input="sea")
            )
            assert whole.choices[0].message.content == TALE
            assert len(embedded.data[0].embedding) > 8
            text = ""
            async with await client.chat.completions.create(model="talker", messages=said("[long]"), stream=True) as stream:
                async for chunk in stream:
                    text += chunk.choices[0].delta.content or "" if chunk.choices else ""
            assert text == LONG
            parsed = await client.chat.completions.parse(model="talker", messages=said("[json]"), response_format=Person)
            assert parsed.choices[0].message.parsed == Person.model_validate_json(ADA)
            assert [model.id async for model in client.models.list()] == ["talker", "pilot"]

    asyncio.run(asyncio.wait_for(go(), 60))
