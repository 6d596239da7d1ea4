"""What ends an answer: an error amid a stream, a missing finish, one choice before the other, a whole where a stream was asked."""

from __future__ import annotations

import itertools
import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer, Bytes, Fault
from tests.caller import asked, chat, request_bytes
from tests.faults.doors import over
from tests.gateway import Running, config

SECOND = "second says one two three"
ERROR = {"object": "error", "message": "EngineCore encountered an issue", "type": "InternalServerError", "param": None, "code": 500}
DONE = b"[DONE]"


def chunk(content: str | None = None, *, index: int = 0, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """One chunk of a chat."""
    said = delta if content is None else {"content": content, **delta}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": index, "delta": said, "finish_reason": finish}]}


def sse(*events: dict[str, Any] | bytes, pause_s: float = 0.03) -> Bytes:
    """A stream of these events, one TCP segment each, so that what stands before one was read before it comes."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    parts = [head, *(b"data: " + (event if isinstance(event, bytes) else json.dumps(event).encode()) + b"\n\n" for event in events)]
    return Bytes(data=b"".join(parts), cut_into=tuple(itertools.accumulate(map(len, parts))), pause_s=pause_s)


def whole(message: dict[str, Any]) -> Bytes:
    """A whole reply, whatever was asked."""
    reply = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    body = json.dumps(reply).encode()
    return Bytes(data=b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


SAID = (chunk("", role="assistant"), chunk("first says"), chunk(" this"))
CUTS: dict[str, Bytes] = {
    "an error object": sse(*SAID, ERROR, DONE),
    "an error object without blanks": sse(*SAID, json.dumps(ERROR, separators=(",", ":")).encode(), DONE),
    "an error object and a finish": sse(*SAID, ERROR, chunk(finish="stop"), DONE),
    "no finish reason": sse(*SAID, DONE),
    "a finish reason that is empty": sse(*SAID, chunk(finish=""), DONE),
    "usage and no finish reason": sse(*SAID, {"id": "c", "model": "m", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}, DONE),
}


@pytest.mark.parametrize("front", ["protocol", "asgi"])
@pytest.mark.parametrize("name", CUTS)
def test_a_stream_without_its_proper_end_is_cut(tmp_path: Path, name: str, front: str) -> None:
    with ScriptedBackend(CUTS[name]) as first, ScriptedBackend(SECOND) as second:
        with Running(config(tmp_path, {"first": first.url, "second": second.url})) as gateway:
            heard = over(gateway, front, request_bytes(chat(stream=True, stream_options={"include_usage": True})))
            assert heard.status == 200
            assert heard.end in ("aborted", "reset")
            assert len(heard.errors) == 1
            assert heard.text == "first says this"
            assert heard.finish is None
            assert "[DONE]" not in heard.data
            receipt = gateway.journal.settled(1)[0]
            assert receipt["outcome"] == "cut"
            assert [(attempt["backend"], attempt["outcome"]) for attempt in receipt["attempts"]] == [("first", "broke")]
            assert second.generations == 0
            assert gateway.idle()


@pytest.mark.parametrize("name", CUTS)
def test_a_whole_reply_is_not_made_of_it(tmp_path: Path, name: str) -> None:
    with ScriptedBackend(CUTS[name]) as first, ScriptedBackend(SECOND) as second:
        models = {"both": {"routes": [{"backend": "first"}, {"backend": "second"}]}, "one": {"routes": [{"backend": "first"}]}}
        with Running(config(tmp_path, {"first": first.url, "second": second.url}, models=models)) as gateway:
            heard = asked(gateway.url, chat(model="both"))
            assert (heard.status, heard.text) == (200, SECOND)
            alone = asked(gateway.url, chat(model="one"))
            assert alone.status == 503
            assert alone.error["type"] == "server_error"
            failed_over, failed = gateway.journal.settled(2)
            assert [attempt["outcome"] for attempt in failed_over["attempts"]] == ["broke", "ok"]
            assert failed["outcome"] == "failed"
            assert gateway.idle()


def test_an_error_before_any_text_goes_on_to_the_next(tmp_path: Path) -> None:
    with ScriptedBackend(sse(chunk("", role="assistant"), ERROR, DONE)) as first, ScriptedBackend(SECOND) as second:
        with Running(config(tmp_path, {"first": first.url, "second": second.url})) as gateway:
            heard = asked(gateway.url, chat(stream=True))
            assert heard.finished
            assert heard.text == SECOND
            assert gateway.journal.settled(1)[0]["outcome"] == "ok"


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("calls", [["a"], [None], "abc", {"a": 1}, 5, [5]], ids=repr)
def test_a_whole_with_strange_tool_calls(tmp_path: Path, calls: Any, streamed: bool) -> None:
    """Where a stream was asked it cannot be unfolded: that is the backend's fault, found before anything is shown."""
    strange = whole({"role": "assistant", "content": None, "tool_calls": calls})
    with ScriptedBackend(strange) as first, ScriptedBackend(SECOND) as second:
        models = {"both": {"routes": [{"backend": "first"}, {"backend": "second"}]}, "one": {"routes": [{"backend": "first"}]}}
        with Running(config(tmp_path, {"first": first.url, "second": second.url}, models=models)) as gateway:
            both, alone = asked(gateway.url, chat(model="both", stream=streamed)), asked(gateway.url, chat(model="one", stream=streamed))
            receipts = gateway.journal.settled(2)
            assert both.end == alone.end == "complete"
            if streamed:
                assert (both.text, both.finished) == (SECOND, True)
                assert alone.status == 503
                assert [receipt["outcome"] for receipt in receipts] == ["ok", "failed"]
            assert gateway.idle()


@pytest.mark.parametrize("first_done", [0, 1])
def test_one_choice_ends_before_the_other(tmp_path: Path, first_done: int) -> None:
    other = 1 - first_done
    events = [chunk("a", index=0), chunk("a", index=1), chunk(index=first_done, finish="stop")]
    events += [chunk(letter, index=other) for letter in "bcdef"]
    events += [chunk(index=other, finish="length")]
    usage = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 7}}
    with ScriptedBackend(sse(*events, usage, DONE, pause_s=0.06)) as first, Running(config(tmp_path, {"first": first.url})) as gateway:
        heard = asked(gateway.url, chat(stream=True, n=2, stream_options={"include_usage": True}))
        assert heard.finished
        said: dict[int, str] = {0: "", 1: ""}
        for choice in (choice for event in heard.events for choice in event["choices"]):
            said[choice["index"]] += choice["delta"].get("content") or ""
        assert said == {first_done: "a", other: "abcdef"}
        finishes = {choice["index"]: choice["finish_reason"] for event in heard.events for choice in event["choices"] if choice["finish_reason"]}
        assert finishes == {first_done: "stop", other: "length"}
        assert heard.events[-1]["usage"]["completion_tokens"] == 7
        at = {letter: next(when for when, piece in heard.pieces if b'"%c"' % letter in piece) for letter in b"bcdef"}
        last = heard.pieces[-1][0]
        assert len(set(at.values())) == 5
        assert last - at[ord("b")] > 0.15
        assert last - at[ord("d")] > 0.08
        reply = asked(gateway.url, chat(n=2)).json
        assert [(choice["message"]["content"], choice["finish_reason"]) for choice in reply["choices"]] == [
            (said[0], finishes[0]),
            (said[1], finishes[1]),
        ]


@pytest.mark.parametrize("later", ["", None], ids=repr)
def test_the_id_of_a_tool_call_stays(tmp_path: Path, later: str | None) -> None:
    def call(id: str | None, name: str | None, arguments: str) -> dict[str, Any]:
        return {"index": 0, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}}

    deltas = [call("call_7", "weather", ""), call(later, later, '{"city":'), call(later, later, '"Bonn"}')]
    events = [chunk(tool_calls=[delta]) for delta in deltas]
    with ScriptedBackend(sse(*events, chunk(finish="tool_calls"), DONE, pause_s=0)) as first, Running(config(tmp_path, {"first": first.url})) as gateway:
        reply = asked(gateway.url, chat(tools=[{"type": "function", "function": {"name": "weather"}}])).json
        assert reply["choices"][0]["finish_reason"] == "tool_calls"
        assert reply["choices"][0]["message"]["tool_calls"] == [
            {"id": "call_7", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Bonn"}'}}
        ]


@pytest.mark.parametrize("broken", [True, False], ids=["cut", "whole"])
def test_http_1_0_sees_the_difference_in_how_the_connection_ends(tmp_path: Path, broken: bool) -> None:
    answer = Answer(text="first says alpha beta", fault=Fault(3, "close", after_s=0.03) if broken else None)
    with ScriptedBackend(answer) as first, Running(config(tmp_path, {"first": first.url})) as gateway:
        with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2])), timeout=5) as caller:
            caller.sendall(request_bytes(chat(stream=True)).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
            got, end = b"", "proper"
            try:
                while data := caller.recv(65536):
                    got += data
            except ConnectionResetError:
                end = "reset"
        assert got.startswith(b"HTTP/1.1 200 ")
        assert b"transfer-encoding" not in got.lower()
        assert b" says" in got
        assert end == ("reset" if broken else "proper")
        assert (b"[DONE]" in got, b'"error"' in got) == (not broken, broken)
        assert gateway.journal.settled(1)[0]["outcome"] == ("cut" if broken else "ok")


def test_times_are_short_decimals(tmp_path: Path) -> None:
    with ScriptedBackend(Answer(text="one two three", delay_s=0.003)) as first, Running(config(tmp_path, {"first": first.url})) as gateway:
        for _ in range(20):
            time_said = asked(gateway.url, chat()).headers["x-gen-time"]
            assert re.fullmatch(r"\d+(\.\d{1,9})?(e-\d+)?", time_said)
            figures = asked(gateway.url, chat(stream=True, stream_options={"include_usage": True})).events[-1]["homeport"]
            for name in ("gen_time", "tok_per_s", "first_token_ms"):
                assert re.fullmatch(r"\d+(\.\d{1,4})?", repr(figures[name])), name
