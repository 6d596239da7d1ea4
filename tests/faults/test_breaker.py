"""A backend that fails is left out, the next asks do not pay for it, and it is back as soon as it answers."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.loopback import bound
from homeport.testing.process import BackendProcess, Setup
from homeport.testing.script import Answer, Fault, Point, Refuse
from tests.caller import Caller, asked, chat, request_bytes
from tests.gateway import Running, config, soon

HOME, SPARE = Answer(text="home says one two three"), Answer(text="spare says four five six")


def state(gateway: Running, name: str = "home") -> str:
    found: str = gateway.backend(name)["state"]
    return found


def attempts(gateway: Running) -> list[list[tuple[str, str]]]:
    return [[(attempt["backend"], attempt["outcome"]) for attempt in receipt["attempts"]] for receipt in gateway.journal.receipts]


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
def test_the_asks_after_a_frozen_one_do_not_pay(tmp_path: Path, streamed: bool) -> None:
    """Its pages go on saying that all is well, as vLLM's do with a dead core."""
    frozen = Answer(text=HOME.text, fault=Fault(Point.HEADERS, "freeze"))
    with ScriptedBackend(frozen, style="vllm") as home, ScriptedBackend(SPARE) as spare:
        path = config(tmp_path, {"home": {"url": home.url, "first_token_timeout_s": 0.5}, "spare": spare.url})
        with Running(path) as gateway:
            assert asked(gateway.url, chat(stream=streamed)).text == SPARE.text
            assert state(gateway) == "open"
            began = time.perf_counter()
            for _ in range(10):
                assert asked(gateway.url, chat(stream=streamed)).text == SPARE.text
            assert time.perf_counter() - began < 0.5
            assert home.generations == 1
            assert gateway.backend("home")["retry_at"] > time.time() - 60


def test_a_fast_failing_backend_does_not_look_idle(tmp_path: Path) -> None:
    with ScriptedBackend(Refuse(status=500)) as home, ScriptedBackend(SPARE) as spare:
        with Running(config(tmp_path, {"home": home.url, "spare": spare.url})) as gateway:
            heards = [asked(gateway.url, chat()) for _ in range(300)]
            assert {heard.text for heard in heards} == {SPARE.text}
            assert home.generations < 300 * 0.05


def test_it_is_back_soon_after_it_answers(tmp_path: Path) -> None:
    """One failed ask and an engine that is back after a moment: no long lock-out."""
    with ScriptedBackend(SPARE) as spare, bound() as holder:
        port = holder.getsockname()[1]
        with Running(config(tmp_path, {"home": f"http://127.0.0.1:{port}", "spare": spare.url})) as gateway:
            assert asked(gateway.url, chat()).text == SPARE.text
            assert soon(lambda: state(gateway) == "open")
            holder.close()
            with ScriptedBackend(HOME, port=port):
                assert soon(lambda: state(gateway) == "healthy", 3.0)
                assert asked(gateway.url, chat()).text == HOME.text


def test_alone_it_is_waited_for_a_moment_then_refused_at_once(tmp_path: Path) -> None:
    with bound() as holder, Running(config(tmp_path, {"home": f"http://127.0.0.1:{holder.getsockname()[1]}"})) as gateway:
        assert soon(lambda: gateway.backend("home")["retry_at"] is not None and gateway.backend("home")["retry_at"] - time.time() > 1.5, 10)
        began = time.perf_counter()
        heard = asked(gateway.url, chat())
        assert time.perf_counter() - began < 0.5
        assert (heard.status, heard.error["code"]) == (503, "no_route")
        assert "connection refused" in heard.error["message"]
        assert 1 <= int(heard.headers["retry-after"]) <= 30


def test_asks_wait_through_a_short_restart(tmp_path: Path) -> None:
    """Only one backend, gone for a moment: who asks meanwhile is answered."""
    with bound() as holder:
        port = holder.getsockname()[1]
        with Running(config(tmp_path, {"home": f"http://127.0.0.1:{port}"})) as gateway:

            async def go() -> Any:
                async with Caller(gateway.url) as caller:
                    await caller.send(request_bytes(chat()))
                    return await asyncio.wait_for(caller.hear(), 10)

            holder.close()
            with ScriptedBackend(HOME, port=port):
                heard = asyncio.run(go())
            assert (heard.status, heard.text) == (200, HOME.text)


def test_callers_who_leave_say_nothing_of_a_backend(tmp_path: Path) -> None:
    slow = Answer(text=HOME.text, prefill_s=30.0)
    with ScriptedBackend(slow, style="vllm") as home, Running(config(tmp_path, {"home": home.url})) as gateway:

        async def go() -> None:
            callers = [await Caller(gateway.url).__aenter__() for _ in range(8)]
            for caller in callers:
                await caller.send(request_bytes(chat(stream=True)))
            while home.generations < 8:
                await asyncio.sleep(0.01)
            for caller in callers:
                await caller.leave()

        asyncio.run(go())
        assert gateway.idle()
        assert state(gateway) == "healthy"


def test_one_callers_bad_requests_close_nobody_out(tmp_path: Path) -> None:
    """An engine that says 500 to what it cannot take; others are answered in between."""
    with ScriptedBackend(HOME) as home, Running(config(tmp_path, {"home": home.url})) as gateway:
        for _ in range(20):
            home.script.extend([Refuse(status=500), Refuse(status=500), HOME])
            assert asked(gateway.url, chat()).status == 503
            assert asked(gateway.url, chat()).status == 503
            assert asked(gateway.url, chat()).status == 200
        assert state(gateway) in ("healthy", "degraded")


@pytest.mark.parametrize("phase", ["waiting", "answering"])
def test_a_crash_is_told_from_a_closed_connection(tmp_path: Path, phase: str) -> None:
    """After a kill the whole backend is left out at once; the asks that met it are answered by the other."""
    answer = Answer(text=HOME.text, prefill_s=5.0) if phase == "waiting" else Answer(text=HOME.text, delay_s=1.0)
    with BackendProcess(Setup(style="vllm", answer=answer)) as home, ScriptedBackend(SPARE) as spare:
        with Running(config(tmp_path, {"home": home.url, "spare": spare.url})) as gateway:

            async def go() -> Any:
                async with Caller(gateway.url) as caller:
                    await caller.send(request_bytes(chat()))
                    await asyncio.sleep(0.5)
                    home.kill()
                    return await asyncio.wait_for(caller.hear(), 10)

            assert asyncio.run(go()).text == SPARE.text
            assert (state(gateway), attempts(gateway)) == ("open", [[("home", "broke"), ("spare", "ok")]])
            assert asked(gateway.url, chat()).text == SPARE.text
            assert attempts(gateway)[1] == [("spare", "ok")]


def test_a_poisonous_ask_hits_one_backend(tmp_path: Path) -> None:
    """An engine that dies of a schema: the same ask is not sent on to kill the next."""
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "string", "pattern": "((a+)+)+$"}}}
    with BackendProcess(Setup(style="llama.cpp", answer=Answer(text=HOME.text, prefill_s=5.0))) as home, ScriptedBackend(SPARE) as spare:
        with Running(config(tmp_path, {"home": home.url, "spare": spare.url})) as gateway:

            async def go() -> Any:
                async with Caller(gateway.url) as caller:
                    await caller.send(request_bytes(chat(response_format=schema)))
                    await asyncio.sleep(0.5)
                    home.kill()
                    return await asyncio.wait_for(caller.hear(), 10)

            heard = asyncio.run(go())
            assert attempts(gateway) == [[("home", "broke")]]
            assert (heard.status, heard.error["code"], heard.headers["x-should-retry"]) == (503, "not_replayed", "false")
            assert spare.generations == 0


def test_a_drained_backend_gets_nothing(tmp_path: Path) -> None:
    with ScriptedBackend(HOME) as home, ScriptedBackend(SPARE) as spare:
        with Running(config(tmp_path, {"home": {"url": home.url, "drained": True}, "spare": spare.url})) as gateway:
            assert asked(gateway.url, chat()).text == SPARE.text
            assert (state(gateway), home.generations) == ("drained", 0)
        alone = config(tmp_path, {"home": {"url": home.url, "drained": True}})
        with Running(alone) as gateway:
            heard = asked(gateway.url, chat())
            assert (heard.status, home.generations) == (503, 0)
            assert "drained" in heard.error["message"]
