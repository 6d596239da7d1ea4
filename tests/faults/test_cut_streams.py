"""A stream that breaks after its first token is shown as cut: an error object, then an aborted connection, never more text."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.replay import CapturedBackend
from homeport.testing.script import Answer, Fault, How, Point
from homeport.testing.shapes import StyleName
from tests.caller import Caller, Heard, chat, request_bytes
from tests.captures import captured, surprises
from tests.gateway import Running, config

TEXT = "first says alpha beta gamma delta"
HOWS: list[How] = ["close", "reset", "end", "error", "error_done", "garbage", "freeze"]


async def over(url: str, front: str, body: dict[str, object]) -> Heard:
    """One request over the model routes' own protocol, over its ASGI twin, or as an HTTP/1.0 client."""
    async with Caller(url) as caller:
        if front == "asgi":  # a connection that once asked for a page stays with uvicorn
            assert (await caller.ask(method="GET", path="/ready", host="127.0.0.1")).end == "complete"
        data = request_bytes(body, path="/v1/chat/completions")
        await caller.send(data.replace(b"HTTP/1.1", b"HTTP/1.0", 1) if front == "http/1.0" else data)
        return await caller.hear()


def cut(heard: Heard, gateway: Running, *, tokens: int | None = None) -> None:
    """What a caller and the owner must see of a cut stream."""
    assert heard.status == 200
    assert heard.end in ("aborted", "reset")
    assert len(heard.errors) == 1
    assert heard.errors[0]["message"]
    assert {"message", "type", "param", "code"} <= set(heard.errors[0])
    assert heard.events[-1].keys() == {"error"}
    assert "[DONE]" not in heard.data
    assert heard.finish is None
    assert TEXT.startswith(heard.text)
    assert heard.text
    if tokens is not None:
        assert heard.text == " ".join(TEXT.split(" ")[:tokens])
    receipt = gateway.journal.settled(1)[0]
    assert receipt["outcome"] == "cut"
    assert [attempt["backend"] for attempt in receipt["attempts"]] == ["first"]
    assert receipt["attempts"][0]["outcome"] in ("broke", "stalled")
    assert gateway.idle()


@pytest.mark.parametrize("front", ["protocol", "asgi", "http/1.0"])
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("at", [1, 3, Point.FINISH])
def test_every_kind_of_cut(tmp_path: Path, at: Point | int, how: How, front: str) -> None:
    answer = Answer(text=TEXT, fault=Fault(at, how, after_s=0.03))
    with ScriptedBackend(answer, style="vllm") as first, ScriptedBackend("second says nothing") as second:
        path = config(tmp_path, {"first": {"url": first.url, "idle_timeout_s": 0.3}, "second": second.url})
        with Running(path) as gateway:
            heard = asyncio.run(over(gateway.url, front, chat(stream=True)))
            if front == "http/1.0" and heard.end == "complete":  # there the end of the connection ends the body: the error object alone must tell
                heard.end = "aborted"
            cut(heard, gateway, tokens=at if isinstance(at, int) else None)
            assert second.generations == 0
            assert first.until(lambda: first.in_flight == 0, 1.0)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_fault_in_the_same_read_as_text_is_cut_or_free(tmp_path: Path, at: int, how: How) -> None:
    """Whether the text before the fault was shown is a matter of packets; that two answers are never mixed is not."""
    with ScriptedBackend(Answer(text=TEXT, fault=Fault(at, how)), style="vllm") as first, ScriptedBackend("second says all") as second:
        with Running(config(tmp_path, {"first": {"url": first.url, "idle_timeout_s": 0.2}, "second": second.url})) as gateway:
            heard = asyncio.run(over(gateway.url, "protocol", chat(stream=True)))
            receipt = gateway.journal.settled(1)[0]
            if heard.finished:
                assert heard.text == "second says all"
                assert (receipt["outcome"], len(receipt["attempts"])) == ("ok", 2)
            else:
                cut(heard, gateway)
                assert second.generations == 0


@pytest.mark.parametrize("style", ["llama.cpp", "vllm", "ollama"])
def test_every_engines_way_to_die(tmp_path: Path, style: StyleName) -> None:
    how: How = {"llama.cpp": "close", "vllm": "error_done", "ollama": "end"}[style]  # type: ignore[assignment]
    with (
        ScriptedBackend(Answer(text=TEXT, delay_s=0.002, fault=Fault(4, how, after_s=0.03)), style=style) as first,
        Running(config(tmp_path, {"first": first.url})) as gateway,
    ):
        cut(asyncio.run(over(gateway.url, "protocol", chat(stream=True, stream_options={"include_usage": True}))), gateway, tokens=4)


@pytest.mark.parametrize(
    "name",
    [
        "vllm: an error, then [DONE]",
        "ollama: ends properly without finish or [DONE]",
        "llamacpp: killed amid a stream",
        "ollama: completions end properly without finish or [DONE]",
    ],
)
@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
def test_recorded_deaths(tmp_path: Path, name: str, streamed: bool) -> None:
    row = surprises()[name]
    with CapturedBackend(surprises().values(), pace=20.0) as first, ScriptedBackend("second says so") as second:
        first.play(name)
        with Running(config(tmp_path, {"first": first.url, "second": second.url})) as gateway:

            async def go() -> Heard:
                async with Caller(gateway.url) as caller:
                    return await caller.ask({**row.request.body, "model": "assistant", "stream": streamed}, path=row.request.path)

            heard = asyncio.run(go())
            if streamed:
                assert heard.end in ("aborted", "reset")
                assert len(heard.errors) == 1
                assert "Boats sail".startswith(heard.text)
                assert "[DONE]" not in heard.data
                assert gateway.journal.settled(1)[0]["outcome"] == "cut"
            else:
                assert (heard.status, heard.text, heard.end) == (200, "second says so", "complete")
                assert len(gateway.journal.settled(1)[0]["attempts"]) == 2


@pytest.mark.parametrize(
    ("engine", "name"),
    [
        ("vllm", "core-killed-stream"),
        ("vllm", "killed-stream"),
        ("ollama", "event: runner killed, v1 chat, stream"),
        ("ollama", "event: runner killed, v1 completions, stream"),
        ("llamacpp", "killed-stream"),
    ],
)
def test_deaths_of_real_engines(tmp_path: Path, engine: str, name: str) -> None:
    row = captured(engine)[name]
    with CapturedBackend([row], pace=0.3) as first, Running(config(tmp_path, {"first": first.url})) as gateway:
        first.play(name)

        async def go() -> Heard:
            async with Caller(gateway.url) as caller:
                return await caller.ask({**row.request.body, "model": "assistant"}, path=row.request.path)

        heard = asyncio.run(go())
        assert heard.end in ("aborted", "reset")
        assert len(heard.errors) == 1
        assert "[DONE]" not in heard.data
        assert gateway.journal.settled(1)[0]["outcome"] == "cut"


def test_done_without_the_end_of_the_body_is_a_whole_answer(tmp_path: Path) -> None:
    """`[DONE]` is the last word of the dialect: how the connection ends after it takes nothing back."""
    for how in ("close", "freeze"):
        with ScriptedBackend(Answer(text=TEXT, fault=Fault(Point.DONE, how))) as first, Running(config(tmp_path, {"first": first.url})) as gateway:  # type: ignore[arg-type]
            heard = asyncio.run(over(gateway.url, "protocol", chat(stream=True)))
            assert heard.finished
            assert heard.text == TEXT
            assert first.until(lambda: first.in_flight == 0, 3.0)
