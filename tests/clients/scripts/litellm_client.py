"""LiteLLM as a client, by the provider that the second argument names."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or its import asks the network

import litellm
from told import CITY, CUTS, FAULTS, PERSON, SCHEMA, TALE, TEXTS, Absent, Target, main, raised

litellm.telemetry = False
litellm.suppress_debug_info = True
PROVIDER = sys.argv[2]
WEATHER: Any = {"type": "function", "function": {"name": "weather", "description": "Weather of a city.", "parameters": CITY}}
FORMAT: Any = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA, "strict": True}}


def asks(target: Target, text: str = "hello", **more: Any) -> dict[str, Any]:
    base = target.v1 if PROVIDER == "openai" else target.url
    shared = {"api_base": base, "api_key": target.key, "max_retries": 0, "num_retries": 0, "timeout": 20}
    return {"model": f"{PROVIDER}/{target.model}", "messages": [{"role": "user", "content": text}], **shared, **more}


def chat(target: Target) -> None:
    reply = litellm.completion(**asks(target))
    assert (reply.choices[0].message.content, reply.choices[0].finish_reason) == (TALE, "stop")
    assert reply.usage.completion_tokens > 5


def stream(target: Target) -> None:
    chunks = list(litellm.completion(**asks(target, stream=True)))
    target.flowed([chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices])


def tools(target: Target) -> None:
    whole = litellm.completion(**asks(target, "[tool]", tools=[WEATHER]))
    chunks = list(litellm.completion(**asks(target, "[tool]", tools=[WEATHER], stream=True)))
    streamed = litellm.stream_chunk_builder(chunks)
    for reply in (whole, streamed):
        (call,) = reply.choices[0].message.tool_calls
        assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Oslo"})
    turns = [{"role": "user", "content": "[tool]"}, whole.choices[0].message.model_dump()]
    turns += [{"role": "tool", "tool_call_id": whole.choices[0].message.tool_calls[0].id, "content": "rain"}, {"role": "user", "content": "and now?"}]
    assert litellm.completion(**asks(target, messages=turns, tools=[WEATHER])).choices[0].message.content == TALE


def schema(target: Target) -> None:
    assert json.loads(litellm.completion(**asks(target, "[json]", response_format=FORMAT)).choices[0].message.content) == PERSON


def embeddings(target: Target) -> None:
    if PROVIDER == "anthropic":
        raise Absent("Anthropic has none")
    options = asks(target)
    del options["messages"]
    options["model"] = options["model"].replace("ollama_chat/", "ollama/")
    first, second = (row["embedding"] for row in litellm.embedding(**options, input=TEXTS).data)
    assert len(first) == len(second) > 8 and first != second


def error(target: Target) -> str:
    def ask(kind: str, streamed: bool) -> None:
        model, text = target.fault(kind)
        list(litellm.completion(**asks(target, text) | {"model": f"{PROVIDER}/{model}"}, stream=streamed))

    return raised({f"{kind}{' streamed' * streamed}": partial(ask, kind, streamed) for kind in FAULTS for streamed in (False, True)})


def cut(target: Target) -> str:
    return raised({how: partial(lambda how: list(litellm.completion(**asks(target, f"[cut:{how}]", stream=True))), how) for how in CUTS})


def cancel(target: Target) -> None:
    for streamed in (False, True):
        asyncio.run(cancelled(target, streamed))


async def cancelled(target: Target, streamed: bool) -> None:
    """A task that asks is cancelled while the answer comes."""

    async def ask(came: Callable[[], None]) -> None:
        answer: Any = await litellm.acompletion(**asks(target, "[slow]", stream=streamed))
        async for _ in answer:
            came()

    await target.cancelled(ask, streamed)


if __name__ == "__main__":
    main({"chat": chat, "stream": stream, "tools": tools, "schema": schema, "embeddings": embeddings, "error": error, "cut": cut, "cancel": cancel})
