"""Answers in no dialect, written as Anthropic's streams and messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from homeport.errors import BrokeMidStream
from homeport.vocabulary import Usage
from homeport.wire.anthropic.reply import whole
from homeport.wire.anthropic.writer import Writer
from homeport.wire.normal import CallPiece, Piece, gather
from tests.unit.wire.anthropic_samples import ask, events_of, message_of

ASK = ask({"messages": [{"role": "user", "content": "hi"}]})
FIGURES = {"backend": "b"}
USED = Usage(12, 5, 10, 2)
COUNTS = {
    "input_tokens": 2,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 10,
    "output_tokens": 5,
    "output_tokens_details": {"thinking_tokens": 2},
}
NONE = {"input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0}


def written(*pieces: Piece, usage: Usage = USED) -> bytes:
    """A stream, a write for each piece."""
    writer = Writer(ASK, 1_795_000_000)
    return b"".join(writer.write([piece]) for piece in pieces) + writer.end(usage, FIGURES)


def both(*pieces: Piece) -> dict[str, Any]:
    """The message that a stream and a whole reply agree on."""
    streamed = message_of(written(*pieces))
    assert streamed.pop("homeport") == FIGURES
    answer = gather([*pieces, Piece(usage=USED)])
    assert json.loads(whole(ASK, answer)) == streamed
    return streamed


def call(index: int, arguments: str = "", name: str = "", id: str = "") -> Piece:
    return Piece(calls=[CallPiece(index, id, name, arguments)])


def test_a_stream_of_everything() -> None:
    pieces = [Piece(reasoning="Let"), Piece(reasoning=" me"), Piece(text="He"), Piece(text="llo"), call(0, '{"x"', "f", "c1"), call(0, ":1}"), call(1, "", "g")]
    out = written(*pieces, Piece(finish="tool_calls"))
    thinking, text, first = {"type": "thinking", "thinking": "", "signature": ""}, {"type": "text", "text": ""}, {"type": "tool_use", "id": "c1", "name": "f"}
    assert [(says["type"], says.get("index"), says.get("content_block") or says.get("delta")) for says in events_of(out)] == [
        ("message_start", None, None),
        ("content_block_start", 0, thinking),
        ("content_block_delta", 0, {"type": "thinking_delta", "thinking": "Let"}),
        ("content_block_delta", 0, {"type": "thinking_delta", "thinking": " me"}),
        ("content_block_delta", 0, {"type": "signature_delta", "signature": ""}),
        ("content_block_stop", 0, None),
        ("content_block_start", 1, text),
        ("content_block_delta", 1, {"type": "text_delta", "text": "He"}),
        ("content_block_delta", 1, {"type": "text_delta", "text": "llo"}),
        ("content_block_stop", 1, None),
        ("content_block_start", 2, first | {"input": {}}),
        ("content_block_delta", 2, {"type": "input_json_delta", "partial_json": '{"x"'}),
        ("content_block_delta", 2, {"type": "input_json_delta", "partial_json": ":1}"}),
        ("content_block_stop", 2, None),
        ("content_block_start", 3, {"type": "tool_use", "id": "toolu_1f_1", "name": "g", "input": {}}),
        ("content_block_stop", 3, None),
        ("message_delta", None, {"stop_reason": "tool_use", "stop_sequence": None}),
        ("message_stop", None, None),
    ]
    start, *_, last, _ = events_of(out)
    assert start["message"] == {
        "id": "msg_1f",
        "type": "message",
        "role": "assistant",
        "model": "ours",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": NONE,
    }
    assert last["usage"] == COUNTS and last["homeport"] == FIGURES
    assert [block["type"] for block in both(*pieces, Piece(finish="tool_calls"))["content"]] == ["thinking", "text", "tool_use", "tool_use"]


def test_nothing_is_written_before_there_is_content() -> None:
    writer = Writer(ASK, 0)
    assert writer.write([]) == writer.write([Piece(), Piece(usage=Usage(prompt=12))]) == b""
    assert events_of(writer.write([Piece(text="a")]))[0]["message"]["usage"] == NONE | {"input_tokens": 12}


def test_an_empty_answer() -> None:
    assert both(Piece(finish="stop"))["content"] == []


@pytest.mark.parametrize(
    ("pieces", "reason", "stop_sequence"),
    [
        ([Piece(text="a", finish="stop")], "end_turn", None),
        ([Piece(text="a"), Piece(finish="stop", stopped_by="END")], "stop_sequence", "END"),
        ([Piece(text="a", finish="length", stopped_by="END")], "max_tokens", None),
        ([Piece(text="a", finish="content_filter")], "refusal", None),
        ([call(0, "{}", "f", "c"), Piece(finish="stop")], "tool_use", None),  # Ollama says stop
        ([call(0, "{}", "f", "c"), Piece(finish="function_call")], "tool_use", None),
    ],
)
def test_why_it_stopped(pieces: list[Piece], reason: str, stop_sequence: str | None) -> None:
    message = both(*pieces)
    assert (message["stop_reason"], message["stop_sequence"]) == (reason, stop_sequence)


def test_calls_told_in_turns_stay_open_until_they_are_whole() -> None:
    pieces = [call(0, '{"a":', "f", "c0"), call(1, '{"b":2}', "g", "c1"), call(0, "1}"), call(1, " \n"), Piece(text="after"), Piece(finish="tool_calls")]
    streamed = message_of(written(*pieces))
    assert [block.get("input") for block in streamed["content"]] == [{"a": 1}, {"b": 2}, None]
    with pytest.raises(BrokeMidStream):
        written(call(0, "{}", "f", "c0"), Piece(text="after"), call(0, "{}"), Piece(finish="tool_calls"))


def test_half_a_call_under_a_limit() -> None:
    """A stream cannot take back what it said, and an SDK reads on to where it broke off; a whole reply leaves the call out."""
    pieces = [Piece(text="a"), call(0, '{"path": "/', "rm", "c0"), Piece(finish="length")]
    *_, stop, last, _ = events_of(written(*pieces))
    assert stop == {"type": "content_block_stop", "index": 1} and last["delta"]["stop_reason"] == "max_tokens"
    message = json.loads(whole(ASK, gather(pieces)))
    assert message["content"] == [{"type": "text", "text": "a"}] and message["stop_reason"] == "max_tokens"


@pytest.mark.parametrize(
    "pieces",
    [
        [Piece(text="a")],  # no finish
        [Piece(text="a", finish="load")],
        [Piece(text="a", finish="tool_calls")],  # the call vanished
        [call(0, "[1]", "f", "c"), Piece(finish="tool_calls")],
        [call(0, '{"a":', "f", "c"), Piece(finish="tool_calls")],
        [call(0, "{}", "", "c"), Piece(finish="tool_calls")],
    ],
)
def test_what_is_no_answer_is_broken(pieces: list[Piece]) -> None:
    with pytest.raises(BrokeMidStream):
        written(*pieces)
    with pytest.raises(BrokeMidStream):
        whole(ASK, gather(pieces))
