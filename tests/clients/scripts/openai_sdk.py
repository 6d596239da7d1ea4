"""The official OpenAI SDK."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Any

from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel
from told import CITY, CUTS, FAULTS, PERSON, TALE, TEXTS, Target, main, raised

WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": CITY}}


class Person(BaseModel):
    name: str
    age: int


def dial(target: Target) -> OpenAI:
    return OpenAI(base_url=target.v1, api_key=target.key, max_retries=0, timeout=20)


def said(text: str = "hello") -> Any:
    return [{"role": "user", "content": text}]


def chat(target: Target) -> None:
    reply = dial(target).chat.completions.create(model=target.model, messages=said())
    assert (reply.choices[0].message.content, reply.choices[0].finish_reason) == (TALE, "stop")
    assert reply.usage and reply.usage.completion_tokens > 5


def stream(target: Target) -> None:
    with dial(target).chat.completions.create(model=target.model, messages=said(), stream=True) as events:
        pieces = [event.choices[0].delta.content or "" for event in events if event.choices]
    target.flowed(pieces)


def tools(target: Target) -> None:
    client = dial(target)
    whole = client.chat.completions.create(model=target.model, messages=said("[tool]"), tools=[WEATHER]).choices[0]
    with client.chat.completions.stream(model=target.model, messages=said("[tool]"), tools=[WEATHER]) as events:
        streamed = events.get_final_completion().choices[0]
    for choice in (whole, streamed):
        assert choice.finish_reason == "tool_calls"
        (call,) = choice.message.tool_calls or []
        assert call.type == "function" and call.id
        assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Oslo"})
    turns = [*said("[tool]"), whole.message.to_dict(), {"role": "tool", "tool_call_id": whole.message.tool_calls[0].id, "content": "rain"}]  # type: ignore[index]
    after = client.chat.completions.create(model=target.model, messages=[*turns, *said("and now?")], tools=[WEATHER])
    assert after.choices[0].message.content == TALE


def schema(target: Target) -> None:
    parsed = dial(target).chat.completions.parse(model=target.model, messages=said("[json]"), response_format=Person)
    assert parsed.choices[0].message.parsed == Person(**PERSON)  # type: ignore[arg-type]


def embeddings(target: Target) -> None:
    reply = dial(target).embeddings.create(model=target.model, input=TEXTS)
    first, second = (row.embedding for row in reply.data)
    assert len(first) == len(second) > 8 and first != second


def error(target: Target) -> str:
    client = dial(target)

    def ask(kind: str, streamed: bool) -> None:
        model, text = target.fault(kind)
        client.chat.completions.create(model=model, messages=said(text), stream=streamed)  # type: ignore[call-overload]

    return raised({f"{kind}{' streamed' * streamed}": partial(ask, kind, streamed) for kind in FAULTS for streamed in (False, True)})


def cut(target: Target) -> str:
    client = dial(target)

    def ask(how: str) -> None:
        with client.chat.completions.create(model=target.model, messages=said(f"[cut:{how}]"), stream=True) as events:
            list(events)

    return raised({how: partial(ask, how) for how in CUTS})


def cancel(target: Target) -> None:
    events = dial(target).chat.completions.create(model=target.model, messages=said("[slow]"), stream=True)
    next(iter(events))
    assert target.in_flight >= 1
    events.close()
    target.gone()
    for streamed in (False, True):
        asyncio.run(cancelled(target, streamed))


async def cancelled(target: Target, streamed: bool) -> None:
    """A task that asks is cancelled while the answer comes."""
    async with AsyncOpenAI(base_url=target.v1, api_key=target.key, max_retries=0) as client:

        async def ask(came: Callable[[], None]) -> None:
            answer: Any = await client.chat.completions.create(model=target.model, messages=said("[slow]"), stream=streamed)
            async for _ in answer:
                came()

        await target.cancelled(ask, streamed)


if __name__ == "__main__":
    main({"chat": chat, "stream": stream, "tools": tools, "schema": schema, "embeddings": embeddings, "error": error, "cut": cut, "cancel": cancel})
