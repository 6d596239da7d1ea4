"""Two backends, the first at fault before the first token or, for whole replies, at any token: no caller notices."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.loopback import bound
from homeport.testing.process import BackendProcess, Setup
from homeport.testing.proxy import FaultProxy, Faults
from homeport.testing.script import Answer, Behaviour, Bytes, Fault, Point, Refuse
from tests.caller import Caller, Heard, ask, chat
from tests.gateway import Running, config

FIRST = Answer(text="first says alpha beta gamma delta")
SECOND = Answer(text="second says one two three four")
EARLY = [Point.REQUEST, Point.HEADERS, Point.ROLE]
HOWS = ["close", "reset", "end", "error", "error_done", "garbage"]

BEFORE_THE_FIRST_TOKEN: dict[str, Behaviour] = {
    **{f"{how} at {at.value}": Answer(text=FIRST.text, fault=Fault(at, how)) for at in EARLY for how in HOWS},
    **{f"status {status}": Refuse(status=status) for status in (401, 403, 404, 408, 429, 500, 502, 503, 504)},
    "status 500 that is no JSON": Refuse(status=500, body=b"<h1>oops</h1>"),
    "an empty stream": Answer(tokens=(), fault=Fault(Point.ROLE, "end")),
    "not HTTP": Bytes(data=b"SSH-2.0-OpenSSH_9.6\r\n"),
    "half a head": Bytes(data=b"HTTP/1.1 200 OK\r\ncontent-type: text/event-"),
    "an event of another shape": Bytes(data=b'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {"choices": [null]}\n\ndata: [DONE]\n\n'),
    "choices that are an object": Bytes(data=b'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {"choices": {}}\n\ndata: [DONE]\n\n'),
    "JSON that is no reply": Bytes(data=b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]"),
    "an error under 200": Bytes(data=b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{"error":{"type":9}}'),
    "a page of HTML": Bytes(data=b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 13\r\n\r\n<h1>Login</h1"),
    "only loaded": Answer(tokens=(), finish="load"),
}
AT_ANY_TOKEN: dict[str, Behaviour] = {
    f"{how} at {at if isinstance(at, int) else at.value}": Answer(text=FIRST.text, fault=Fault(at, how)) for at in (1, 2, 5, 6, Point.FINISH) for how in HOWS
}

EVENT = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]}\n\n'
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
AT_ANY_TOKEN |= {
    f"{name} in a token": Bytes(data=STREAM + EVENT % b"a" + EVENT % b"b" + EVENT % text + EVENT % b"c" + b"data: [DONE]\n\n")
    for name, text in {"no UTF-8": b"\xff", "a bad escape": b"\\x", "half a surrogate pair and no more": b"\\ud83", "a control character": b"\x01"}.items()
}


async def many(url: str, number: int, at_once: int, **fields: Any) -> list[Heard]:
    """So many chats over `at_once` kept connections."""
    left = iter(range(number))
    heards: list[Heard] = []

    async def one() -> None:
        caller: Caller | None = None
        for _ in left:
            if caller is None:
                caller = await Caller(url).__aenter__()
            heard = await caller.ask(chat(**fields))
            heards.append(heard)
            if heard.end != "complete" or heard.headers.get("connection") == "close":
                await caller.leave()
                caller = None
        if caller is not None:
            await caller.leave()

    await asyncio.gather(*(one() for _ in range(at_once)))
    return heards


def unnoticed(heards: list[Heard], gateway: Running, *, first: str = "failed") -> None:
    """Each was answered whole by the second backend alone, and each receipt names both attempts."""
    assert {(heard.status, heard.text, heard.finish, heard.end) for heard in heards} == {(200, SECOND.text, "stop", "complete")}
    assert {heard.headers["x-homeport-backend"] for heard in heards} == {"second"}
    receipts = gateway.journal.settled(len(heards))
    for receipt in receipts:
        assert receipt["outcome"] == "ok"
        assert receipt["backend"] == "second"
        assert [attempt["backend"] for attempt in receipt["attempts"]] == ["first", "second"]
        one, two = receipt["attempts"]
        assert one["outcome"] not in ("ok", "client_left", "rejected")
        assert one["reason"]
        assert two["outcome"] == "ok"
    assert gateway.idle()


@contextmanager
def two(tmp_path: Path, behaviour: Behaviour, **first: Any) -> Iterator[tuple[ScriptedBackend, ScriptedBackend, Running]]:
    with ScriptedBackend(behaviour, style="vllm") as one, ScriptedBackend(SECOND) as other:
        path = config(tmp_path, {"first": {"url": one.url, **first}, "second": other.url})
        with Running(path, guarded=False) as gateway:
            yield one, other, gateway


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("name", BEFORE_THE_FIRST_TOKEN)
def test_before_the_first_token(tmp_path: Path, name: str, streamed: bool) -> None:
    with two(tmp_path, BEFORE_THE_FIRST_TOKEN[name]) as (first, second, gateway):
        heards = asyncio.run(many(gateway.url, 20, 4, stream=streamed))
        assert (first.generations >= 20, second.generations) == (True, 20)
        unnoticed(heards, gateway)


@pytest.mark.parametrize("name", AT_ANY_TOKEN)
def test_a_whole_reply_at_any_token(tmp_path: Path, name: str) -> None:
    with two(tmp_path, AT_ANY_TOKEN[name]) as (first, second, gateway):
        heards = asyncio.run(many(gateway.url, 20, 4))
        assert (first.generations, second.generations) == (20, 20)
        unnoticed(heards, gateway)


@pytest.mark.parametrize(
    "name", [name for name, behaviour in AT_ANY_TOKEN.items() if isinstance(behaviour, Answer) and behaviour.fault and behaviour.fault.at != Point.FINISH]
)
def test_a_whole_reply_that_is_not_assembled(tmp_path: Path, name: str) -> None:
    with two(tmp_path, AT_ANY_TOKEN[name], assemble=False) as (first, _, gateway):
        unnoticed(asyncio.run(many(gateway.url, 20, 4)), gateway)
        assert all(seen.fields.get("stream") is not True for seen in first.asks)


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("at", [Point.REQUEST, Point.HEADERS, Point.ROLE])
def test_frozen_before_the_first_token(tmp_path: Path, at: Point, streamed: bool) -> None:
    with two(tmp_path, Answer(text=FIRST.text, fault=Fault(at, "freeze")), first_token_timeout_s=0.2) as (first, _, gateway):
        heards = asyncio.run(many(gateway.url, 20, 10, stream=streamed))
        unnoticed(heards, gateway)
        assert first.until(lambda: first.in_flight == 0, 1.0)
        assert all(receipt["attempts"][0]["outcome"] == "stalled" for receipt in gateway.journal.receipts)


@pytest.mark.parametrize("at", [1, 3, 6, Point.FINISH])
def test_a_whole_reply_frozen_at_any_token(tmp_path: Path, at: Point | int) -> None:
    with two(tmp_path, Answer(text=FIRST.text, fault=Fault(at, "freeze")), idle_timeout_s=0.2) as (first, _, gateway):
        unnoticed(asyncio.run(many(gateway.url, 20, 10)), gateway)
        assert first.until(lambda: first.in_flight == 0, 1.0)


def test_refused_connections(tmp_path: Path) -> None:
    holder = bound()
    with (
        holder,
        ScriptedBackend(SECOND) as second,
        Running(config(tmp_path, {"first": f"http://127.0.0.1:{holder.getsockname()[1]}", "second": second.url}), guarded=False) as gateway,
    ):
        unnoticed(asyncio.run(many(gateway.url, 500, 32, stream=True)), gateway)


def test_a_name_that_does_not_resolve(tmp_path: Path) -> None:
    with (
        ScriptedBackend(SECOND) as second,
        Running(config(tmp_path, {"first": "http://no-such-host.invalid:80", "second": second.url}), guarded=False) as gateway,
    ):
        unnoticed(asyncio.run(many(gateway.url, 3, 3, stream=True)), gateway)


def test_connections_that_are_never_accepted(tmp_path: Path) -> None:
    """A listener whose queue is full: the kernel drops the handshake."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ScriptedBackend(SECOND) as second:
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        try:
            with Running(
                config(tmp_path, {"first": {"url": f"http://127.0.0.1:{port}", "connect_timeout_s": 0.2}, "second": second.url}), guarded=False
            ) as gateway:
                unnoticed(asyncio.run(many(gateway.url, 5, 5, stream=True)), gateway)
        finally:
            for filler in fillers:
                filler.close()


@pytest.mark.parametrize(
    "faults",
    [Faults(silent=True), Faults(cut_up_after=50), Faults(cut_down_after=100), Faults(reset_down_after=10)],
    ids=["silent", "cut up", "cut down", "reset"],
)
def test_a_network_at_fault(tmp_path: Path, faults: Faults) -> None:
    with ScriptedBackend(FIRST) as one, FaultProxy(one.url, faults) as proxy, ScriptedBackend(SECOND) as other:
        with Running(config(tmp_path, {"first": {"url": proxy.url, "first_token_timeout_s": 0.3}, "second": other.url}), guarded=False) as gateway:
            unnoticed(asyncio.run(many(gateway.url, 20, 10, stream=True)), gateway)


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("name", ["status 500", "close at headers", "error_done at role", "close at request"])
def test_five_hundred(tmp_path: Path, name: str, streamed: bool) -> None:
    with two(tmp_path, BEFORE_THE_FIRST_TOKEN[name]) as (_, second, gateway):
        unnoticed(asyncio.run(many(gateway.url, 500, 32, stream=streamed)), gateway)
        assert second.generations == 500


@pytest.mark.slow
@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_process_killed_or_stopped_under_load(tmp_path: Path, how: str, streamed: bool) -> None:
    """500 requests; the first backend's process dies or stands still while 32 of them wait for it, and stays so."""
    early = Answer(text=FIRST.text, prefill_s=0.6) if streamed else Answer(text=FIRST.text, delay_s=0.12)
    with BackendProcess(Setup(style="vllm", answer=early)) as first, ScriptedBackend(SECOND) as second:
        path = config(tmp_path, {"first": {"url": first.url, "first_token_timeout_s": 1.0, "idle_timeout_s": 0.5, "max_in_flight": 32}, "second": second.url})
        with Running(path) as gateway:

            async def go() -> list[Heard]:
                asking = asyncio.ensure_future(many(gateway.url, 500, 64, stream=streamed))
                await asyncio.sleep(0.3)
                getattr(first, how)()
                return await asking

            heards = asyncio.run(go())
            assert {(heard.status, heard.end, heard.text) for heard in heards} == {(200, "complete", SECOND.text)}
            receipts = gateway.journal.settled(500)
            assert {receipt["outcome"] for receipt in receipts} == {"ok"}
            tried = [[attempt["backend"] for attempt in receipt["attempts"]] for receipt in receipts]
            assert tried.count(["first", "second"]) >= 32
            assert all(attempts in (["first", "second"], ["second"]) for attempts in tried)
            assert gateway.idle()


def test_three_attempts_at_most_then_503(tmp_path: Path) -> None:
    with ScriptedBackend(Refuse(status=500)) as bad:
        names = ["a", "b", "c", "d"]
        with Running(config(tmp_path, dict.fromkeys(names, bad.url))) as gateway:
            heard = asyncio.run(ask(gateway.url, chat(stream=True)))
            assert heard.status == 503
            assert heard.error["type"] == "server_error"
            assert heard.error["code"] == "no_route"
            assert int(heard.headers["retry-after"]) > 0
            assert bad.generations == 3
            receipt = gateway.journal.settled(1)[0]
            assert receipt["outcome"] == "failed"
            assert [attempt["backend"] for attempt in receipt["attempts"]] == ["a", "b", "c"]


@pytest.mark.parametrize("routes", [1, 2, 3])
def test_all_routes_fail(tmp_path: Path, routes: int) -> None:
    with ScriptedBackend(Refuse(status=503)) as bad, Running(config(tmp_path, {f"b{n}": bad.url for n in range(routes)})) as gateway:
        heard = asyncio.run(ask(gateway.url, chat()))
        assert (heard.status, heard.error["code"]) == (503, "no_route")
        assert "retry-after" in heard.headers
        assert len(gateway.journal.settled(1)[0]["attempts"]) == routes


@pytest.mark.parametrize("status", [400, 413, 422])
def test_the_callers_own_mistake_is_not_tried_elsewhere(tmp_path: Path, status: int) -> None:
    with two(tmp_path, Refuse(status=status, message="Field 'n': too many")) as (first, second, gateway):
        heard = asyncio.run(ask(gateway.url, chat(stream=True)))
        assert (heard.status, heard.error["message"]) == (status, "Field 'n': too many")
        assert (first.generations, second.generations) == (1, 0)
        receipt = gateway.journal.settled(1)[0]
        assert receipt["outcome"] == "refused"
        assert "too many" not in str(receipt)


def test_a_stale_kept_connection_is_tried_once_more_at_the_same_backend(tmp_path: Path) -> None:
    with two(tmp_path, FIRST) as (first, second, gateway):
        first.drops_reused = True
        heards = asyncio.run(many(gateway.url, 20, 1, stream=True))
        assert {heard.text for heard in heards} == {FIRST.text}
        assert second.generations == 0
        assert {len(receipt["attempts"]) for receipt in gateway.journal.settled(20)} == {1}


def test_a_backend_that_closes_after_each_answer(tmp_path: Path) -> None:
    with two(tmp_path, FIRST) as (first, second, gateway):
        first.closes_after = 1
        heards = asyncio.run(many(gateway.url, 200, 8, stream=True))
        assert {heard.text for heard in heards} == {FIRST.text}
        assert (first.generations, second.generations) == (200, 0)


def test_probes_generate_nothing(tmp_path: Path) -> None:
    with two(tmp_path, FIRST) as (first, second, _):
        first.until(lambda: bool(first.requests), 0.5)
        assert first.generations == second.generations == 0
