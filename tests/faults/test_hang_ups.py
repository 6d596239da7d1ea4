"""Callers who leave: the upstream learns of it within a second, leases return to zero, and each Ask has one receipt."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.proxy import FaultProxy, Faults
from homeport.testing.script import Answer, Fault, Point
from tests.caller import Caller, ask, chat, request_bytes
from tests.gateway import Running, config

TEXT = "one two three four five six seven eight nine ten"


async def leave_after(url: str, seconds: float, *, reset: bool = False, front: str = "protocol", **fields: Any) -> float:
    """Ask, wait, hang up; when that was (perf_counter seconds)."""
    async with Caller(url) as caller:
        if front == "asgi":
            await caller.ask(method="GET", path="/ready")
        await caller.send(request_bytes(chat(**fields)))
        await asyncio.sleep(seconds)
        left = time.perf_counter()
        await caller.leave(reset=reset)
        return left


@pytest.mark.parametrize("front", ["protocol", "asgi"])
@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("at", [Point.REQUEST, Point.HEADERS, Point.ROLE, 1, 4])
def test_the_upstream_is_closed_within_a_second(tmp_path: Path, at: Point | int, streamed: bool, front: str) -> None:
    with ScriptedBackend(Answer(text=TEXT, fault=Fault(at, "freeze")), style="vllm") as backend, Running(config(tmp_path, {"only": backend.url})) as gateway:
        left = asyncio.run(leave_after(gateway.url, 0.1, stream=streamed, front=front))
        assert backend.until(lambda: backend.in_flight == 0, 1.0)
        seen = backend.asks[0]
        assert seen.ended == "peer_left"
        assert seen.peer_left_at is not None
        assert seen.peer_left_at - left < 1.0
        receipt = gateway.journal.settled(1, 1.0)[0]
        assert receipt["outcome"] == "client_left"
        assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["client_left"]
        assert gateway.idle()
        assert gateway.backend("only")["state"] == "healthy"


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
def test_a_whole_reply_that_is_not_assembled(tmp_path: Path, reset: bool) -> None:
    with ScriptedBackend(Answer(text=TEXT, delay_s=1.0)) as backend, Running(config(tmp_path, {"only": {"url": backend.url, "assemble": False}})) as gateway:
        asyncio.run(leave_after(gateway.url, 0.1, reset=reset))
        assert backend.until(lambda: backend.in_flight == 0 and backend.generations == 1, 1.0)
        assert backend.asks[0].ended == "peer_left"
        assert gateway.journal.settled(1, 1.0)[0]["outcome"] == "client_left"


def test_who_waits_in_the_queue_and_leaves_costs_nothing(tmp_path: Path) -> None:
    async def go(url: str) -> None:
        first = asyncio.ensure_future(leave_after(url, 0.4, stream=True))
        await asyncio.sleep(0.1)
        await asyncio.gather(*(leave_after(url, 0.1, stream=True) for _ in range(10)))
        await first

    with (
        ScriptedBackend(Answer(text=TEXT, fault=Fault(1, "freeze"))) as backend,
        Running(config(tmp_path, {"only": {"url": backend.url, "max_in_flight": 1}})) as gateway,
    ):
        asyncio.run(go(gateway.url))
        assert gateway.idle()
        assert backend.generations == 1
        receipts = gateway.journal.settled(11)
        assert {receipt["outcome"] for receipt in receipts} == {"client_left"}
        backend.default = TEXT
        assert asyncio.run(ask(gateway.url, chat())).text == TEXT


def test_who_leaves_while_the_connection_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        try:
            with Running(config(tmp_path, {"only": {"url": f"http://127.0.0.1:{port}", "connect_timeout_s": 20.0}})) as gateway:
                asyncio.run(leave_after(gateway.url, 0.1, stream=True))
                assert gateway.idle(1.0)
                assert gateway.journal.settled(1, 1.0)[0]["outcome"] == "client_left"
        finally:
            for filler in fillers:
                filler.close()


def test_eight_who_leave_before_the_first_byte_harm_nobody(tmp_path: Path) -> None:
    """Peers open their breakers after this: every request refused for 30 s."""
    slow = Answer(text=TEXT, wait_s=0.3)
    with ScriptedBackend(slow) as backend, Running(config(tmp_path, {"only": backend.url})) as gateway:

        async def go() -> str:
            await asyncio.gather(*(leave_after(gateway.url, 0.05, stream=True) for _ in range(8)))
            return (await ask(gateway.url, chat(stream=True))).text

        assert asyncio.run(go()) == TEXT


def test_a_caller_who_reads_nothing_holds_the_backend_back_and_no_memory(tmp_path: Path) -> None:
    async def go(url: str, backend: ScriptedBackend) -> int:
        async with Caller(url) as caller:
            caller.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await caller.send(request_bytes(chat(stream=True)))
            sent = -1
            while sent != (sent := backend.asks[0].sent if backend.asks else 0) or not sent:
                await asyncio.sleep(0.2)
            return sent

    with ScriptedBackend(Answer(tokens=("x" * 4000,), endless=True)) as backend, Running(config(tmp_path, {"only": backend.url})) as gateway:
        sent = asyncio.run(go(gateway.url, backend))
        assert sent < 32_000_000  # what the sockets of two hops and a few hundred KB of ours hold
        assert backend.until(lambda: backend.in_flight == 0, 1.0)
        assert gateway.journal.settled(1, 2.0)[0]["outcome"] == "client_left"
        assert gateway.idle()


@pytest.mark.slow
@pytest.mark.parametrize("front", ["protocol", "asgi"])
def test_a_thousand_callers_hang_up_at_random_moments(tmp_path: Path, front: str) -> None:
    rng = random.Random(3)
    answer = Answer(tokens=tuple(f" w{n}" for n in range(40)), prefill_s=0.02, delay_s=0.01)
    with ScriptedBackend(answer, style="vllm") as backend, Running(config(tmp_path, {"only": {"url": backend.url, "max_in_flight": 48}})) as gateway:

        async def go() -> None:
            async def one(number: int) -> None:
                await asyncio.sleep(rng.uniform(0, 3.0))
                await leave_after(gateway.url, rng.expovariate(8.0), front=front, stream=number % 2 == 0)

            await asyncio.gather(*(one(number) for number in range(1000)))

        asyncio.run(go())
        left = time.monotonic()
        assert backend.until(lambda: backend.in_flight == 0, 1.0)
        assert gateway.idle(max(0.1, 1.0 - (time.monotonic() - left)))
        # What is still open is idle: kept for the next request, never one that a caller left.
        assert backend.until(lambda: backend.sockets == gateway.sockets, 1.0), (backend.sockets, gateway.sockets)
        receipts = gateway.journal.settled(1000)
        assert {receipt["outcome"] for receipt in receipts} <= {"client_left", "ok"}
        assert {line["id"] for line in gateway.journal.started} <= {receipt["id"] for receipt in receipts}
        assert backend.generations <= len(gateway.journal.started)
        backend.default = TEXT
        assert asyncio.run(ask(gateway.url, chat())).text == TEXT


def test_resets_at_random_moments(tmp_path: Path) -> None:
    rng = random.Random(4)
    with ScriptedBackend(Answer(text=TEXT, delay_s=0.01)) as backend, Running(config(tmp_path, {"only": backend.url})) as gateway:

        async def go() -> None:
            await asyncio.gather(*(leave_after(gateway.url, rng.uniform(0, 0.12), reset=True, stream=number % 2 == 0) for number in range(100)))

        asyncio.run(go())
        assert backend.until(lambda: backend.in_flight == 0, 1.0)
        assert gateway.idle()
        ids = [receipt["id"] for receipt in gateway.journal.receipts]
        assert len(ids) == len(set(ids))
        assert {line["id"] for line in gateway.journal.started} <= set(ids)


def test_who_leaves_behind_a_slow_network(tmp_path: Path) -> None:
    """The backend sees the hang-up through a proxy that delays each piece."""
    with (
        ScriptedBackend(Answer(text=TEXT, delay_s=0.05)) as backend,
        FaultProxy(backend.url, Faults(delay_s=0.05)) as proxy,
        Running(config(tmp_path, {"only": proxy.url})) as gateway,
    ):
        asyncio.run(leave_after(gateway.url, 0.3, stream=True))
        assert backend.until(lambda: backend.in_flight == 0 and backend.generations == 1, 1.0)


@pytest.mark.parametrize("front", ["protocol", "asgi"])
@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
def test_callers_who_left_do_not_hold_the_gateway_up(tmp_path: Path, streamed: bool, front: str) -> None:
    """Once they are gone there is nothing to drain: it stops at once."""
    with ScriptedBackend(Answer(text=TEXT, fault=Fault(1, "freeze"))) as backend:
        with Running(config(tmp_path, {"only": backend.url}, drain_timeout_s=20)) as gateway:
            asyncio.run(leave_after(gateway.url, 0.1, stream=streamed, front=front))
            assert gateway.idle()
            began = time.perf_counter()
        assert time.perf_counter() - began < 2.0
