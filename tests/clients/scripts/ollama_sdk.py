"""The official Ollama SDK."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Any

from ollama import AsyncClient, Client
from told import CITY, CUTS, FAULTS, PERSON, SCHEMA, TALE, TEXTS, Target, main, raised

WEATHER: Any = {"type": "function", "function": {"name": "weather", "description": "Weather of a city.", "parameters": CITY}}


def dial(target: Target) -> Client:
    return Client(host=target.url, timeout=20)


def said(text: str = "hello") -> Any:
    return [{"role": "user", "content": text}]


def chat(target: Target) -> None:
    client = dial(target)
    reply = client.chat(target.model, said())
    assert (reply.message.content, reply.done, reply.done_reason) == (TALE, True, "stop")
    assert (reply.eval_count or 0) > 5
    assert client.generate(target.model, "hello").response == TALE


def stream(target: Target) -> None:
    parts = list(dial(target).chat(target.model, said(), stream=True))
    target.flowed([part.message.content or "" for part in parts])
    assert parts[-1].done
    target.flowed([part.response for part in dial(target).generate(target.model, "hello", stream=True)])


def tools(target: Target) -> None:
    client = dial(target)
    whole = client.chat(target.model, said("[tool]"), tools=[WEATHER])
    streamed = [part.message for part in client.chat(target.model, said("[tool]"), tools=[WEATHER], stream=True) if part.message.tool_calls]
    for message in (whole.message, *streamed[-1:]):
        assert [(call.function.name, call.function.arguments) for call in message.tool_calls or []] == [("weather", {"city": "Oslo"})]
    assert streamed
    turns = [*said("[tool]"), whole.message, {"role": "tool", "tool_name": "weather", "content": "rain"}, *said("and now?")]
    assert client.chat(target.model, turns, tools=[WEATHER]).message.content == TALE


def schema(target: Target) -> None:
    assert json.loads(dial(target).chat(target.model, said("[json]"), format=SCHEMA).message.content or "") == PERSON


def embeddings(target: Target) -> None:
    first, second = dial(target).embed(target.model, TEXTS).embeddings
    assert len(first) == len(second) > 8 and first != second
    assert len(dial(target).embeddings(target.model, TEXTS[0]).embedding) == len(first)


def error(target: Target) -> str:
    client = dial(target)

    def ask(kind: str, streamed: bool) -> None:
        model, text = target.fault(kind)
        answer = client.chat(model, said(text), stream=streamed)  # type: ignore[call-overload]
        list(answer)

    return raised({f"{kind}{' streamed' * streamed}": partial(ask, kind, streamed) for kind in FAULTS for streamed in (False, True)})


def cut(target: Target) -> str:
    client = dial(target)
    return raised({how: partial(lambda how: list(client.chat(target.model, said(f"[cut:{how}]"), stream=True)), how) for how in CUTS})


def cancel(target: Target) -> None:
    parts = dial(target).chat(target.model, said("[slow]"), stream=True)
    next(iter(parts))
    assert target.in_flight >= 1
    parts.close()  # type: ignore[attr-defined]  # a generator, by another name
    target.gone()
    for streamed in (False, True):
        asyncio.run(cancelled(target, streamed))


async def cancelled(target: Target, streamed: bool) -> None:
    """A task that asks is cancelled while the answer comes."""
    client = AsyncClient(host=target.url, timeout=20)

    async def ask(came: Callable[[], None]) -> None:
        answer: Any = await client.chat(target.model, said("[slow]"), stream=streamed)
        async for _ in answer:
            came()

    await target.cancelled(ask, streamed)


if __name__ == "__main__":
    main({"chat": chat, "stream": stream, "tools": tools, "schema": schema, "embeddings": embeddings, "error": error, "cut": cut, "cancel": cancel})
