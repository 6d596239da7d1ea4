"""Asks of OpenAI's surfaces, and what streams say, for the tests of this folder and of tests/properties."""

from __future__ import annotations

import json
from typing import Any

from homeport.testing.script import Answer
from homeport.testing.shapes import STYLES, StyleName, Told
from homeport.testing.telling import stream
from homeport.vocabulary import CHAT, COMPLETIONS, RESPONSES, Ask, Caller, Surface
from homeport.wire.normal import Answer as Gathered
from homeport.wire.normal import Piece, gather
from homeport.wire.openai import request as openai_request
from homeport.wire.openai.pieces import Reader
from homeport.wire.responses import request as responses_request

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def ask(surface: Surface, body: dict[str, Any]) -> Ask:
    """The Ask that a body comes to; raises as `read` does."""
    responses = surface is RESPONSES
    fields, model, streams, usage, chars = (responses_request if responses else openai_request).read(json.dumps({"model": "m", **body}).encode(), surface)
    return Ask("req-7f-1", "responses" if responses else "openai", surface, model, fields, streams, usage, chars, Caller(None), 0.0)


def chat(**body: Any) -> Ask:
    return ask(CHAT, {"messages": [{"role": "user", "content": "Hi"}], **body})


def completion(**body: Any) -> Ask:
    return ask(COMPLETIONS, {"prompt": "Once", **body})


def response(**body: Any) -> Ask:
    return ask(RESPONSES, {"input": "Hi", **body})


def wire(style: StyleName, answer: Answer, *, chat_surface: bool = True) -> bytes:
    """The body of a stream as the engine of that style sends it."""
    told = Told(number=7, model="theirs", chat=chat_surface, wants_usage=True, choices=1, prompt_tokens=5, created=1_795_000_000)
    return b"".join(event.wire for event in stream(STYLES[style], told, answer, None, False))


def heard(*reads: bytes) -> tuple[Gathered, Reader]:
    """What a stream came to, read in these pieces."""
    reader = Reader()
    pieces: list[Piece] = []
    for data in reads:
        pieces += reader.feed(data)
    return gather(pieces), reader


def events(said: bytes) -> list[dict[str, Any]]:
    """The JSON of all events but `[DONE]`; each event's name is its type, where it has one."""
    found = []
    for event in said.decode().split("\n\n")[:-1]:
        lines = dict(line.split(": ", 1) for line in event.split("\n"))
        if lines["data"] != "[DONE]":
            found.append(json.loads(lines["data"]))
            assert lines.get("event") in (None, found[-1].get("type"))
    return found
