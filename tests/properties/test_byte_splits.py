"""However a stream's bytes are cut into reads, a caller gets the same bytes, and an assembled reply is the same document."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import deque
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.errors import BrokeMidStream
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer, Bytes, ToolCall
from homeport.testing.shapes import STYLES, StyleName, Told
from homeport.testing.telling import stream
from homeport.vocabulary import Surface
from homeport.wire.assemble import Assembly
from homeport.wire.openai.stream import Stream
from tests.caller import Caller, Heard, chat, request_bytes
from tests.captures import surprises
from tests.gateway import Running, config

TEXT = 'Příliš žluťoučký kůň 🐴 says "data: [DONE]"\n\nand \\"usage\\":{} twice. 日本語。'
ANSWERS = {
    "text": Answer(text=TEXT),
    "reasoning and tools": Answer(
        reasoning=("Let", " me"), tool_calls=(ToolCall(name="weather", arguments='{"city": "Ålesund"}'), ToolCall(name="time", id="call_2"))
    ),
    "length": Answer(text=TEXT, finish="length"),
    "tokens that look like the wire": Answer(tokens=("data: ", "\n\n", "[DONE]", '"error"', '{"choices":[]}', ": ping", "\r\n\r\n")),
}
FIGURES = {"backend": "b"}


def wire(style: StyleName, answer: Answer, *, chat_surface: bool = True, usage: bool = True, choices: int = 1, pings: bool = False) -> bytes:
    """The body of a stream, as the engine of that style sends it."""
    told = Told(number=7, model="theirs", chat=chat_surface, wants_usage=usage, choices=choices, prompt_tokens=5, created=1_795_000_000)
    events = [event.wire for event in stream(STYLES[style], told, answer, None, False)]
    return b"".join(b":\n\n" + event for event in events) if pings else b"".join(events)


BODIES = {
    f"{style}, {name}, {'usage' if usage else 'no usage'}": wire(style, answer, usage=usage)
    for style in STYLES
    for name, answer in ANSWERS.items()
    for usage in (True, False)
}
BODIES |= {f"{style}, completions": wire(style, ANSWERS["text"], chat_surface=False) for style in STYLES}
BODIES |= {f"{style}, two choices": wire(style, ANSWERS["text"], choices=2) for style in STYLES}
BODIES |= {f"{style}, pings": wire(style, ANSWERS["text"], pings=True) for style in STYLES}
BODIES |= {f"{style}, CR LF": wire(style, ANSWERS["text"]).replace(b"\n", b"\r\n") for style in STYLES}
BODIES |= {name: "".join(text for _, text in row.response.pieces).encode() for name, row in surprises().items() if row.response.framing == "chunked"}


def places(body: bytes) -> list[int]:
    """Where to cut: at each byte around every end of an event, and here and there within."""
    ends = [at for at in range(len(body)) if body.startswith((b"\n\n", b"\r\n\r\n"), at)]
    return sorted(
        {at + off for at in ends[:3] + ends[-5:] for off in range(-9, 10) if 0 <= at + off < len(body)} | set(range(0, len(body), max(1, len(body) // 60)))
    )


def passed_on(body: bytes, cuts: list[int], *, wants_usage: bool) -> tuple[bytes, bool]:
    """What a caller gets of a stream read in these pieces, and whether it ended well."""
    reader = Stream("ours", wants_usage=wants_usage)
    said = b""
    try:
        for a, b in itertools.pairwise([0, *sorted(cuts), len(body)]):
            said += reader.feed(body[a:b])
            if reader.done:
                break
        return said + reader.close(FIGURES), True
    except BrokeMidStream:
        return said, False


def assembled(body: bytes, cuts: list[int], surface: Surface) -> object:
    whole = Assembly("ours", surface)
    try:
        for a, b in itertools.pairwise([0, *sorted(cuts), len(body)]):
            whole.feed(body[a:b])
            if whole.done:
                break
        return json.loads(whole.whole()[0])
    except BrokeMidStream:
        return "broken"


def documents(said: bytes) -> list[object]:
    rows = [row.removeprefix(b"data: ") for row in said.replace(b"\r\n", b"\n").split(b"\n\n") if row.startswith(b"data: ")]
    return [json.loads(row) if row.startswith(b"{") else row for row in rows]


@pytest.mark.parametrize("wants_usage", [True, False])
@pytest.mark.parametrize("name", BODIES)
def test_one_cut_anywhere(name: str, wants_usage: bool) -> None:
    body = BODIES[name]
    expected, well = passed_on(body, [], wants_usage=wants_usage)
    for at in places(body):
        said, ended_well = passed_on(body, [at], wants_usage=wants_usage)
        assert ended_well == well, at
        if well:
            assert documents(said) == documents(expected), at
        else:
            assert expected.startswith(said) or said.startswith(expected), at


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_any_cuts(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(BODIES)))
    body = BODIES[name]
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=40))
    expected, well = passed_on(body, [], wants_usage=True)
    said, ended_well = passed_on(body, cuts, wants_usage=True)
    assert ended_well == well
    if well:
        assert documents(said) == documents(expected)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.sampled_from(sorted(STYLES)),
    st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=12),
    st.lists(st.integers(0, 10_000), max_size=6),
    st.booleans(),
)
def test_any_text_arrives_as_it_was_said(style: StyleName, tokens: list[str], cuts: list[int], chat_surface: bool) -> None:
    """Whatever short cuts are taken over runs of alike events: quotes, escapes, line ends and astral characters included."""
    body = wire(style, Answer(tokens=tuple(tokens)), chat_surface=chat_surface)
    places = [cut % len(body) for cut in cuts]
    said, well = passed_on(body, places, wants_usage=True)
    assert well
    choices = [choice for document in documents(said) if isinstance(document, dict) for choice in document["choices"]]
    assert "".join((choice["delta"].get("content") if chat_surface else choice["text"]) or "" for choice in choices) == "".join(tokens)
    whole = assembled(body, places, Surface.CHAT if chat_surface else Surface.COMPLETIONS)
    assert isinstance(whole, dict)
    assert (whole["choices"][0]["message"]["content"] if chat_surface else whole["choices"][0]["text"]) == "".join(tokens)


@pytest.mark.parametrize("name", BODIES)
def test_byte_by_byte(name: str) -> None:
    body = BODIES[name]
    every = list(range(1, len(body)))
    expected, well = passed_on(body, [], wants_usage=False)
    said, ended_well = passed_on(body, every, wants_usage=False)
    assert (ended_well, documents(said) if well else None) == (well, documents(expected) if well else None)


@pytest.mark.parametrize("name", BODIES)
def test_an_assembled_reply_does_not_depend_on_cuts(name: str) -> None:
    body = BODIES[name]
    surface = Surface.COMPLETIONS if b'"text_completion"' in body else Surface.CHAT
    expected = assembled(body, [], surface)
    for at in places(body)[::2]:
        assert assembled(body, [at], surface) == expected
    assert assembled(body, list(range(1, len(body))), surface) == expected


@pytest.mark.parametrize("name", [name for name in BODIES if name not in surprises() and "choices" not in name])
def test_nothing_is_lost_on_the_way(name: str) -> None:
    """The events a caller gets are the engine's own, under the asked name."""
    body = BODIES[name]
    said, well = passed_on(body, [], wants_usage=True)
    assert well
    theirs = [document for document in documents(body) if isinstance(document, dict)]
    ours = [document for document in documents(said) if isinstance(document, dict)]
    for document in ours:
        assert document.pop("model", "ours") == "ours"
        document.pop("homeport", None)
    for document in theirs:
        document.pop("model", None)
    if len(ours) == len(theirs) + 1:  # a usage record was made up for an engine that gave none
        assert not any(choices for choices in [ours.pop()["choices"]])
    assert ours == theirs


@pytest.mark.parametrize("style", STYLES)
def test_over_sockets(tmp_path: Path, style: StyleName) -> None:
    """The whole way: a response cut in two TCP segments at each of its bytes, head included."""
    body = wire(style, Answer(text="a ž 🐴 b"), usage=False)
    response = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    response += b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:150], body[150:151], body[151:])) + b"0\r\n\r\n"
    cuts: deque[int] = deque(range(1, len(response), 2))

    async def go(url: str) -> list[Heard]:
        heards: list[Heard] = []

        async def one() -> None:
            async with Caller(url) as caller:
                while cuts:
                    backend.script.append(Bytes(data=response, close=False, cut_into=(cuts.popleft(),), pause_s=0.0005))
                    await caller.send(request_bytes(chat(stream=True)))
                    heards.append(await caller.hear())

        await asyncio.gather(*(one() for _ in range(8)))
        return heards

    with ScriptedBackend() as backend, Running(config(tmp_path, {"only": backend.url})) as gateway:
        heards = asyncio.run(go(gateway.url))
        assert {heard.end for heard in heards} == {"complete"}
        assert len({heard.body for heard in heards}) == 1
        assert heards[0].text == "a ž 🐴 b"
        assert backend.connections < 40  # kept alive all the while
