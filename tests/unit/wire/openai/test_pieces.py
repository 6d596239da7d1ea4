"""Answers of OpenAI backends as Pieces: streams of three engines, whole replies, vectors."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from homeport.errors import BrokeMidStream
from homeport.testing.script import Answer, ToolCall
from homeport.testing.shapes import STYLES, StyleName
from homeport.vocabulary import CHAT, COMPLETIONS, Usage
from homeport.wire.assemble import Assembly
from homeport.wire.normal import Answer as Gathered
from homeport.wire.normal import Call, Vectors, gather
from homeport.wire.openai.pieces import Reader, pieces, vectors
from homeport.wire.thinking import split
from tests.captures import captured, surprises
from tests.unit.wire.openai_samples import heard, wire

CALLS = (ToolCall(name="look", arguments='{"city": "Ålesund"}'), ToolCall(name="time", id="call_2"))


def chunks(*deltas: dict[str, Any] | str, finish: str | None = "stop", done: bool = True, **choice: Any) -> bytes:
    """A stream of these deltas of a chat, or texts of a completion."""
    said = [{"text": delta} if isinstance(delta, str) else {"delta": delta} for delta in deltas]
    rows = [{"choices": [{"index": 0, "finish_reason": None, **one}]} for one in said]
    if finish is not None:
        rows.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish, **choice}]})
    return b"".join(b"data: " + json.dumps(row).encode() + b"\n\n" for row in rows) + (b"data: [DONE]\n\n" if done else b"")


@pytest.mark.parametrize("style", STYLES)
def test_what_three_engines_stream(style: StyleName) -> None:
    answer, reader = heard(wire(style, Answer(text="It is blue.", reasoning=("Let", " me"))))
    assert (answer.text, answer.reasoning, answer.finish) == ("It is blue.", "Let me", "stop")
    assert answer.usage is not None and answer.usage.prompt == 5
    assert reader.done
    answer, _ = heard(wire(style, Answer(tool_calls=CALLS)))
    assert answer.calls == [Call("call_1", "look", '{"city": "Ålesund"}'), Call("call_2", "time", "{}")]
    assert answer.finish == "tool_calls"
    answer, reader = heard(wire(style, Answer(text="It is blue.", finish="length"), chat_surface=False))
    assert (answer.text, answer.finish) == ("It is blue.", "length")


@pytest.mark.parametrize("style", STYLES)
def test_a_run_of_events_is_one_piece_and_each_is_counted(style: StyleName) -> None:
    body = wire(style, Answer(tokens=("a", "\\", '"', "ž", "\n", "e", "f", "g")))
    reader = Reader()
    told = [piece for piece in reader.feed(body) if piece.says_something]
    assert "".join(piece.text for piece in told) == 'a\\"ž\nefg'
    assert reader.events == 8
    one_by_one = Reader()
    for event in body.split(b"\n\n")[:-1]:
        one_by_one.feed(event + b"\n\n")
    assert one_by_one.events == 8 and one_by_one.done
    if style != "ollama":  # its role stands in every delta; that is a mould too
        assert len(told) < 8


def test_reasoning_runs_are_runs_too() -> None:
    answer = Answer(text="x", reasoning=tuple("abcdefgh"))
    reader = Reader()
    told = reader.feed(wire("vllm", answer))
    assert len([piece for piece in told if piece.reasoning]) <= 3
    assert gather(told).reasoning == "abcdefgh" and reader.events == 9


def test_tags_are_told_apart_only_where_the_engine_did_not() -> None:
    tokens = ("<", "think>", "\nLet", " me", "\n</thi", "nk>", "\n\n", "Blue", ".")
    answer, reader = heard(wire("vllm", Answer(tokens=tokens)))
    assert (answer.text, answer.reasoning) == ("Blue.", "Let me")
    assert reader.events == len(tokens)
    answer, _ = heard(wire("vllm", Answer(tokens=tokens, reasoning=("its", " own"))))
    assert (answer.text, answer.reasoning) == ("".join(tokens), "its own")
    answer, _ = heard(wire("vllm", Answer(tokens=tokens), chat_surface=False))
    assert answer.text == "".join(tokens)  # a raw prompt gets what the model says
    answer, _ = heard(chunks({"content": " <thi"}))
    assert answer.text == " <thi"
    answer, _ = heard(chunks({"content": "<think>cut </th"}, finish="length"))
    assert (answer.text, answer.reasoning) == ("", "cut </th")


def test_calls_of_other_engines() -> None:
    def call(**given: Any) -> dict[str, Any]:
        return {"tool_calls": [{"type": "function", **given}]}

    same_index = chunks(call(index=0, id="a", function={"name": "x", "arguments": "{}"}), call(index=0, id="b", function={"name": "y", "arguments": "{}"}))
    assert heard(same_index)[0].calls == [Call("a", "x", "{}"), Call("b", "y", "{}")]
    no_index = chunks(call(id="a", function={"name": "x", "arguments": "{"}), call(function={"arguments": "}"}), call(id="b", function={"name": "y"}))
    assert heard(no_index)[0].calls == [Call("a", "x", "{}"), Call("b", "y", "")]
    ids_anew = chunks(call(index=0, id="a", function={"name": "x", "arguments": "{"}), call(index=0, id="z", function={"arguments": "}"}))
    assert heard(ids_anew)[0].calls == [Call("a", "x", "{}")]
    an_object = chunks(call(index=0, id="a", function={"name": "x", "arguments": {"b": 1}}))
    assert heard(an_object)[0].calls == [Call("a", "x", '{"b":1}')]
    older = chunks({"function_call": {"name": "x", "arguments": "{"}}, {"function_call": {"arguments": "}"}}, finish="function_call")
    assert heard(older)[0] == Gathered(calls=[Call("", "x", "{}")], finish="tool_calls")


def test_finishes() -> None:
    assert heard(chunks({"content": "a"}, finish="stop", stop_reason="END"))[0].stopped_by == "END"
    assert heard(chunks({"content": "a"}, finish="stop", stop_reason=151645))[0].stopped_by is None
    assert heard(chunks({"content": "a"}, finish="eos"))[0].finish == "stop"
    named = chunks({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "x", "arguments": "{}"}}]}, finish="stop")
    assert heard(named)[0].finish == "tool_calls"  # vLLM says "stop" after a named function
    assert heard(chunks({"refusal": "No."}, finish="content_filter"))[0] == Gathered(text="No.", finish="content_filter")
    assert heard(chunks({"content": [{"type": "text", "text": "a"}]}))[0].text == "a"


@pytest.mark.parametrize(
    "body",
    [
        chunks({"content": "a"}, finish=None),
        chunks({"content": ""}, finish="load"),
        chunks({"content": "a"}, finish="abort"),
        b"data: nonsense\n\n",
        b'data: {"choices": [3]}\n\n',
        b'data: {"error": {"message": "secret", "type": "server_error"}}\n\ndata: [DONE]\n\n',
        b'event: error\ndata: {"object": "error", "message": "secret", "code": 500}\n\n',
        chunks({"tool_calls": ["x"]}),
        chunks({"tool_calls": [{"function": 3}]}),
        chunks({"tool_calls": [{"function": {"name": 3}}]}),
    ],
)
def test_what_is_no_success(body: bytes) -> None:
    with pytest.raises(BrokeMidStream) as broke:
        heard(body)
    assert "secret" not in str(broke.value)


def test_a_stream_that_ends_without_done_is_not_done() -> None:
    _, reader = heard(chunks({"content": "a"}, done=False))
    assert not reader.done
    _, reader = heard(chunks({"content": "a"}), b"data: nonsense\n\n")  # what follows it is nobody's
    assert reader.done


@pytest.mark.parametrize("name", surprises())
def test_surprises_of_engines(name: str) -> None:
    """A stream either comes to the same as the assembled reply, or breaks where that breaks."""
    row = surprises()[name]
    body = "".join(text for _, text in row.response.pieces).encode()
    if row.response.framing != "chunked":
        if row.response.end == "complete":
            with pytest.raises(BrokeMidStream):
                pieces(body)
        return
    assert_same_as_assembled(body, COMPLETIONS if row.request.path.endswith("/completions") and "chat" not in row.request.path else CHAT)


@pytest.mark.parametrize("engine", ["llamacpp", "vllm", "ollama"])
def test_every_recorded_stream(engine: str) -> None:
    rows = [row for row in captured(engine).values() if row.request.path in ("/v1/chat/completions", "/v1/completions") and row.response.status == 200]
    streams = 0
    for row in rows:
        body = "".join(text for _, text in row.response.pieces).encode()
        if "left out" in body.decode():
            continue
        if body.startswith(b"data:"):
            streams += 1
            assert_same_as_assembled(body, CHAT if "chat" in row.request.path else COMPLETIONS)
        elif row.response.end == "complete" and body.startswith(b"{") and b'"load"' not in body:
            (piece,) = pieces(body)
            whole = json.loads(body)["choices"][0]
            assert piece.finish
            assert piece.text + piece.reasoning or piece.calls or not (whole.get("message", {}).get("content") or whole.get("text"))
    assert streams > 5


def assert_same_as_assembled(body: bytes, surface: Any) -> None:
    whole = Assembly("ours", surface)
    try:
        whole.feed(body)
        reply = json.loads(whole.whole()[0])
    except BrokeMidStream:
        try:
            assert not heard(body)[1].done
        except BrokeMidStream:
            return
        return
    for cut in (len(body), 1, 7, 200):
        answer, reader = heard(*(body[at : at + cut] for at in range(0, len(body), cut)))
        choice = reply["choices"][0]
        said = choice.get("message", choice)
        thought = said.get("reasoning_content") or said.get("reasoning") or ""
        text = said.get("content") or said.get("text") or ""
        if surface is CHAT and not thought:
            text, thought = split(text)
        assert (answer.text, answer.reasoning) == (text, thought)
        assert [(call.name, call.arguments) for call in answer.calls] == [
            (call["function"]["name"], call["function"].get("arguments", "")) for call in said.get("tool_calls") or ()
        ]
        assert answer.finish == ("tool_calls" if answer.calls and choice["finish_reason"] == "stop" else choice["finish_reason"])
        if len(reply["choices"]) == 1:
            assert whole.events - 1 <= reader.events <= whole.events  # an empty event of a completion counts there
            assert (answer.usage or Usage()) == (whole.usage or Usage())


def test_a_whole_reply() -> None:
    reply = {
        "choices": [
            {
                "message": {
                    "content": "<think>hm</think>\nBlue.",
                    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
                },
                "finish_reason": "stop",
                "stop_reason": "END",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "prompt_tokens_details": None},
    }
    assert gather(pieces(json.dumps(reply).encode())) == Gathered("Blue.", "hm", [Call("c1", "look", "{}")], "tool_calls", "END", Usage(3, 4))
    reply["choices"] = [{"message": {"content": "<think>a</think>", "reasoning": "own"}, "finish_reason": "length"}]
    assert gather(pieces(json.dumps(reply).encode())) == Gathered("<think>a</think>", "own", [], "length", None, Usage(3, 4))
    reply["choices"] = [{"text": "<think>raw", "finish_reason": "length"}]
    assert gather(pieces(json.dumps(reply).encode())).text == "<think>raw"


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b'{"error": "x"}', b'{"choices": []}', b'{"choices": [{"message": {"content": "a"}}]}'])
def test_what_is_no_whole_reply(body: bytes) -> None:
    with pytest.raises(BrokeMidStream):
        pieces(body)


def test_vectors() -> None:
    packed = base64.b64encode(struct.pack("<2f", 0.5, -1.0)).decode()
    reply = {"data": [{"index": 1, "embedding": packed}, {"index": 0, "embedding": [1, 0.25]}], "usage": {"prompt_tokens": 6}}
    assert vectors(json.dumps(reply).encode()) == Vectors([[1.0, 0.25], [0.5, -1.0]], Usage(6))
    for body in (b"{}", b"x", b'{"data": [{"index": 0, "embedding": "AAA"}]}', b'{"data": [{"index": 0, "embedding": "AAAA"}]}', b'{"data": [3]}'):
        with pytest.raises(BrokeMidStream):
            vectors(body)
