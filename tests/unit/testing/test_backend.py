"""The scripted backend says what it was told, goes wrong where it was told, and counts what it saw."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import struct
import time
from typing import Any

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer, Bytes, Fault, How, Point, Refuse, ToolCall
from homeport.testing.shapes import StyleName
from tests.caller import Caller, asked, chat, request_bytes

STYLES: tuple[StyleName, ...] = ("llama.cpp", "vllm", "ollama")
TEXT = "Red green blue."
USAGE = {"include_usage": True}


@pytest.fixture(params=STYLES)
def style(request: pytest.FixtureRequest) -> StyleName:
    return request.param


def test_streams_and_wholes_say_the_text(style: StyleName) -> None:
    with ScriptedBackend(TEXT, style=style) as backend:
        streamed = asked(backend.url, chat(stream=True, stream_options=USAGE))
        whole = asked(backend.url, chat())
        assert streamed.text == whole.text == TEXT
        assert streamed.finished
        assert streamed.finish == whole.finish == "stop"
        assert streamed.events[-1]["usage"]["completion_tokens"] == whole.json["usage"]["completion_tokens"] == 3
        assert [seen.tokens for seen in backend.asks] == [3, 3]
        assert backend.until(lambda: backend.sockets == 0)


def test_no_usage_unless_asked(style: StyleName) -> None:
    with ScriptedBackend(TEXT, style=style) as backend:
        assert all("usage" not in event for event in asked(backend.url, chat(stream=True)).events)


def test_completions(style: StyleName) -> None:
    with ScriptedBackend(TEXT, style=style) as backend:
        streamed = asked(backend.url, {"model": "m", "prompt": "x", "stream": True}, path="/v1/completions")
        whole = asked(backend.url, {"model": "m", "prompt": "x"}, path="/v1/completions")
        assert streamed.text == whole.text == TEXT
        assert streamed.finished


def test_max_tokens_cuts(style: StyleName) -> None:
    with ScriptedBackend(TEXT, style=style) as backend:
        streamed = asked(backend.url, chat(stream=True, max_tokens=2))
        assert (streamed.text, streamed.finish) == ("Red green", "length")
        whole = asked(backend.url, chat(max_tokens=2))
        assert (whole.text, whole.finish) == ("Red green", "length")


def test_tool_calls_and_reasoning(style: StyleName) -> None:
    arguments = '{"city": "Oslo", "days": 3}'
    answer = Answer(reasoning=("Let", " me"), tool_calls=(ToolCall(name="weather", arguments=arguments), ToolCall(name="time", id="call_2")))
    with ScriptedBackend(answer, style=style) as backend:
        streamed, whole = asked(backend.url, chat(stream=True)), asked(backend.url, chat())
        said: dict[int, str] = {}
        names: dict[int, str] = {}
        thought = ""
        for event in streamed.events:
            delta = event["choices"][0]["delta"]
            thought += delta.get("reasoning") or delta.get("reasoning_content") or ""
            for call in delta.get("tool_calls", []):
                names.setdefault(call["index"], call["function"].get("name"))
                said[call["index"]] = said.get(call["index"], "") + call["function"].get("arguments", "")
        assert (names, said, thought) == ({0: "weather", 1: "time"}, {0: arguments, 1: "{}"}, "Let me")
        assert streamed.finish == whole.finish == "tool_calls"
        message = whole.json["choices"][0]["message"]
        assert [call["function"] for call in message["tool_calls"]] == [{"name": "weather", "arguments": arguments}, {"name": "time", "arguments": "{}"}]
        assert (message.get("reasoning") or message.get("reasoning_content")) == "Let me"


def test_several_choices(style: StyleName) -> None:
    with ScriptedBackend(TEXT, style=style) as backend:
        streamed = asked(backend.url, chat(stream=True, n=2, stream_options=USAGE))
        for index in (0, 1):
            choices = [choice for event in streamed.events for choice in event["choices"] if choice["index"] == index]
            assert "".join(choice["delta"].get("content") or "" for choice in choices) == TEXT
            assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == ["stop"]
        counts = [event["usage"]["completion_tokens"] for event in streamed.events if event.get("usage")]
        assert counts == ([3, 3] if style == "llama.cpp" else [6])


def test_embeddings(style: StyleName) -> None:
    with ScriptedBackend(style=style) as backend:
        plain = asked(backend.url, {"model": "m", "input": ["a", "b"]}, path="/v1/embeddings").json["data"]
        packed = asked(backend.url, {"model": "m", "input": "a", "encoding_format": "base64"}, path="/v1/embeddings").json["data"]
        assert [row["index"] for row in plain] == [0, 1]
        assert plain[0]["embedding"] != plain[1]["embedding"]
        unpacked = struct.unpack("<16f", base64.b64decode(packed[0]["embedding"]))
        assert unpacked == pytest.approx(plain[0]["embedding"], abs=1e-5)


@pytest.mark.parametrize("how", ["close", "reset", "end", "error", "error_done", "garbage"])
@pytest.mark.parametrize("at", [Point.REQUEST, Point.HEADERS, Point.ROLE, 1, 2, Point.FINISH, Point.DONE])
def test_faults_in_a_stream(style: StyleName, at: Point | int, how: How) -> None:
    with ScriptedBackend(Answer(text=TEXT, fault=Fault(at, how)), style=style) as backend:
        heard = asked(backend.url, chat(stream=True))
        expected = (
            "" if not isinstance(at, int) and at not in (Point.FINISH, Point.DONE) else TEXT if not isinstance(at, int) else "".join(["Red", " green"][:at])
        )
        if at is Point.REQUEST:
            assert heard.status == (0 if how in ("close", "reset") else 500 if how.startswith("error") else 200)
            return
        if how == "reset":  # what was on its way may be lost with the reset
            assert heard.end in ("reset", "aborted")
            return
        assert heard.status == 200
        assert heard.end == ("aborted" if how == "close" else "complete")
        if how != "garbage":
            assert heard.text == expected
            assert len(heard.errors) == (1 if how.startswith("error") else 0)
            assert ("[DONE]" in heard.data) == (at is Point.DONE or how == "error_done")
            assert (heard.finish == "stop") == (at in (Point.FINISH, Point.DONE))


@pytest.mark.parametrize("at", [Point.REQUEST, Point.HEADERS, 2, Point.FINISH, Point.DONE])
def test_faults_in_a_whole_answer(style: StyleName, at: Point | int) -> None:
    with ScriptedBackend(Answer(text=TEXT, fault=Fault(at, "close")), style=style) as backend:
        heard = asked(backend.url, chat())
        assert heard.end == "aborted"
        assert heard.status == (0 if at in (Point.REQUEST, 2) else 200)
        backend.default = Answer(text=TEXT, fault=Fault(2, "error"))
        assert asked(backend.url, chat()).status == 500


@pytest.mark.parametrize("at", [Point.REQUEST, Point.HEADERS, Point.ROLE, 1, Point.FINISH, Point.DONE])
def test_frozen_until_the_peer_leaves(at: Point | int) -> None:
    async def leave_it(url: str) -> bytes:
        async with Caller(url) as caller:
            await caller.send(request_bytes(chat(stream=True)))
            data = b""
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    while piece := await caller.reader.read(65536):
                        data += piece
                return b"it ended"
            return data

    with ScriptedBackend(Answer(text=TEXT, fault=Fault(at, "freeze")), style="vllm") as backend:
        data = asyncio.run(leave_it(backend.url))
        assert (data == b"") == (at is Point.REQUEST)
        assert (b"[DONE]" in data) == (at is Point.DONE)
        assert not data.endswith(b"0\r\n\r\n")
        assert backend.until(lambda: backend.sockets == 0)
        seen = backend.asks[0]
        assert seen.ended == "peer_left"
        assert seen.peer_left_at is not None
        assert backend.in_flight == 0


def test_a_freeze_may_pass_and_pings_fill_the_silence() -> None:
    answer = Answer(text=TEXT, prefill_s=0.05, ping_s=0.01, fault=Fault(1, "freeze", for_s=0.05))
    with ScriptedBackend(answer) as backend:
        heard = asked(backend.url, chat(stream=True))
        assert heard.text == TEXT
        assert heard.finished
        assert heard.body.count(b":\n\n") >= 4
        assert heard.done - heard.began >= 0.1


def test_script_then_default_then_a_function_of_the_request() -> None:
    with ScriptedBackend("last", script=[Refuse(status=503, headers=(("retry-after", "2"),)), Answer(text="first")]) as backend:
        refused = asked(backend.url, chat())
        assert (refused.status, refused.headers["retry-after"]) == (503, "2")
        assert asked(backend.url, chat()).text == "first"
        assert asked(backend.url, chat()).text == "last"
        backend.default = lambda seen: Answer(text=seen.fields["messages"][0]["content"].upper())
        assert asked(backend.url, chat("echo")).text == "ECHO"
        assert backend.generations == 4


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_refusals_have_the_engines_shape(style: StyleName, status: int) -> None:
    with ScriptedBackend(Refuse(status=status, message="no"), style=style) as backend:
        heard = asked(backend.url, chat(stream=True))
        assert heard.status == status
        assert heard.error["message"] == "no"
        assert heard.error["code"] == (None if style == "ollama" else status)


def test_segments_and_dribble_change_no_byte() -> None:
    text = "Příliš žluťoučký kůň 🐴 日本語。"
    with ScriptedBackend(Answer(text=text, cut_into=1), style="vllm") as backend:
        dribbled = asked(backend.url, chat(stream=True))
        assert dribbled.text == text
        backend.default = Answer(text=text, cut_into=(10, 300, 301, 302, 700))
        assert asked(backend.url, chat(stream=True)).text == text
        assert backend.asks[0].sent == backend.asks[1].sent
        assert len(dribbled.pieces) > 20


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_framings_of_a_stream(framing: Any) -> None:
    with ScriptedBackend(Answer(text=TEXT, framing=framing)) as backend:
        heard = asked(backend.url, chat(stream=True))
        assert heard.finished
        assert ("transfer-encoding" in heard.headers, "content-length" in heard.headers) == (framing == "chunked", framing == "length")


def test_whole_although_a_stream_was_asked_and_trailing_garbage() -> None:
    with ScriptedBackend(Answer(text=TEXT, whole=True)) as backend:
        heard = asked(backend.url, chat(stream=True))
        assert heard.headers["content-type"].startswith("application/json")
        assert heard.text == TEXT
        backend.default = Answer(text=TEXT, trailing=b"junk")
        assert asked(backend.url, chat(stream=True)).body.endswith(b"data: [DONE]\n\njunk\n\n")
        backend.default = Bytes(data=b"HTTP/1.1 200 OK\r\nbroken")
        assert asked(backend.url, chat()).status == 0


def test_an_endless_stream_stops_when_the_peer_leaves() -> None:
    async def listen(url: str) -> None:
        async with Caller(url) as caller:
            await caller.send(request_bytes(chat(stream=True)))
            for _ in range(50):
                await caller.reader.readuntil(b"data: ")

    with ScriptedBackend(Answer(tokens=("more ",), endless=True, delay_s=0.001)) as backend:
        asyncio.run(listen(backend.url))
        assert backend.until(lambda: backend.sockets == 0, 1.0)
        assert backend.asks[0].tokens >= 45
        made = backend.asks[0].tokens
        time.sleep(0.02)
        assert backend.asks[0].tokens == made


def test_slots_hold_requests_back_in_order() -> None:
    async def crowd(url: str) -> list[str]:
        callers = [Caller(url) for _ in range(4)]
        for number, caller in enumerate(callers):
            await caller.__aenter__()
            await caller.send(request_bytes(chat(str(number), stream=True)))
            await asyncio.sleep(0.005)
        heards = await asyncio.gather(*(caller.hear() for caller in callers))
        for caller in callers:
            await caller.leave()
        return [heard.text for heard in sorted(heards, key=lambda heard: heard.done)]

    with ScriptedBackend(lambda seen: Answer(text=seen.fields["messages"][0]["content"], wait_s=0.02), slots=1) as backend:
        assert asyncio.run(crowd(backend.url)) == ["0", "1", "2", "3"]
        assert backend.in_flight_peak == 4


def test_keep_alive_and_the_stale_connection() -> None:
    async def twice(url: str) -> tuple[int, int]:
        async with Caller(url) as caller:
            first = await caller.ask(chat())
            try:
                second = await caller.ask(chat())
            except ConnectionError:
                return first.status, 0
            return first.status, second.status

    with ScriptedBackend(TEXT) as backend:
        assert asyncio.run(twice(backend.url)) == (200, 200)
        assert backend.connections == 1
        backend.drops_reused = True
        assert asyncio.run(twice(backend.url)) == (200, 0)
        backend.drops_reused, backend.closes_after = False, 1
        assert asyncio.run(twice(backend.url)) == (200, 0)


def test_pages_keys_and_loading(style: StyleName) -> None:
    with ScriptedBackend(style=style, models=["a", "b"], api_key="sk-test") as backend:
        key = {"authorization": "Bearer sk-test"}
        assert asked(backend.url, method="GET", path="/v1/models").status == 401
        assert [row["id"] for row in asked(backend.url, method="GET", path="/v1/models", headers=key).json["data"]] == ["a", "b"]
        assert asked(backend.url, method="GET", path="/health").status == (404 if style == "ollama" else 200)
        backend.pages["/health"] = Refuse(status=500)
        assert asked(backend.url, method="GET", path="/health").status == 500
        backend.loading = True
        assert asked(backend.url, chat(), headers=key).error["message"] == "Loading model"
        assert backend.generations == 0


def test_a_request_is_kept_as_it_came() -> None:
    with ScriptedBackend(TEXT) as backend:
        asked(backend.url, chat(stream=False, seed=3), headers={"X-Mine": "1"})
        seen = backend.requests[0]
        assert backend.until(lambda: seen.ended == "complete")
        assert (seen.method, seen.path, seen.headers["x-mine"], seen.fields["seed"]) == ("POST", "/v1/chat/completions", "1", 3)
        assert b"X-Mine: 1\r\n" in seen.head


def test_on_the_callers_own_loop() -> None:
    async def go() -> str:
        async with ScriptedBackend(TEXT) as backend, Caller(backend.url) as caller:
            heard = await caller.ask(chat())
            assert await backend.reached(lambda: backend.in_flight == 0)
            return heard.text

    assert asyncio.run(go()) == TEXT
