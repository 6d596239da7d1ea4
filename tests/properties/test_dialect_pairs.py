"""However a recorded stream is cut into reads, every caller hears the same of it; and what was asked means the same on its way, or is refused."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.errors import BrokeMidStream
from homeport.testing.replay import Row
from homeport.vocabulary import MESSAGES, OLLAMA_CHAT, Ask, Surface
from homeport.wire.bridge import BRIDGES
from homeport.wire.crossing import Bridge
from homeport.wire.dialects import HEARD, SPOKEN
from homeport.wire.normal import Answer, gather
from tests.captures import captured, dialect_of, one_answer, recorded, said, streams, surface_of
from tests.dialects import CHATS, DIALECT, TALKING, Told, ask, told

FIGURES = {"backend": "home", "tokens": 3}
ROWS = streams(recorded().values())
PAIRS = [
    (name, surface)
    for name, row in ROWS.items()
    for surface in TALKING
    if (surface is surface_of(row) if DIALECT[surface] == dialect_of(row) else one_answer(row)) and (surface in CHATS or "tools" not in row.request.body)
]
BROKEN = {  # recorded deaths; all else is a whole answer
    "llamacpp: killed amid a stream",
    "vllm: an error, then [DONE]",
    "vllm: an error before the first token",
    "ollama: ends properly without finish or [DONE]",
    "ollama: the same before the first token",
    "ollama: completions end properly without finish or [DONE]",
    "ollama: event: runner killed, v1 messages, stream",
    "event: runner killed, chat, stream",
    "event: runner killed, generate, stream",
}
HALF = {"llamacpp: tools-cut-stream", "vllm: tools-cut-stream"}  # the length ended them amid the arguments of a call


def asking(row: Row, surface: Surface, *, stream: bool) -> Ask:
    return ask(surface, stream=stream, tools="tools" in row.request.body)


def cut(body: bytes, places: list[int]) -> list[bytes]:
    return [body[a:b] for a, b in itertools.pairwise([0, *sorted(place % (len(body) + 1) for place in places), len(body)])]


def streamed(row: Row, surface: Surface, reads: list[bytes]) -> tuple[bytes, bool]:
    """What a caller gets of a stream that it asked for, and whether it ended well."""
    bridge: Bridge = BRIDGES[dialect_of(row)][surface]
    stream = bridge.stream(asking(row, surface, stream=True), 1_795_000_000)
    out = b""
    try:
        for data in reads:
            out += stream.feed(data)
            if stream.done:
                break
        return out + stream.close(FIGURES), True
    except BrokeMidStream:
        return out, False


def assembled(row: Row, surface: Surface, reads: list[bytes]) -> bytes | None:
    """The whole reply that is made of a stream; None where it broke."""
    whole = BRIDGES[dialect_of(row)][surface].assembly(asking(row, surface, stream=False), 1_795_000_000)
    try:
        for data in reads:
            whole.feed(data)
            if whole.done:
                break
        return whole.whole()[0]
    except BrokeMidStream:
        return None


def alike(row: Row, surface: Surface, reads: list[bytes]) -> None:
    """The same events as of one read, streamed and assembled."""
    body = said(row)
    at_once, well = streamed(row, surface, [body])
    found, ended_well = streamed(row, surface, reads)
    assert ended_well == well
    expected, heard = told(surface, at_once, stream=True), told(surface, found, stream=True)
    if well:
        assert heard == expected
    else:  # how much was shown before the end is a matter of reads
        assert expected.text.startswith(heard.text) or heard.text.startswith(expected.text)
        assert not heard.whole
    assert assembled(row, surface, reads) == assembled(row, surface, [body])


def read_back(surface: Surface, row: Row, body: bytes, *, stream: bool) -> Answer:
    """A caller's answer, through the code that reads backends of the caller's dialect."""
    spoken, asked = SPOKEN[DIALECT[surface]], asking(row, surface, stream=stream)
    return gather(spoken.reader(asked).feed(body) if stream else spoken.pieces(body, asked))


def same(found: Answer, heard: Told) -> None:
    assert (found.text, found.reasoning, found.finish) == (heard.text, heard.reasoning, heard.finish)
    assert [(call.name, json.loads(call.arguments) if call.arguments.endswith("}") else call.arguments) for call in found.calls] == heard.calls
    if heard.usage is not None:
        assert found.usage is not None and (found.usage.prompt, found.usage.completion) == heard.usage


@pytest.mark.parametrize(("name", "surface"), PAIRS, ids=str)
def test_byte_by_byte_and_a_few_cuts(name: str, surface: Surface) -> None:
    row = ROWS[name]
    body = said(row)
    alike(row, surface, [body[at : at + 1] for at in range(len(body))])
    alike(row, surface, [body[at : at + 61] for at in range(0, len(body), 61)])
    ends = [at for at in range(len(body)) if body.startswith((b"\n\n", b"}\n"), at)]
    for at in {*ends[-3:], *(end + 1 for end in ends[-3:]), *(end + 2 for end in ends[-3:])}:
        alike(row, surface, cut(body, [at]))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.sampled_from(PAIRS), st.lists(st.integers(0, 100_000), max_size=30))
def test_any_cuts(pair: tuple[str, Surface], places: list[int]) -> None:
    name, surface = pair
    alike(ROWS[name], surface, cut(said(ROWS[name]), places))


@pytest.mark.parametrize(("name", "surface"), [pair for pair in PAIRS if one_answer(ROWS[pair[0]])], ids=str)
def test_the_stream_and_the_whole_of_one_recording_say_the_same(name: str, surface: Surface) -> None:
    row = ROWS[name]
    body = said(row)
    stream, well = streamed(row, surface, [body])
    whole = assembled(row, surface, [body])
    half = name in HALF and surface in (MESSAGES, OLLAMA_CHAT)  # whose whole replies hold arguments as an object
    assert well == (whole is not None) == (name not in BROKEN)
    heard = told(surface, stream, stream=True)
    if whole is None:
        assert not heard.whole
        return
    assert heard.whole
    document = told(surface, whole, stream=False)
    theirs = gather(SPOKEN[dialect_of(row)].reader(asking(row, surface, stream=True)).feed(body))
    if theirs.usage is None:  # nobody asked for it when this was recorded; what was made up for a stream is an estimate
        heard.usage = document.usage = None
    if half:
        assert document.calls == []
        document.calls = heard.calls
    assert document == heard
    assert heard.text == theirs.text
    if surface in CHATS:
        assert [name for name, _ in heard.calls] == ([] if half and surface is OLLAMA_CHAT else [call.name for call in theirs.calls])
        assert heard.reasoning == theirs.reasoning
    assert heard.usage == (theirs.usage and (theirs.usage.prompt, theirs.usage.completion))
    if DIALECT[surface] in SPOKEN:
        same(read_back(surface, row, stream, stream=True), heard)
        if not half:
            same(read_back(surface, row, whole, stream=False), document)


SPELLINGS: dict[str, Callable[[bytes], bytes]] = {  # the same events, as the standards let them be written
    "CR LF": lambda body: body.replace(b"\n", b"\r\n"),
    "empty lines between events": lambda body: body.replace(b"\n\n", b"\n\n\n").replace(b"}\n{", b"}\n\n{") + b"\n",
    "empty lines with CR LF": lambda body: (body.replace(b"\n\n", b"\n\n\n") + b"\n").replace(b"\n", b"\r\n"),
    "comments": lambda body: body.replace(b"\n\n", b"\n\n: awake\n\n").replace(b": awake\n\n", b"", 1),
}


@pytest.mark.parametrize(("name", "surface"), PAIRS, ids=str)
def test_the_same_events_in_another_spelling(name: str, surface: Surface) -> None:
    row = ROWS[name]
    body = said(row)
    expected, well = streamed(row, surface, [body])
    others = [spell(body) for spell in SPELLINGS.values()]
    for reads in [[other] for other in others] + [[other[at : at + 50] for at in range(0, len(other), 50)] for other in others]:
        found, ended_well = streamed(row, surface, reads)
        assert ended_well == well
        if well:
            assert told(surface, found.replace(b"\r\n", b"\n").replace(b"\n\n\n", b"\n\n"), stream=True) == told(surface, expected, stream=True)
        assert (assembled(row, surface, reads) is not None) == (assembled(row, surface, [body]) is not None)


def test_every_pair_is_tried() -> None:
    tried = {(dialect_of(ROWS[name]), surface) for name, surface in PAIRS}
    assert tried == {(backend, surface) for backend, bridges in BRIDGES.items() for surface in bridges if surface in TALKING}
    assert set(SPOKEN) < set(HEARD)


@pytest.mark.parametrize("engine", ["llamacpp", "vllm", "ollama"])
def test_all_captures_of_real_engines(engine: str) -> None:
    """What is not distilled: each stream there is, to callers of every dialect, at once and in small reads."""
    rows: dict[Any, Row] = {(name, row.request.path): row for name, row in streams(captured(engine).values()).items()}
    for number, row in enumerate(rows.values()):
        body = said(row)
        for surface in TALKING:
            if surface is surface_of(row) or (DIALECT[surface] != dialect_of(row) and one_answer(row)):
                size = 7 + (number * 13) % 89
                alike(row, surface, [body[at : at + size] for at in range(0, len(body), size)])
