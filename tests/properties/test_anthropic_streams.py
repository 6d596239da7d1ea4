"""However an Anthropic stream is cut into reads, it says the same, to every kind of reader; and whatever it says, no reader stumbles."""

from __future__ import annotations

import contextlib
import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.errors import BrokeMidStream
from homeport.vocabulary import MESSAGES, Usage
from homeport.wire.anthropic.assemble import Assembly
from homeport.wire.anthropic.reply import pieces, read, unfold, whole
from homeport.wire.anthropic.stream import Reader, Stream
from homeport.wire.anthropic.writer import Writer
from homeport.wire.normal import Answer, Call, CallPiece, Piece, gather
from tests.unit.wire.anthropic_samples import STYLES, ask, event, message_of, said

TEXT = ['Příliš "žluťoučký"', "\n\nevent: message_stop\ndata: {}\n\n", "kůň 🐴 \\", '"}}', '{"type":"error"}', " ", "日本語", "data: [DONE]"]
THOUGHT = {"thinking": TEXT[::-1]}
CALLS = [
    {"id": "t1", "name": "f", "input": ['{"a', '": "Ål', 'esund\\n"', "}"]},
    {"id": "t2", "name": "g", "input": ["{}"]},
    {"id": "t3", "name": "h", "input": []},
]
ERROR = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"no"}}\n\n'
ASK = ask({"messages": [{"role": "user", "content": "hi"}]})

BODIES = {f"{style}, text": said({"text": TEXT}, style=style) for style in STYLES}
BODIES |= {f"{style}, all": said(THOUGHT, {"text": TEXT}, *CALLS, style=style, stop="tool_use") for style in STYLES}
BODIES |= {f"{style}, CR LF": BODIES[f"{style}, all"].replace(b"\n", b"\r\n") for style in STYLES}
BODIES |= {f"{style}, cut": BODIES[f"{style}, all"].partition(b"event: message_stop")[0] for style in STYLES}
BODIES |= {f"{style}, error": said({"text": TEXT}, style=style).replace(b"event: message_delta", ERROR + b"event: message_delta") for style in STYLES}
BODIES["pings"] = BODIES["vllm, all"].replace(b"event: content", event("vllm", "ping") + b": awake\n\nevent: content")


def parts(body: bytes, cuts: list[int]) -> list[bytes]:
    return [body[a:b] for a, b in itertools.pairwise([0, *sorted(cuts), len(body)])]


def passed(body: bytes, cuts: list[int]) -> tuple[bytes, int, Usage | None, bool]:
    stream = Stream("ours")
    said = b""
    try:
        for part in parts(body, cuts):
            said += stream.feed(part)
        return said + stream.close({"backend": "b"}), stream.events, stream.usage, True
    except BrokeMidStream:
        return said, 0, None, False


def translated(body: bytes, cuts: list[int]) -> tuple[Answer, int, bool]:
    reader = Reader()
    told: list[Piece] = []
    try:
        for part in parts(body, cuts):
            told += reader.feed(part)
    except BrokeMidStream:
        return Answer(), 0, False
    return gather(told), reader.events, reader.done


def assembled(body: bytes, cuts: list[int]) -> tuple[Any, int]:
    assembly = Assembly("ours", MESSAGES)
    try:
        for part in parts(body, cuts):
            assembly.feed(part)
        return json.loads(assembly.whole()[0]), assembly.events
    except BrokeMidStream:
        return None, 0


def alike(body: bytes, cuts: list[int]) -> None:
    expected, found = passed(body, []), passed(body, cuts)
    if expected[-1]:
        assert found == expected
    else:
        assert not found[-1] and (expected[0].startswith(found[0]) or found[0].startswith(expected[0]))
    assert translated(body, cuts) == translated(body, [])
    assert assembled(body, cuts) == assembled(body, [])


@pytest.mark.parametrize("name", BODIES)
def test_one_cut_anywhere(name: str) -> None:
    body = BODIES[name]
    ends = [at for at in range(len(body)) if body.startswith((b"\n\n", b"\r\n\r\n"), at)]
    near = {at + off for at in ends[:2] + ends[-4:] for off in range(-4, 6) if 0 <= at + off < len(body)}
    for at in sorted(near | set(range(0, len(body), max(1, len(body) // 25)))):
        alike(body, [at])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(BODIES)), st.lists(st.integers(0, 10_000), max_size=40))
def test_any_cuts(name: str, cuts: list[int]) -> None:
    body = BODIES[name]
    alike(body, [cut % len(body) for cut in cuts])


words = st.text(min_size=1, max_size=12)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.sampled_from(STYLES), st.lists(words, min_size=1, max_size=12), st.lists(words, max_size=4), st.lists(st.integers(0, 10_000), max_size=6))
def test_any_text_arrives_as_it_was_said(style: str, text: list[str], thought: list[str], cuts: list[int]) -> None:
    body = said(*([{"thinking": thought}] if thought else []), {"text": text}, style=style)
    places = [cut % len(body) for cut in cuts]
    message = message_of(passed(body, places)[0])
    assert message["content"][-1]["text"] == "".join(text)
    answer, events, done = translated(body, places)
    assert done and (answer.text, answer.reasoning) == ("".join(text), "".join(thought))
    del message["homeport"]
    assert assembled(body, places)[0] == {"stop_sequence": None} | message
    assert events == passed(body, places)[1] == assembled(body, places)[1]


json_objects = st.dictionaries(words, st.none() | st.booleans() | st.integers(-9, 9) | words | st.lists(words, max_size=2), max_size=3)
answers = st.builds(
    Answer,
    text=st.text(max_size=20),
    reasoning=st.text(max_size=20),
    calls=st.lists(st.builds(Call, id=st.from_regex(r"call_\w{1,4}", fullmatch=True), name=words, arguments=json_objects.map(json.dumps)), max_size=3),
    finish=st.sampled_from(["stop", "length", "content_filter"]),
    stopped_by=st.none() | words,
    usage=st.builds(Usage, prompt=st.integers(10, 99), completion=st.integers(0, 99), cached=st.integers(0, 10), reasoning=st.integers(0, 3)),
)


def same(found: Answer, said: Answer) -> None:
    finish = "tool_calls" if said.calls and said.finish == "stop" else said.finish
    assert (found.text, found.reasoning, found.finish, found.usage) == (said.text, said.reasoning, finish, said.usage)
    assert [(call.id, call.name, json.loads(call.arguments)) for call in found.calls] == [
        (call.id, call.name, json.loads(call.arguments)) for call in said.calls
    ]
    assert found.stopped_by == (said.stopped_by if finish == "stop" else None)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(answers, st.integers(1, 7))
def test_what_is_written_is_read_again(answer: Answer, step: int) -> None:
    told = [Piece(reasoning=answer.reasoning[at : at + step]) for at in range(0, len(answer.reasoning), step)]
    told += [Piece(text=answer.text[at : at + step]) for at in range(0, len(answer.text), step)]
    for number, call in enumerate(answer.calls):
        told.append(Piece(calls=[CallPiece(number, call.id, call.name)]))
        told += [Piece(calls=[CallPiece(number, arguments=call.arguments[at : at + step])]) for at in range(0, len(call.arguments), step)]
    told.append(Piece(finish=answer.finish, stopped_by=answer.stopped_by))
    writer = Writer(ASK, 0)
    assert answer.usage is not None
    body = b"".join(writer.write(told[at : at + step]) for at in range(0, len(told), step)) + writer.end(answer.usage, {})
    same(translated(body, [])[0], answer)
    message = message_of(body)
    del message["homeport"]
    assert json.loads(whole(ASK, answer)) == message
    assert assembled(body, [])[0] == message
    same(gather(pieces(whole(ASK, answer))), answer)
    assert message_of(unfold(whole(ASK, answer), ASK, {})) == message | {"homeport": {}}


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.sampled_from(sorted(BODIES)), st.integers(0, 10_000), st.integers(0, 60), st.binary(max_size=8) | st.sampled_from([b"null", b"[]", b'"', b"}", b"\n\n"])
)
def test_a_spoilt_stream_is_whole_or_broken_and_nothing_else(name: str, at: int, length: int, junk: bytes) -> None:
    body = BODIES[name]
    at %= len(body)
    spoilt = body[:at] + junk + body[at + length :]
    passed(spoilt, [])
    translated(spoilt, [])
    assembled(spoilt, [])


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.recursive(st.none() | st.booleans() | st.integers() | words, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3)),
    st.data(),
)
def test_a_spoilt_event_is_told_or_broken_and_nothing_else(value: Any, data: st.DataObject) -> None:
    """Any value in any place of any event: of the type that is expected, or not."""
    events = [json.loads(part.partition(b"data: ")[2]) for part in BODIES["vllm, all"].split(b"\n\n")[:-1]]
    spoilt = data.draw(st.sampled_from(events))
    inner = [part for part in spoilt.values() if isinstance(part, dict)]
    target = data.draw(st.sampled_from([spoilt, *inner]))
    target[data.draw(st.sampled_from(sorted(target)))] = value
    body = b"".join(b"event: x\ndata: " + json.dumps(says).encode() + b"\n\n" for says in events)
    passed(body, [])
    translated(body, [])
    assembled(body, [])
    message = {"type": "message", "model": "theirs", "content": [target], "stop_reason": value or "end_turn", "usage": value}
    for reading in (
        lambda: read(json.dumps(message).encode(), "ours"),
        lambda: pieces(json.dumps(message).encode()),
        lambda: unfold(json.dumps(message).encode(), ASK, {}),
    ):
        with contextlib.suppress(BrokeMidStream):
            reading()
