"""A backend that fails is left out, the next asks do not pay for it, and it is back as soon as it answers."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from homeport.storage.keys import Keys
from homeport.testing.backend import ScriptedBackend
from homeport.testing.loopback import bound
from homeport.testing.process import BackendProcess, Setup
from homeport.testing.script import Answer, Bytes, Fault, Point, Refuse
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
            assert home.generations <= 2  # the second tries it again
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


def page(body: str, *, pause_s: float = 0.0, kind: str = "text/plain") -> Bytes:
    """A page as a scripted backend says it; with a pause, in two halves."""
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    return Bytes(data=(head + body).encode(), cut_into=len(head) + 1 if pause_s else None, pause_s=pause_s, close=False)


def test_a_place_stays_taken_while_the_engine_computes_what_nobody_waits_for(tmp_path: Path) -> None:
    frozen = Answer(text=HOME.text, fault=Fault(Point.HEADERS, "freeze"))
    with ScriptedBackend(frozen, style="vllm") as home, ScriptedBackend(SPARE) as spare:
        running = 'vllm:num_requests_running{engine="0",model_name="m"} %s\nvllm:num_requests_waiting{engine="0",model_name="m"} 0.0\n'
        home.pages["/metrics"] = page(running % "1.0")
        path = config(tmp_path, {"home": {"url": home.url, "first_token_timeout_s": 0.3}, "spare": spare.url})
        with Running(path) as gateway:
            assert soon(lambda: bool(home.requests))
            assert asked(gateway.url, chat()).text == SPARE.text
            time.sleep(1.0)  # several looks at it
            assert [gateway.backend("home")[name] for name in ("in_flight", "zombies")] == [1, 1]
            home.pages["/metrics"] = page(running % "0.0")
            assert soon(lambda: [gateway.backend("home")[name] for name in ("in_flight", "zombies")] == [0, 0], 5.0)


def test_an_ollama_does_not_notice_a_leaver_before_the_first_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homeport.backends.probing.ZOMBIE_S", 1.0)
    slow = Answer(text=HOME.text, prefill_s=30.0)
    with ScriptedBackend(slow, style="ollama") as home, Running(config(tmp_path, {"home": {"url": home.url, "kind": "ollama"}})) as gateway:

        async def go() -> None:
            async with Caller(gateway.url) as caller:
                await caller.send(request_bytes(chat(stream=True)))
                while not home.generations:
                    await asyncio.sleep(0.01)

        asyncio.run(go())
        assert soon(lambda: gateway.backend("home")["zombies"] == 1, 1.0)
        assert gateway.backend("home")["state"] == "healthy"
        assert soon(lambda: gateway.backend("home")["in_flight"] == 0, 5.0)


def test_a_model_is_loaded_before_it_gets_asks(tmp_path: Path) -> None:
    with ScriptedBackend(HOME, style="ollama", models=["m"]) as home, ScriptedBackend(SPARE) as spare:
        home.pages["/api/ps"] = page('{"models":[]}', kind="application/json")
        home.pages["/api/generate"] = page('{"model":"m","done":true,"done_reason":"load"}', pause_s=1.0, kind="application/json")
        path = config(tmp_path, {"home": {"url": home.url, "kind": "ollama", "keep_warm": True}, "spare": spare.url})
        with Running(path) as gateway:
            assert soon(lambda: state(gateway) == "loading")
            assert asked(gateway.url, chat()).text == SPARE.text
            home.pages["/api/ps"] = page('{"models":[{"name":"m","model":"m","context_length":4096}]}', kind="application/json")
            assert soon(lambda: state(gateway) == "healthy")
            assert gateway.backend("home")["cold_start_s"] >= 0.9
            assert asked(gateway.url, chat()).text == HOME.text
            assert home.generations == 1  # the load was none


def test_two_keys_take_turns(tmp_path: Path) -> None:
    """A key with forty asks in the queue, and another's one ask: it does not wait for all of them."""
    slow = Answer(text=HOME.text, prefill_s=0.05)
    with ScriptedBackend(slow, style="vllm") as home:
        path = config(tmp_path, {"home": {"url": home.url, "max_in_flight": 1}})
        keys = {name: Keys(tmp_path / "data").add(name) for name in ("greedy", "modest")}
        with Running(path) as gateway:

            async def one(key: str) -> float:
                async with Caller(gateway.url) as caller:
                    await caller.send(request_bytes(chat(), headers={"authorization": f"Bearer {keys[key]}"}))
                    await asyncio.wait_for(caller.hear(), 30)
                return time.perf_counter()

            async def go() -> tuple[list[float], float]:
                greedy = [asyncio.ensure_future(one("greedy")) for _ in range(40)]
                while not home.generations:
                    await asyncio.sleep(0.01)
                modest = await one("modest")
                return await asyncio.gather(*greedy), modest

            greedy, modest = asyncio.run(go())
            assert sum(done < modest for done in greedy) < 12


def test_who_waits_for_a_model_that_stands_still_goes_elsewhere(tmp_path: Path) -> None:
    """One place: while it stalls others queue for it; they do not go there one after the other."""
    frozen = Answer(text=HOME.text, fault=Fault(Point.HEADERS, "freeze"))
    with ScriptedBackend(frozen, style="vllm") as home, ScriptedBackend(SPARE) as spare:
        path = config(tmp_path, {"home": {"url": home.url, "first_token_timeout_s": 1.0, "max_in_flight": 1}, "spare": {"url": spare.url, "max_in_flight": 1}})
        spare.default = Answer(text=SPARE.text, prefill_s=0.02)
        with Running(path) as gateway:

            async def one() -> Any:
                async with Caller(gateway.url) as caller:
                    await caller.send(request_bytes(chat()))
                    return await asyncio.wait_for(caller.hear(), 30)

            async def go() -> list[Any]:
                return await asyncio.gather(*(one() for _ in range(20)))

            began = time.perf_counter()
            heards = asyncio.run(go())
            assert {heard.text for heard in heards} == {SPARE.text}
            assert home.generations <= 2  # the second tries it again
            assert time.perf_counter() - began < 6.0


def test_who_queues_is_not_lost_by_a_short_restart(tmp_path: Path) -> None:
    """One backend with one place, its process replaced while five asks wait: all are answered."""
    slow = Answer(text=HOME.text, prefill_s=0.3)
    with bound() as holder:
        port = holder.getsockname()[1]
    with ExitStack() as there:
        there.enter_context(ScriptedBackend(slow, port=port))
        path = config(tmp_path, {"home": {"url": f"http://127.0.0.1:{port}", "max_in_flight": 1}})
        with Running(path) as gateway, ExitStack() as after:

            async def one() -> Any:
                async with Caller(gateway.url) as caller:
                    await caller.send(request_bytes(chat()))
                    return await asyncio.wait_for(caller.hear(), 30)

            async def go() -> list[Any]:
                asks = [asyncio.ensure_future(one()) for _ in range(6)]
                while gateway.app.upstreams.backends["home"].standing().queued < 5:
                    await asyncio.sleep(0.01)
                await asyncio.get_running_loop().run_in_executor(None, there.close)
                await asyncio.sleep(0.1)
                await asyncio.get_running_loop().run_in_executor(None, after.enter_context, ScriptedBackend(HOME, port=port))
                return await asyncio.gather(*asks)

            texts = [heard.text for heard in asyncio.run(go())]
            assert texts.count(HOME.text) >= 5  # the one under way met the end itself
