"""What `homeport.Client` sends and takes, and which answers of a gateway make it ask the next: on scripted servers in place of gateways."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import homeport
from homeport import errors
from homeport.client import Cut, NoGateway, Timeouts
from homeport.testing.backend import ScriptedBackend
from homeport.testing.proxy import FaultProxy, Faults
from homeport.testing.script import Answer, Behaviour, Bytes, Fault, Point, Refuse
from tests.clients.pair import QUICK, TEXT, Ask, ask, ask_async
from tests.gateway import config

both = pytest.mark.parametrize("ask", [ask, ask_async], ids=["sync", "async"])
streamed = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def reply(body: bytes, *headers: str, status: str = "200 OK", kind: str = "application/json", length: int | None = None) -> Bytes:
    rows = [f"HTTP/1.1 {status}", f"content-type: {kind}", f"content-length: {len(body) if length is None else length}", *headers, "", ""]
    return Bytes(data="\r\n".join(rows).encode() + body)


@pytest.fixture
def servers() -> Iterator[tuple[ScriptedBackend, ScriptedBackend]]:
    with ScriptedBackend("wrong words") as first, ScriptedBackend(TEXT) as second:
        yield first, second


def urls(servers: tuple[ScriptedBackend, ...]) -> list[str]:
    return [server.url for server in servers]


@both
@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_busy_gateway_is_passed_over(servers: tuple[ScriptedBackend, ScriptedBackend], ask: Ask, status: int) -> None:
    servers[0].default = Refuse(status=status)
    assert ask(urls(servers)) == TEXT
    assert [server.generations for server in servers] == [1, 1]


@both
@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (Refuse(status=503, headers=(("x-should-retry", "false"),)), errors.NoRouteLeft),
        (Refuse(status=400), errors.Malformed),
        (Refuse(status=401), errors.Unauthenticated),
        (Refuse(status=404), errors.CallerError),
        (Refuse(status=429, headers=(("retry-after", "1"),)), errors.OverBudget),
        (Refuse(status=500), errors.HomeportError),
    ],
    ids=["should not", "400", "401", "404", "429", "500"],
)
def test_what_another_gateway_would_refuse_too(servers: tuple[ScriptedBackend, ScriptedBackend], ask: Ask, refusal: Refuse, kind: type[Exception]) -> None:
    servers[0].default = refusal
    with pytest.raises(kind, match="refused by script"):
        ask(urls(servers))
    assert [server.generations for server in servers] == [1, 0]


@both
@pytest.mark.parametrize("fault", [Fault(Point.REQUEST, "close"), Fault(Point.REQUEST, "reset"), Fault(Point.HEADERS, "close"), Fault(Point.HEADERS, "reset")])
@streamed
def test_what_breaks_before_its_first_byte_is_asked_of_the_next(servers: tuple[ScriptedBackend, ScriptedBackend], ask: Ask, fault: Fault, stream: bool) -> None:
    servers[0].default = Answer(fault=fault)
    assert ask(urls(servers), stream=stream) == TEXT
    assert [server.generations for server in servers] == [1, 1]


@both
def test_a_whole_answer_may_break_at_any_byte(servers: tuple[ScriptedBackend, ScriptedBackend], ask: Ask) -> None:
    servers[0].default = reply(b'{"choices":[{"message":{"content":"wrong', length=500)
    assert ask(urls(servers)) == TEXT


@both
@pytest.mark.parametrize("how", ["close", "reset", "end", "error", "error_done", "garbage"])
@pytest.mark.parametrize("at", [2, Point.FINISH], ids=["amid", "finish"])
def test_a_stream_that_is_not_whole_is_an_exception(servers: tuple[ScriptedBackend, ScriptedBackend], ask: Ask, how: Any, at: Any) -> None:
    servers[0].default = Answer(text=TEXT, fault=Fault(at, how, after_s=0.02))
    seen: list[str] = []
    with pytest.raises(Cut):
        ask(urls(servers), stream=True, seen=seen)
    assert TEXT.startswith("".join(seen))
    assert seen
    assert servers[1].generations == 0


@both
def test_when_all_are_busy_they_are_asked_again_when_they_said(servers: tuple[ScriptedBackend, ScriptedBackend], ask: Ask) -> None:
    servers[0].default = Refuse(status=503, headers=(("retry-after", "9"),))
    servers[1].script.append(Refuse(status=503, headers=(("retry-after", "1"),)))
    began = time.monotonic()
    assert ask(urls(servers)) == TEXT
    assert 1.0 <= time.monotonic() - began < 2.5
    assert servers[1].generations == 2


@both
@pytest.mark.parametrize(
    ("wait_s", "retries", "total_s"), [("300", 2, 600.0), ("1", 0, 600.0), ("5", 2, 2.0)], ids=["too long", "no retries", "beyond the deadline"]
)
def test_nobody_waits_for_nothing(servers: tuple[ScriptedBackend, ScriptedBackend], ask: Ask, wait_s: str, retries: int, total_s: float) -> None:
    for server in servers:
        server.default = Refuse(status=503, headers=(("retry-after", wait_s),))
    began = time.monotonic()
    with pytest.raises(errors.NoRouteLeft, match="refused by script") as caught:
        ask(urls(servers), retries=retries, timeouts=Timeouts(total_s=total_s))
    assert caught.value.retry_after_s == int(wait_s)
    assert time.monotonic() - began < 0.9


@both
def test_a_network_that_swallows_everything(servers: tuple[ScriptedBackend, ScriptedBackend], ask: Ask) -> None:
    with FaultProxy(servers[0].url, Faults(silent=True)) as proxy:
        assert ask([proxy.url, servers[1].url]) == TEXT
        assert servers[0].generations == 0


@both
def test_a_connection_that_was_closed_just_when_it_was_used_again(ask: Ask) -> None:
    with ScriptedBackend(TEXT) as server:
        server.drops_reused = True
        with homeport.Client(server.url) as client:
            assert [client.chat("hi").text for _ in range(3)] == [TEXT] * 3

        async def go() -> list[str]:
            async with homeport.AsyncClient(server.url) as client:
                return [(await client.chat("hi")).text for _ in range(3)]

        assert asyncio.run(go()) == [TEXT] * 3
        assert server.generations == 6


def test_connections_are_kept() -> None:
    with ScriptedBackend(TEXT) as server, homeport.Client(server.url) as client:
        for _ in range(3):
            assert client.chat("hi").text == TEXT
            assert "".join(client.chat("hi", stream=True).texts()) == TEXT
        assert server.connections == 1


@pytest.mark.parametrize("how", ["close", "with", "drop"])
def test_a_stream_that_is_left_stops_the_model(how: str) -> None:
    with ScriptedBackend(Answer(text=TEXT, delay_s=0.2)) as server, homeport.Client(server.url) as client:
        stream = client.chat("hi", stream=True)
        assert next(stream).choices
        if how == "close":
            stream.close()
        elif how == "with":
            with stream:
                pass
        del stream
        assert server.until(lambda: server.in_flight == 0, 1.0)
        assert server.asks[0].ended == "peer_left"


@streamed
def test_an_async_call_that_is_cancelled_stops_the_model(stream: bool) -> None:
    with ScriptedBackend(Answer(text=TEXT, prefill_s=0 if stream else 5, delay_s=0.2)) as server:

        async def go() -> None:
            async with homeport.AsyncClient(server.url) as client:

                async def call() -> None:
                    answer = await client.chat("hi", stream=stream)
                    if isinstance(answer, homeport.client.AsyncStream):
                        async for _ in answer:
                            pass

                task = asyncio.create_task(call())
                assert await server.reached(lambda: server.generations == 1 and (not stream or server.asks[0].tokens > 1))
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await server.reached(lambda: server.in_flight == 0, 1.0)

        asyncio.run(go())
        assert server.asks[0].ended == "peer_left"


def test_an_async_client_outlives_an_event_loop() -> None:
    with ScriptedBackend(TEXT) as server:
        client = homeport.AsyncClient(server.url)

        async def go() -> str:
            text = (await client.chat("hi")).text
            await client.aclose()
            return text

        assert [asyncio.run(go()) for _ in range(2)] == [TEXT, TEXT]


@both
def test_a_whole_answer_where_a_stream_was_asked(ask: Ask) -> None:
    with ScriptedBackend(Answer(text=TEXT, whole=True)) as server:
        assert ask([server.url], stream=True) == TEXT


def test_who_answered() -> None:
    body = b'{"choices":[{"message":{"content":"x"}}]}'
    with ScriptedBackend(reply(body, "x-homeport-backend: box")) as server, homeport.Client(server.url) as client:
        assert client.chat("hi").headers["x-homeport-backend"] == "box"


def test_what_is_sent(servers: tuple[ScriptedBackend, ScriptedBackend]) -> None:
    _, server = servers
    with homeport.Client([server.url + "/v1/"], "hp_1", app="invoices") as client:
        client.chat("hi", temperature=0, seed=1)
        client.chat([{"role": "system", "content": "x"}], "assistant", stream=True).close()
        client.complete("Dear", max_tokens=3)
        assert client.embed(["a", "b"]).vectors == [row["embedding"] for row in client.embed(["a", "b"]).data]
        assert client.models().data[0].id == "talker"
        client.post("v1/chat/completions", {"model": "m", "messages": []})
    seen = [(ask.path, ask.fields) for ask in server.asks]
    hi = [{"role": "user", "content": "hi"}]
    assert seen[0] == ("/v1/chat/completions", {"model": "default", "messages": hi, "temperature": 0, "seed": 1})
    assert seen[1] == ("/v1/chat/completions", {"model": "assistant", "messages": [{"role": "system", "content": "x"}], "stream": True})
    assert seen[2] == ("/v1/completions", {"model": "default", "prompt": "Dear", "max_tokens": 3})
    assert seen[3] == ("/v1/embeddings", {"model": "default", "input": ["a", "b"]})
    assert seen[5] == ("/v1/chat/completions", {"model": "m", "messages": []})
    headers = server.asks[0].headers
    assert (headers["authorization"], headers["user-agent"], headers["host"]) == ("Bearer hp_1", "invoices", server.address)


def test_each_gateway_gets_its_own_key(servers: tuple[ScriptedBackend, ScriptedBackend]) -> None:
    servers[0].default = Refuse(status=503)
    with homeport.Client(urls(servers), ["hp_first", "hp_second"]) as client:
        client.chat("hi")
    assert [server.asks[0].headers["authorization"] for server in servers] == ["Bearer hp_first", "Bearer hp_second"]


@both
def test_the_environment(servers: tuple[ScriptedBackend, ScriptedBackend], ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    servers[0].default = Refuse(status=503)
    monkeypatch.setenv("HOMEPORT_URL", ",".join(urls(servers)))
    monkeypatch.setenv("HOMEPORT_KEY", "hp_env")
    assert ask(None) == TEXT
    assert servers[1].asks[0].headers["authorization"] == "Bearer hp_env"


def test_any_other_path(servers: tuple[ScriptedBackend, ScriptedBackend]) -> None:
    first, second = servers
    first.pages["/tasks/classify"] = Refuse(status=503)
    pages: dict[str, Behaviour] = {
        "/tasks": reply(b'[{"name":"classify"}]'),
        "/tasks/classify": reply(b'event: partial\ndata: {"output":null}\n\nevent: result\ndata: {"output":"question"}\n\n', kind="text/event-stream"),
        "/page": reply(b"<html>", kind="text/html"),
    }
    second.pages |= pages
    with homeport.Client(urls(servers), retries=0) as client:
        assert [event.output for event in client.post("/tasks/classify", {"input": {}}, stream=True)] == [None, "question"]
        assert json.loads(second.requests[-1].body) == {"input": {}, "stream": True}
        assert client.get("/tasks").data[0].name == "classify"
        with pytest.raises(errors.HomeportError, match=r"is no Homeport gateway\. Set HOMEPORT_URL"):
            client.get("/page")


def test_the_client_of_a_gateway_in_this_process(tmp_path: Path) -> None:
    with ScriptedBackend(TEXT) as backend, ExitStack() as stack:
        gateway = homeport.Gateway(config(tmp_path, {"only": backend.url}))
        with pytest.raises(RuntimeError, match="does not run yet"):
            _ = gateway.client
        stack.enter_context(gateway)
        assert gateway.client.chat("hi", "assistant").text == TEXT
        assert gateway.client is gateway.client
        assert gateway.client.urls == [gateway.url]


def test_without_any_gateway() -> None:
    with homeport.Client("http://127.0.0.1:9", timeouts=QUICK) as client, pytest.raises(NoGateway, match="Start one: homeport up"):
        client.models()
