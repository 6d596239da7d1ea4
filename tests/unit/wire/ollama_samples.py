"""Recorded exchanges of Ollama, and asks in its dialect, for the tests of this folder and of tests/properties."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from homeport.testing.replay import Row, read_rows
from homeport.vocabulary import EMBED, GENERATE, OLD_EMBED, OLLAMA_CHAT, Ask, Caller, Surface
from homeport.wire.normal import Answer, gather
from homeport.wire.ollama import request as ollama_request
from homeport.wire.ollama.stream import Assembly, Reader, Stream

RECORDED = Path(__file__).parents[2] / "fixtures" / "ollama.jsonl"  # distilled from captures of Ollama 0.32.15
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "Weather of a city.", "parameters": {"type": "object", "properties": {}}}}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
FIGURES = {"backend": "home", "gen_time": 1.5, "first_token_ms": 20.5, "tokens": 3}


@cache
def rows() -> dict[str, Row]:
    """The recorded rows by name; long streams are cut down to their beginning and end."""
    return {row.name: row for row in read_rows(RECORDED)}


def said(name: str) -> bytes:
    """The body of a recorded response."""
    return "".join(text for _, text in rows()[name].response.pieces).encode()


def streams() -> list[str]:
    """The names of all recorded streams."""
    return [name for name, row in rows().items() if any(("x-ndjson" in value) for _, value in row.response.headers)]


def surface_of(name: str) -> Surface:
    return Surface(rows()[name].request.path)


def ask(surface: Surface, body: dict[str, Any]) -> Ask:
    """The Ask that a body comes to; raises as `read` does."""
    fields, model, stream, usage, chars = ollama_request.read(json.dumps({"model": "m", **body}).encode(), surface)
    return Ask("req-7f-1", "ollama", surface, model, fields, stream, usage, chars, Caller(None), 0.0)


def chat(**body: Any) -> Ask:
    return ask(OLLAMA_CHAT, {"messages": [{"role": "user", "content": "Hi"}], **body})


def generate(**body: Any) -> Ask:
    return ask(GENERATE, {"prompt": "Once", **body})


def embed(**body: Any) -> Ask:
    return ask(EMBED, body)


def old_embed(**body: Any) -> Ask:
    return ask(OLD_EMBED, body)


def cut(body: bytes, cuts: Iterable[int]) -> list[bytes]:
    """The body in reads that end at these places."""
    return [body[a:b] for a, b in itertools.pairwise([0, *sorted(cuts), len(body)])]


def passed(reads: list[bytes], *, tools: bool = False) -> tuple[bytes, Stream]:
    """What a Stream passes on of these reads, its end included; raises as Stream does."""
    stream = Stream("ours", tools=tools)
    told = b"".join(stream.feed(data) for data in reads)
    return told + stream.close(FIGURES), stream


def assembled(reads: list[bytes], surface: Surface, *, tools: bool = False) -> tuple[dict[str, Any], str | None, bool]:
    assembly = Assembly("ours", surface, tools=tools)
    for data in reads:
        assembly.feed(data)
    body, finish, empty = assembly.whole()
    return json.loads(body), finish, empty


def answer(reads: list[bytes], *, tools: bool = False) -> tuple[Answer, bool]:
    """What a Reader reads, gathered, and whether the last record came."""
    reader = Reader(tools=tools)
    return gather([piece for data in reads for piece in reader.feed(data)]), reader.done


def lines(body: bytes) -> list[dict[str, Any]]:
    assert body.endswith(b"\n")
    return [json.loads(line) for line in body.splitlines()]
