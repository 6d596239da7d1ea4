"""However an Ollama stream's bytes are cut into reads, callers get the same records, and any text arrives as it was said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.errors import BrokeMidStream
from homeport.vocabulary import GENERATE, OLLAMA_CHAT, Usage
from homeport.wire.normal import Answer, Call, CallPiece, Piece
from homeport.wire.ollama.stream import Stream, Writer
from tests.unit.wire.ollama_samples import FIGURES, answer, assembled, chat, cut, generate, lines, passed, said, streams, surface_of

QUICK = settings(max_examples=60, deadline=None, derandomize=True)
MARKS = ('"done":true', '"error"', '"tool_calls"', '{"model":"theirs"', '\n{"model":"theirs"', "\\", "\\u003c", "<b>", "\r\n", "🐴", "\u2028", "\x00", "'")
TEXTS = st.lists(st.one_of(st.text(min_size=1, max_size=12), st.sampled_from(MARKS)), min_size=1, max_size=12)
NAMES = st.sampled_from(["theirs", "ours", "hub.example/a/b:7b", 'a"b', "ž<"])


def told(body: bytes, cuts: list[int]) -> tuple[bytes, bool]:
    """What a caller hears of a stream cut so, and whether it ended well."""
    stream = Stream("ours")
    heard = b""
    try:
        for data in cut(body, cuts):
            heard += stream.feed(data)
        return heard + stream.close(FIGURES), True
    except BrokeMidStream:
        return heard, False


def outcome(read: Any) -> Any:
    try:
        return read()
    except BrokeMidStream:
        return "broken"


@pytest.mark.parametrize("name", streams())
def test_one_cut_anywhere(name: str) -> None:
    body = said(name)
    surface = surface_of(name)
    expected, well = told(body, [])
    whole, read = outcome(lambda: assembled([body], surface)), outcome(lambda: answer([body]))
    ends = [at + 1 for at, byte in enumerate(body) if byte == 10]
    for at in sorted({near for end in ends for near in range(end - 3, end + 20) if 0 < near < len(body)} | set(range(0, len(body), 37))):
        heard, ended_well = told(body, [at])
        assert ended_well == well, at
        assert heard == expected if well else expected.startswith(heard) or heard.startswith(expected), at
        reads = cut(body, [at])
        assert outcome(lambda reads=reads: assembled(reads, surface)) == whole, at
        assert outcome(lambda reads=reads: answer(reads)) == read, at


@pytest.mark.parametrize("name", streams())
def test_byte_by_byte(name: str) -> None:
    body = said(name)
    every = list(range(1, len(body)))
    expected, well = told(body, [])
    heard, ended_well = told(body, every)
    assert (ended_well, heard if well else None) == (well, expected if well else None)
    assert outcome(lambda: answer(cut(body, every))) == outcome(lambda: answer([body]))


@QUICK
@given(st.data())
def test_any_cuts(data: st.DataObject) -> None:
    body = said(data.draw(st.sampled_from(streams())))
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=30))
    expected, well = told(body, [])
    heard, ended_well = told(body, cuts)
    assert ended_well == well
    assert not well or heard == expected


@st.composite
def spoken(draw: st.DrawFn) -> tuple[list[dict[str, Any]], bytes]:
    """Records of an answer, and their bytes as Go, Python or another writes them."""
    on_chat, model = draw(st.booleans()), draw(NAMES)
    records: list[dict[str, Any]] = []
    for text in draw(TEXTS):
        thinking = {"thinking": draw(st.sampled_from(MARKS))} if draw(st.booleans()) else {}
        content = {"message": {"role": "assistant", "content": text, **thinking}} if on_chat else {"response": text, **thinking}
        records.append({"model": model, "created_at": "x", **content, "done": False})
    empty: dict[str, Any] = {"message": {"role": "assistant", "content": ""}} if on_chat else {"response": ""}
    records.append({"model": model, "created_at": "x", **empty, "done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 9})
    gaps, ascii_only = draw(st.sampled_from([(",", ":"), (", ", ": ")])), draw(st.booleans())
    body = "".join(json.dumps(record, separators=gaps, ensure_ascii=ascii_only) + "\n" for record in records)
    return records, body.encode()


@QUICK
@given(spoken(), st.lists(st.integers(0, 10_000), max_size=6))
def test_any_text_arrives_as_it_was_said(answered: tuple[list[dict[str, Any]], bytes], places: list[int]) -> None:
    records, body = answered
    reads = cut(body, [place % len(body) for place in places])
    ours, stream = passed(reads)
    assert lines(ours) == [record | {"model": "ours"} for record in records[:-1]] + [records[-1] | {"model": "ours", "homeport": FIGURES}]
    assert stream.events == len(records) - 1
    holders = [record.get("message", record) for record in records]
    text = "".join(holder.get("content", holder.get("response")) for holder in holders)
    thought = "".join(holder.get("thinking", "") for holder in holders)
    whole, _, _ = assembled(reads, OLLAMA_CHAT if "message" in records[0] else GENERATE)
    holder = whole.get("message", whole)
    assert (holder.get("content", holder.get("response")), holder.get("thinking", "")) == (text, thought)
    read, done = answer(reads)
    assert done
    assert (read.text, read.reasoning, read.usage) == (text, thought, Usage(3, 9))


@QUICK
@given(
    st.lists(
        st.dictionaries(st.text(max_size=5), st.one_of(st.text(max_size=8), st.integers(-9, 9), st.sampled_from(MARKS)), max_size=3), min_size=1, max_size=3
    ),
    TEXTS,
    st.booleans(),
    st.data(),
)
def test_calls_arrive_whole_however_they_were_cut(calls: list[dict[str, Any]], texts: list[str], on_chat: bool, data: st.DataObject) -> None:
    pieces = [Piece(text=text) for text in texts]
    for index, arguments in enumerate(calls):
        spelled = json.dumps(arguments)
        at = data.draw(st.integers(0, len(spelled)))
        pieces += [
            Piece(calls=[CallPiece(index, f"c{index}", "f")]),
            Piece(calls=[CallPiece(index, arguments=spelled[:at])]),
            Piece(calls=[CallPiece(index, arguments=spelled[at:])]),
        ]
    pieces.append(Piece(finish="tool_calls"))
    writer = Writer(chat() if on_chat else generate(), 0)
    body = b"".join(writer.write([piece]) for piece in pieces) + writer.end(Usage(3, 9), FIGURES)
    read, done = answer([body])
    assert done
    expected = [Call(f"c{index}", "f", json.dumps(arguments)) for index, arguments in enumerate(calls)]
    assert [(call.id, call.name, json.loads(call.arguments)) for call in read.calls] == [(call.id, call.name, json.loads(call.arguments)) for call in expected]
    assert Answer(read.text, finish=read.finish, usage=read.usage) == Answer("".join(texts), finish="tool_calls", usage=Usage(3, 9))
    at_once = Writer(chat() if on_chat else generate(), 0)
    assert at_once.write(pieces) + at_once.end(Usage(3, 9), FIGURES) == body
