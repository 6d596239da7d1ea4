"""A backend that stands still is given up by its clocks, in every phase; one that is only slow is not."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.process import BackendProcess, Setup
from homeport.testing.script import Answer, Bytes, Fault, Point, Refuse
from tests.caller import Caller, Heard, asked, chat, request_bytes
from tests.gateway import Running, config

TEXT = "one two three four five"
SLACK_S = 0.6  # clocks are exact to a tenth of a second; the rest is for a busy machine


def one(tmp_path: Path, url: str, **given: Any) -> Running:
    return Running(config(tmp_path, {"only": {"url": url, **given}}))


@pytest.mark.parametrize("pings", [None, 0.03], ids=["silent", "pings"])
@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("at", [Point.REQUEST, Point.HEADERS, Point.ROLE])
def test_before_the_first_token(tmp_path: Path, at: Point, streamed: bool, pings: float | None) -> None:
    """Comment lines and the role are no tokens: they do not keep a frozen backend."""
    answer = Answer(text=TEXT, ping_s=pings, fault=Fault(at, "freeze"))
    with ScriptedBackend(answer, style="vllm") as backend, one(tmp_path, backend.url, first_token_timeout_s=0.3, idle_timeout_s=5.0) as gateway:
        began = time.perf_counter()
        heard = asked(gateway.url, chat(stream=streamed))
        assert 0.25 <= time.perf_counter() - began < 0.3 + SLACK_S
        assert (heard.status, heard.end) == (503, "complete")
        assert "retry-after" in heard.headers
        assert backend.until(lambda: backend.in_flight == 0, 1.0)
        receipt = gateway.journal.settled(1)[0]
        assert receipt["outcome"] == "failed"
        assert receipt["attempts"][0]["outcome"] == "stalled"
        assert asked(backend.url, method="GET", path="/health").status == 200


@pytest.mark.parametrize("pings", [None, 0.03], ids=["silent", "pings"])
@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("at", [1, 3, 5, Point.FINISH])
def test_amid_an_answer(tmp_path: Path, at: Point | int, streamed: bool, pings: float | None) -> None:
    answer = Answer(text=TEXT, ping_s=pings, fault=Fault(at, "freeze"))
    with ScriptedBackend(answer, style="vllm") as backend, one(tmp_path, backend.url, first_token_timeout_s=5.0, idle_timeout_s=0.3) as gateway:
        began = time.perf_counter()
        heard = asked(gateway.url, chat(stream=streamed))
        assert time.perf_counter() - began < 0.3 + SLACK_S
        if streamed:
            assert (heard.status, len(heard.errors)) == (200, 1)
            assert heard.end in ("aborted", "reset")
            assert TEXT.startswith(heard.text)
        else:
            assert (heard.status, heard.end) == (503, "complete")
        assert backend.until(lambda: backend.in_flight == 0, 1.0)
        receipt = gateway.journal.settled(1)[0]
        assert receipt["outcome"] == ("cut" if streamed else "failed")
        assert receipt["attempts"][0]["outcome"] == "stalled"


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("when", ["before", "amid"])
def test_a_process_that_is_stopped(tmp_path: Path, when: str, streamed: bool) -> None:
    answer = Answer(text=TEXT, delay_s=0.2)
    with (
        BackendProcess(Setup(style="llama.cpp", answer=answer)) as backend,
        one(tmp_path, backend.url, first_token_timeout_s=0.5, idle_timeout_s=0.5) as gateway,
    ):

        async def go() -> Heard:
            if when == "before":
                backend.stop()
            async with Caller(gateway.url) as caller:
                await caller.send(request_bytes(chat(stream=streamed)))
                await asyncio.sleep(0.3)
                backend.stop()
                return await asyncio.wait_for(caller.hear(), 3)

        heard = asyncio.run(go())
        if streamed and when == "amid":
            assert (heard.status, len(heard.errors)) == (200, 1)
            assert heard.end in ("aborted", "reset")
        else:
            assert heard.status == 503
        assert gateway.idle()
        backend.go_on()
        assert asked(gateway.url, chat()).text == TEXT


def test_a_whole_reply_that_is_not_assembled_has_the_total_clock_alone(tmp_path: Path) -> None:
    given = {"assemble": False, "first_token_timeout_s": 0.1, "idle_timeout_s": 0.1, "total_timeout_s": 0.6}
    with ScriptedBackend(Answer(text=TEXT, delay_s=0.08)) as backend, one(tmp_path, backend.url, **given) as gateway:
        assert asked(gateway.url, chat()).text == TEXT
        backend.default = Answer(text=TEXT, fault=Fault(2, "freeze"))
        began = time.perf_counter()
        assert asked(gateway.url, chat()).status == 503
        assert 0.5 < time.perf_counter() - began < 0.6 + SLACK_S


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
def test_slow_but_alive(tmp_path: Path, streamed: bool) -> None:
    """Each wait is shorter than its clock, all together are not."""
    answer = Answer(text=TEXT, prefill_s=0.3, delay_s=0.3, ping_s=0.05)
    with ScriptedBackend(answer) as backend, one(tmp_path, backend.url, first_token_timeout_s=0.6, idle_timeout_s=0.6) as gateway:
        heard = asked(gateway.url, chat(stream=streamed))
        assert (heard.text, heard.end) == (TEXT, "complete")


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
def test_the_total_clock_ends_an_endless_answer(tmp_path: Path, streamed: bool) -> None:
    answer = Answer(tokens=("more ",), endless=True, delay_s=0.01)
    with ScriptedBackend(answer) as backend, one(tmp_path, backend.url, total_timeout_s=0.5) as gateway:
        began = time.perf_counter()
        heard = asked(gateway.url, chat(stream=streamed))
        assert time.perf_counter() - began < 0.5 + SLACK_S
        assert (len(heard.errors) == 1 and heard.end in ("aborted", "reset")) if streamed else heard.status == 503
        assert backend.until(lambda: backend.in_flight == 0, 1.0)


def test_a_refusal_whose_body_never_comes(tmp_path: Path) -> None:
    stuck = Bytes(data=b"HTTP/1.1 500 Internal Server Error\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{", close=False)
    with ScriptedBackend(stuck) as backend, one(tmp_path, backend.url, first_token_timeout_s=0.3) as gateway:
        began = time.perf_counter()
        assert asked(gateway.url, chat(stream=True)).status == 503
        assert time.perf_counter() - began < 0.3 + SLACK_S


@pytest.mark.parametrize("burst", [2_900_000, 3_100_000, 3_400_000])
def test_a_caller_who_pauses_is_not_held_against_the_backend(tmp_path: Path, burst: int) -> None:
    """It sends all the while; that nobody reads is the caller's doing, so the idle clock must not run.

    The burst is about what the sockets between caller and gateway hold; then tokens trickle in, too few to fill ours.
    """

    async def go(url: str) -> Heard:
        caller = Caller(url)
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect((caller.host, caller.port))
            slow.sendall(request_bytes(chat(stream=True)))
            await asyncio.sleep(1.2)
            caller.reader, caller.writer = await asyncio.open_connection(sock=slow, limit=1 << 24)
            heard = await caller.hear()
            await caller.leave()
            return heard

    answer = Answer(tokens=("x" * burst, *("y" * 8000 for _ in range(60))), delay_s=0.025)
    with ScriptedBackend(answer) as backend, one(tmp_path, backend.url, idle_timeout_s=0.3) as gateway:
        heard = asyncio.run(go(gateway.url))
        assert heard.errors == []
        assert heard.end == "complete"
        assert len(heard.text) == burst + 60 * 8000


def test_a_probe_that_hangs_disturbs_nobody(tmp_path: Path) -> None:
    with ScriptedBackend(TEXT) as backend:
        backend.pages["/v1/models"] = backend.pages["/health"] = Answer(fault=Fault(Point.REQUEST, "freeze"))
        with one(tmp_path, backend.url) as gateway:
            began = time.perf_counter()
            assert asked(gateway.url, method="GET", path="/v1/models").status == 200
            assert time.perf_counter() - began < 0.5
            assert asked(gateway.url, chat()).text == TEXT
            assert gateway.backend("only")["in_flight"] == 0


def test_a_model_that_is_loading_is_a_refusal_like_any_other(tmp_path: Path) -> None:
    with ScriptedBackend(TEXT) as backend, one(tmp_path, backend.url) as gateway:
        backend.loading = True
        assert asked(gateway.url, chat()).status == 503
        backend.loading = False
        backend.default = Refuse(status=429)
        assert asked(gateway.url, chat()).status == 503
        backend.default = TEXT
        assert asked(gateway.url, chat()).text == TEXT
