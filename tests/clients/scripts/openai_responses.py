"""The official OpenAI SDK, by its Responses API."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from openai import OpenAI
from pydantic import BaseModel
from told import CITY, CUTS, FAULTS, PERSON, TALE, Absent, Target, main, raised

WEATHER: Any = {"type": "function", "name": "weather", "parameters": CITY, "strict": False}


class Person(BaseModel):
    name: str
    age: int


def dial(target: Target) -> OpenAI:
    return OpenAI(base_url=target.v1, api_key=target.key, max_retries=0, timeout=20)


def chat(target: Target) -> None:
    reply = dial(target).responses.create(model=target.model, instructions="Be brief.", input="hello")
    assert (reply.output_text, reply.status) == (TALE, "completed")
    assert reply.usage and reply.usage.output_tokens > 5


def stream(target: Target) -> None:
    with dial(target).responses.stream(model=target.model, input="hello") as events:
        pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
        final = events.get_final_response()
    target.flowed(pieces)
    assert final.output_text == TALE


def tools(target: Target) -> None:
    client = dial(target)
    whole = client.responses.create(model=target.model, input="[tool]", tools=[WEATHER])
    with client.responses.stream(model=target.model, input="[tool]", tools=[WEATHER]) as events:
        streamed = events.get_final_response()
    calls = [next(item for item in reply.output if item.type == "function_call") for reply in (whole, streamed)]
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [("weather", {"city": "Oslo"})] * 2
    turns: Any = [{"role": "user", "content": "[tool]"}, *(item.to_dict() for item in whole.output)]
    turns += [{"type": "function_call_output", "call_id": calls[0].call_id, "output": "rain"}, {"role": "user", "content": "and now?"}]
    assert client.responses.create(model=target.model, input=turns, tools=[WEATHER]).output_text == TALE


def schema(target: Target) -> None:
    parsed = dial(target).responses.parse(model=target.model, input="[json]", text_format=Person)
    assert parsed.output_parsed == Person(**PERSON)


def embeddings(target: Target) -> None:
    raise Absent("as above: the same client")


def error(target: Target) -> str:
    client = dial(target)

    def ask(kind: str, streamed: bool) -> None:
        model, text = target.fault(kind)
        client.responses.create(model=model, input=text, stream=streamed)

    return raised({f"{kind}{' streamed' * streamed}": partial(ask, kind, streamed) for kind in FAULTS for streamed in (False, True)})


def cut(target: Target) -> str:
    client = dial(target)

    def ask(how: str) -> None:
        with client.responses.stream(model=target.model, input=f"[cut:{how}]") as events:
            events.until_done()
            events.get_final_response()

    return raised({how: partial(ask, how) for how in CUTS})


def cancel(target: Target) -> None:
    events = dial(target).responses.create(model=target.model, input="[slow]", stream=True)
    next(event for event in events if event.type == "response.output_text.delta")
    assert target.in_flight >= 1
    events.close()
    target.gone()


if __name__ == "__main__":
    main({"chat": chat, "stream": stream, "tools": tools, "schema": schema, "embeddings": embeddings, "error": error, "cut": cut, "cancel": cancel})
