"""Answers of any backend as OpenAI's streams and whole replies, also in the eyes of the official SDK."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import httpx2 as httpx
import pytest
from openai import OpenAI

from homeport.errors import BrokeMidStream
from homeport.vocabulary import EMBEDDINGS, Ask, Usage
from homeport.wire.normal import Answer, Call, CallPiece, Piece, Vectors, gather
from homeport.wire.openai.pieces import Reader, vectors
from homeport.wire.openai.writer import Writer, embeddings, whole
from tests.unit.wire.openai_samples import ask, chat, completion, events

PIECES = [
    Piece(reasoning="Let me"),
    Piece(text="It is", reasoning=" see."),
    Piece(text=' "blue".\n🐴'),
    Piece(calls=[CallPiece(0, "c1", "look", "")]),
    Piece(calls=[CallPiece(0, arguments='{"a"'), CallPiece(1, "", "time", "{}")]),
    Piece(calls=[CallPiece(0, arguments=": 1}")], finish="tool_calls"),
    Piece(usage=Usage(3, 4, 1, 2)),
]
USAGE = {
    "prompt_tokens": 3,
    "completion_tokens": 4,
    "total_tokens": 7,
    "prompt_tokens_details": {"cached_tokens": 1},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
FIGURES = {"backend": "b", "tokens": 4}


def written(asked: Ask, pieces: list[Piece]) -> bytes:
    writer = Writer(asked, 1_795_000_000)
    return b"".join(writer.write([piece]) for piece in pieces) + writer.end(Usage(3, 4, 1, 2), FIGURES)


def sdk(reply: bytes, content_type: str = "text/event-stream") -> OpenAI:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers={"content-type": content_type}, content=reply))
    return OpenAI(base_url="http://gateway/v1", api_key="k", http_client=httpx.Client(transport=transport))


def test_a_chat_says_its_role_first_and_its_finish_last() -> None:
    said = written(chat(stream=True, stream_options={"include_usage": True}), PIECES)
    assert said.endswith(b"data: [DONE]\n\n")
    first, *rest, finish, usage = events(said)
    shared = {"id": "chatcmpl-7f-1", "object": "chat.completion.chunk", "created": 1_795_000_000, "model": "m"}
    assert first == shared | {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}]}
    assert [event["choices"][0]["delta"] for event in rest] == [
        {"reasoning_content": "Let me"},
        {"reasoning_content": " see."},
        {"content": "It is"},
        {"content": ' "blue".\n🐴'},
        {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": ""}}]},
        {
            "tool_calls": [
                {"index": 0, "function": {"arguments": '{"a"'}},
                {"index": 1, "id": "call_7f-1_1", "type": "function", "function": {"name": "time", "arguments": "{}"}},
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]},
    ]
    assert finish == shared | {"choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "tool_calls"}]}
    assert usage == shared | {"choices": [], "usage": USAGE, "homeport": FIGURES}


def test_usage_only_where_asked_for() -> None:
    assert all("usage" not in event for event in events(written(chat(stream=True), PIECES)))


def test_what_shows_nothing_writes_nothing() -> None:
    writer = Writer(chat(stream=True), 1)
    assert writer.write([]) == writer.write([Piece(), Piece(usage=Usage(1))]) == writer.write([Piece(finish="stop", stopped_by="END")]) == b""
    first, finish = events(writer.end(Usage(), {}))
    assert first["choices"][0]["delta"]["role"] == "assistant"
    assert finish["choices"][0]["finish_reason"] == "stop" and finish["choices"][0]["stop_reason"] == "END"


def test_no_finish_is_no_end() -> None:
    writer = Writer(chat(stream=True), 1)
    writer.write([Piece("a")])
    with pytest.raises(BrokeMidStream):
        writer.end(Usage(), {})
    with pytest.raises(BrokeMidStream):
        whole(chat(), Answer("a"))


def test_a_completion() -> None:
    asked = completion(stream=True, stream_options={"include_usage": True})
    *texts, finish, usage = events(written(asked, [Piece(reasoning="hm"), Piece("Once "), Piece("more"), Piece(finish="length")]))
    assert {event["object"] for event in texts} == {"text_completion"} and finish["id"] == "cmpl-7f-1"
    assert [event["choices"][0]["text"] for event in texts] == ["", "Once ", "more"]
    assert texts[0]["choices"][0]["reasoning_content"] == "hm"
    assert finish["choices"] == [{"index": 0, "text": "", "logprobs": None, "finish_reason": "length"}]
    assert usage["choices"] == [] and usage["homeport"] == FIGURES


def test_reader_and_writer_agree() -> None:
    said = written(chat(stream=True, stream_options={"include_usage": True}), PIECES)
    reader = Reader()
    told = [piece for at in range(0, len(said), 50) for piece in reader.feed(said[at : at + 50])]
    expected = gather(PIECES)
    expected.calls[1].id = "call_7f-1_1"
    assert gather(told) == expected and reader.done


def test_whole_replies() -> None:
    answer = Answer("Blue.", "hm", [Call("c1", "look", "{}"), Call("", "time", "{}")], "tool_calls", None, Usage(3, 4, 1, 2))
    reply = json.loads(whole(chat(), answer, 5))
    assert reply["choices"] == [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Blue.",
                "reasoning_content": "hm",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}},
                    {"id": "call_7f-1_1", "type": "function", "function": {"name": "time", "arguments": "{}"}},
                ],
            },
            "logprobs": None,
            "finish_reason": "tool_calls",
        }
    ]
    assert (reply["object"], reply["created"], reply["usage"]) == ("chat.completion", 5, USAGE)
    assert json.loads(whole(chat(), Answer(calls=[Call("c", "f", "{}")], finish="tool_calls")))["choices"][0]["message"]["content"] is None
    assert json.loads(whole(chat(), Answer(finish="stop")))["choices"][0]["message"]["content"] == ""
    text = json.loads(whole(completion(), Answer("more", finish="stop", stopped_by="END")))
    assert text["choices"] == [{"index": 0, "text": "more", "logprobs": None, "finish_reason": "stop", "stop_reason": "END"}]


def test_embeddings() -> None:
    found = Vectors([[0.5, -1.0], [0.25, 2.0]], Usage(6))
    plain = embeddings(ask(EMBEDDINGS, {"input": ["a", "b"]}), found)
    assert json.loads(plain)["data"][1] == {"object": "embedding", "index": 1, "embedding": [0.25, 2.0]}
    assert json.loads(plain)["usage"] == {"prompt_tokens": 6, "total_tokens": 6}
    packed = embeddings(ask(EMBEDDINGS, {"input": ["a", "b"], "encoding_format": "base64"}), found)
    assert base64.b64decode(json.loads(packed)["data"][0]["embedding"]) == struct.pack("<2f", 0.5, -1.0)
    assert vectors(plain) == vectors(packed) == found
    heard = sdk(packed, "application/json").embeddings.create(model="m", input=["a", "b"])
    assert [row.embedding for row in heard.data] == found.vectors


def test_the_sdk_takes_the_stream() -> None:
    said = written(chat(stream=True, stream_options={"include_usage": True}), PIECES)
    given: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    with sdk(said).chat.completions.stream(**given) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    message = final.choices[0].message
    assert message.content == 'It is "blue".\n🐴'
    assert [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or ()] == [
        ("c1", "look", '{"a": 1}'),
        ("call_7f-1_1", "time", "{}"),
    ]
    assert final.choices[0].finish_reason == "tool_calls" and final.usage is not None and final.usage.total_tokens == 7
    reply = sdk(whole(chat(), gather(PIECES)), "application/json").chat.completions.create(**given)
    assert reply.choices[0].message.content == message.content


def test_the_sdk_takes_a_completion() -> None:
    said = written(completion(stream=True), [Piece("Once "), Piece("more", finish="stop")])
    chunks = list(sdk(said).completions.create(model="m", prompt="x", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == "Once more" and chunks[-1].choices[0].finish_reason == "stop"
