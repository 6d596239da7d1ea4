"""A backend's process is stopped in each phase of an answer: it is given up within its clock, and the asks after it pay nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.process import BackendProcess, Setup
from homeport.testing.script import Answer, Fault, Point
from tests import figures
from tests.caller import Caller, Heard, asked, chat, request_bytes
from tests.faults.test_frozen import SLACK_S
from tests.gateway import Running, config, soon

HOME, SPARE = "home says one two three", "spare says four five six"
CLOCK_S = 0.5  # each of its clocks
PHASES: dict[str, Point | int] = {
    "before the head": Point.REQUEST,
    "after the head": Point.HEADERS,
    "amid the text": 3,
    "after the last token": len(HOME.split()),
    "before the terminal event": Point.FINISH,
}
SHOWN = ("amid the text", "after the last token", "before the terminal event")
LATER = 20  # asks after it


def given(url: str, spare: str, folder: Path) -> Path:
    clocks = {"connect_timeout_s": CLOCK_S, "first_token_timeout_s": CLOCK_S, "idle_timeout_s": CLOCK_S}
    models = {"assistant": {"routes": [{"backend": "home", "model": "m"}, {"backend": "spare", "model": "m"}]}, "spare": {"routes": [{"backend": "spare"}]}}
    models["spare"]["routes"][0]["model"] = "m"
    return config(folder, {"home": {"url": url, **clocks}, "spare": spare}, models=models, monitor={"probe_interval_s": 3600})


def took(gateway: Running, model: str) -> float:
    """Seconds of one ask, which the spare answers."""
    began = time.perf_counter()
    assert asked(gateway.url, chat(model=model)).text == SPARE
    return time.perf_counter() - began


def later(gateway: Running, phase: str, streamed: bool, given_up_s: float) -> None:
    """The asks after it take what asks of the spare alone take."""
    normal = [took(gateway, "spare") for _ in range(LATER)]
    after = [took(gateway, "assistant") for _ in range(LATER)]
    more_ms = (statistics.median(after) - statistics.median(normal)) * 1000
    name = f"{phase}, {'a stream' if streamed else 'a whole reply'}".replace(" ", "_")
    figures.note(f"frozen.{name}.given_up", round(given_up_s, 2), "s", note=f"its clock: {CLOCK_S:g} s")
    figures.note(f"frozen.{name}.later", round(more_ms, 2), "ms", note=f"more than asks of the other backend take, median of {LATER}")
    figures.note(f"frozen.{name}.slowest", round(max(after) * 1000, 1), "ms", note=f"the slowest of {LATER}")
    assert more_ms < 20
    assert max(after) < CLOCK_S * 0.8, "an ask waited for the frozen one"
    assert all(receipt["attempts"][0]["backend"] == "spare" for receipt in gateway.journal.receipts[-LATER:])


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("phase", PHASES)
def test_stopped(tmp_path: Path, phase: str, streamed: bool) -> None:
    frozen = Answer(text=HOME, fault=Fault(PHASES[phase], "freeze"))
    with BackendProcess(Setup(style="vllm", answer=frozen)) as home, ScriptedBackend(SPARE) as spare:
        with Running(given(home.url, spare.url, tmp_path)) as gateway:
            assert soon(lambda: gateway.backend("home")["models"] != [])  # its first probe is over

            async def go() -> tuple[Heard, float]:
                async with Caller(gateway.url) as caller:
                    await caller.send(request_bytes(chat(stream=streamed)))
                    while not await asyncio.to_thread(lambda: home.counters()["in_flight"]):
                        await asyncio.sleep(0.005)
                    await asyncio.sleep(0.05)  # as far as the fault
                    began = time.perf_counter()
                    home.stop()
                    return await asyncio.wait_for(caller.hear(), 10), time.perf_counter() - began

            heard, seconds = asyncio.run(go())
            if streamed and phase in SHOWN:
                assert (heard.status, len(heard.errors)) == (200, 1)
                assert heard.end in ("aborted", "reset")
                assert HOME.startswith(heard.text) and heard.text
            else:
                assert (heard.text, heard.end) == (SPARE, "complete")
            assert seconds < CLOCK_S + SLACK_S
            later(gateway, phase, streamed, seconds)
            home.go_on()


@contextlib.contextmanager
def full_backlog() -> Iterator[str]:
    """An address where connections are neither taken nor refused: the kernel's queue of a listener that stands still is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(16):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(address)
        time.sleep(0.1)
        yield f"http://127.0.0.1:{address[1]}"


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
def test_stopped_while_connecting(tmp_path: Path, streamed: bool) -> None:
    with full_backlog() as url, ScriptedBackend(SPARE) as spare, Running(given(url, spare.url, tmp_path)) as gateway:
        began = time.perf_counter()
        heard = asked(gateway.url, chat(stream=streamed))
        seconds = time.perf_counter() - began
        assert (heard.text, heard.end) == (SPARE, "complete")
        assert seconds < CLOCK_S + SLACK_S
        later(gateway, "while connecting", streamed, seconds)
