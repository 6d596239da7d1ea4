"""The official Anthropic SDK."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from anthropic import Anthropic, AsyncAnthropic
from pydantic import BaseModel
from told import CITY, CUTS, FAULTS, PERSON, TALE, Absent, Target, main, raised

WEATHER: Any = {"name": "weather", "description": "Weather of a city.", "input_schema": CITY}


class Person(BaseModel):
    name: str
    age: int


def dial(target: Target) -> Anthropic:
    return Anthropic(base_url=target.url, api_key=target.key, auth_token=None, max_retries=0, timeout=20)


def asks(target: Target, text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"model": target.model, "max_tokens": 200, "messages": [{"role": "user", "content": text}], **more}


def chat(target: Target) -> None:
    reply = dial(target).messages.create(**asks(target, system="Be brief."))
    assert ([block.text for block in reply.content], reply.stop_reason) == ([TALE], "end_turn")
    assert reply.usage.output_tokens > 5
    assert dial(target).messages.count_tokens(model=target.model, messages=asks(target)["messages"]).input_tokens > 0


def stream(target: Target) -> None:
    with dial(target).messages.stream(**asks(target)) as events:
        pieces = list(events.text_stream)
        final = events.get_final_message()
    target.flowed(pieces)
    assert final.stop_reason == "end_turn"


def tools(target: Target) -> None:
    client = dial(target)
    whole = client.messages.create(**asks(target, "[tool]", tools=[WEATHER]))
    with client.messages.stream(**asks(target, "[tool]", tools=[WEATHER])) as events:
        streamed = events.get_final_message()
    for reply in (whole, streamed):
        assert reply.stop_reason == "tool_use"
        assert [(block.name, block.input) for block in reply.content if block.type == "tool_use"] == [("weather", {"city": "Oslo"})]
    call = next(block for block in whole.content if block.type == "tool_use")
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "rain"}
    turns = [{"role": "user", "content": "[tool]"}, {"role": "assistant", "content": [block.to_dict() for block in whole.content]}]
    turns.append({"role": "user", "content": [result, {"type": "text", "text": "and now?"}]})
    after = client.messages.create(**asks(target, messages=turns, tools=[WEATHER]))
    assert [block.text for block in after.content] == [TALE]


def schema(target: Target) -> None:
    assert dial(target).messages.parse(**asks(target, "[json]"), output_format=Person).parsed_output == Person(**PERSON)


def embeddings(target: Target) -> None:
    raise Absent("Anthropic has none")


def error(target: Target) -> str:
    client = dial(target)

    def ask(kind: str, streamed: bool) -> None:
        model, text = target.fault(kind)
        client.messages.create(**asks(target, text) | {"model": model}, stream=streamed)

    return raised({f"{kind}{' streamed' * streamed}": partial(ask, kind, streamed) for kind in FAULTS for streamed in (False, True)})


def cut(target: Target) -> str:
    client = dial(target)

    def ask(how: str) -> None:
        with client.messages.stream(**asks(target, f"[cut:{how}]")) as events:
            events.get_final_message()

    return raised({how: partial(ask, how) for how in CUTS})


def cancel(target: Target) -> None:
    with dial(target).messages.stream(**asks(target, "[slow]")) as events:
        next(iter(events.text_stream))
        assert target.in_flight >= 1
    target.gone()
    for streamed in (False, True):
        asyncio.run(cancelled(target, streamed))


async def cancelled(target: Target, streamed: bool) -> None:
    """A task that asks is cancelled while the answer comes."""
    async with AsyncAnthropic(base_url=target.url, api_key=target.key, auth_token=None, max_retries=0) as client:

        async def ask(came: Callable[[], None]) -> None:
            answer: Any = await client.messages.create(**asks(target, "[slow]"), stream=streamed)
            async for _ in answer:
                came()

        await target.cancelled(ask, streamed)


if __name__ == "__main__":
    main({"chat": chat, "stream": stream, "tools": tools, "schema": schema, "embeddings": embeddings, "error": error, "cut": cut, "cancel": cancel})
