"""Choosing by what a Homeport behind a Homeport says: full, away, loading, stopping, busy with others, or asleep."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.loopback import bound
from homeport.testing.script import Answer, Fault, Point, Refuse
from tests.caller import Caller, ask, asked, chat, request_bytes
from tests.faults.engines import Engine, Goes
from tests.gateway import Running, Spawned, soon
from tests.pairs import TO_BOTH, a_key, front_config, met, node_config, pair, with_a_vm

TEXT = "one two three four five six seven eight nine ten"


def test_a_node_that_others_have_filled_is_passed_over(tmp_path: Path) -> None:
    """Its two places are taken by somebody else: the front sends nothing there while another has room, and comes back once there is room."""
    engine_says = Answer(text="from home", fault=Fault(Point.REQUEST, "freeze"))
    with ScriptedBackend(engine_says, style="vllm") as engine, with_a_vm(tmp_path, engine.url, gpu={"max_in_flight": 2}) as (front, node, _):

        async def go() -> None:
            async with Caller(node.url) as first, Caller(node.url) as second:
                for caller in (first, second):
                    await caller.send(request_bytes(chat(model="qwen", stream=True)))
                assert await asyncio.to_thread(soon, lambda: front.backend("home")["node"]["in_flight"] == 2)
                for _ in range(5):
                    assert (await ask(front.url, chat())).text == "from the vm"
            engine.default = Answer(text="from home")

        asyncio.run(go())
        assert engine.generations == 2
        assert all([attempt["backend"] for attempt in receipt["attempts"]] == ["vm"] for receipt in front.journal.settled(5))
        assert soon(lambda: asked(front.url, chat()).text == "from home", 10)
        assert front.backend("home")["state"] == "healthy"


def test_a_full_queue_there_is_no_failure(tmp_path: Path) -> None:
    """Before the node has said that it is full, an ask finds out: it goes on to the next, and nothing is held against the node."""
    with (
        ScriptedBackend(Answer(text="x", fault=Fault(Point.REQUEST, "freeze")), style="vllm") as engine,
        with_a_vm(tmp_path, engine.url, gpu={"max_in_flight": 1, "queue": 0}) as (front, node, vm),
    ):
        behind = front.app.upstreams.backends["home"].probing.behind
        assert behind is not None
        behind.rank = lambda model, taken, now: 0  # type: ignore[method-assign]  # it says nothing of it

        async def go() -> None:
            async with Caller(node.url) as first:
                await first.send(request_bytes(chat(model="qwen", stream=True)))
                assert await asyncio.to_thread(soon, lambda: engine.generations == 1)
                for _ in range(8):
                    assert (await ask(front.url, chat())).text == "from the vm"
                vm.default = Refuse(status=503)
                alone = await ask(front.url, chat())
                assert alone.status == 503
                assert int(alone.headers["retry-after"]) >= 1

        asyncio.run(go())
        attempts = [receipt["attempts"][0] for receipt in front.journal.settled(9)]
        assert {(attempt["backend"], attempt["outcome"]) for attempt in attempts} == {("home", "full")}
        home = front.app.upstreams.backends["home"]
        assert (home.health.pristine, home.health.models) == (True, {})


def test_only_full_is_told_as_full(tmp_path: Path) -> None:
    with (
        ScriptedBackend(Answer(text="x", fault=Fault(Point.REQUEST, "freeze")), style="vllm") as engine,
        pair(tmp_path, engine.url, gpu={"max_in_flight": 1, "queue": 0}) as (front, node),
    ):

        async def go() -> None:
            async with Caller(node.url) as first:
                await first.send(request_bytes(chat(model="qwen", stream=True)))
                assert await asyncio.to_thread(soon, lambda: engine.generations == 1)
                heard = await ask(front.url, chat())
                assert (heard.status, heard.error["code"], heard.headers["retry-after"]) == (503, "queue_full", "2")

        asyncio.run(go())


def test_the_limit_of_our_key_there_is_kept_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first ask beyond it goes on to the next route; those after it do not try until the time that the node named. Nothing is held against it."""
    with Engine("openai", Goes(text="from home")) as engine, ScriptedBackend("from the vm", style="vllm", models=["m"]) as vm:
        path = node_config(tmp_path, {"gpu": engine.url})
        monkeypatch.setenv("NODE_KEY", a_key(path.parent))
        path.write_text(path.read_text() + "[limits]\nrequests_per_minute = 2\n")
        with Running(path) as node, Running(front_config(tmp_path, node.url, TO_BOTH, {"vm": vm.url}, api_key={"env": "NODE_KEY"})) as front:
            assert met(front)
            assert [asked(front.url, chat()).text for _ in range(6)] == ["from home"] * 2 + ["from the vm"] * 4
            attempts = [[attempt["outcome"] for attempt in receipt["attempts"]] for receipt in front.journal.settled(6)]
            assert attempts == [["ok"], ["ok"], ["full", "ok"], ["ok"], ["ok"], ["ok"]]
            assert front.backend("home")["state"] == "healthy"
            vm.default = Refuse(status=503)
            refused = asked(front.url, chat())
            assert (refused.status, int(refused.headers["retry-after"]) > 2) == (503, True)


def test_one_model_away_there_is_not_the_whole_node(tmp_path: Path) -> None:
    """Behind the node one engine is off: its name is passed over, the other name is asked as before, and the node is up."""
    names = {"qwen": {"routes": [{"backend": "gpu", "model": "m"}]}, "coder": {"routes": [{"backend": "cpu", "model": "m"}]}}
    ways = {
        name: {"routes": [{"backend": "home", "model": model}, {"backend": "vm", "model": "m"}]} for name, model in (("assistant", "qwen"), ("code", "coder"))
    }
    with bound() as dead, Engine("openai", Goes(text="from the cpu")) as cpu, ScriptedBackend("from the vm", style="vllm", models=["m"]) as vm:
        gpu = f"http://127.0.0.1:{dead.getsockname()[1]}"
        with (
            Running(node_config(tmp_path, {"gpu": gpu, "cpu": cpu.url}, names)) as node,
            Running(front_config(tmp_path, node.url, ways, {"vm": vm.url})) as front,
        ):
            assert met(front)
            assert soon(lambda: front.backend("home")["state"] == "degraded", 10)
            assert "gpu is away (connection refused)" in front.backend("home")["reason"]
            for _ in range(8):
                assert asked(front.url, chat()).text == "from the vm"
                assert asked(front.url, chat(model="code")).text == "from the cpu"
            assert all(len(receipt["attempts"]) == 1 for receipt in front.journal.settled(16))


def test_nothing_behind_a_node_answers(tmp_path: Path) -> None:
    with bound() as dead, with_a_vm(tmp_path, f"http://127.0.0.1:{dead.getsockname()[1]}") as (front, _, vm):
        assert soon(lambda: front.backend("home")["state"] == "open", 10)
        assert "nothing behind it answers: gpu is away (connection refused)" in front.backend("home")["reason"]
        assert asked(front.url, chat()).text == "from the vm"
        assert [attempt["backend"] for attempt in front.journal.settled(1)[0]["attempts"]] == ["vm"]
        vm.default = Refuse(status=503)
        heard = asked(front.url, chat())  # it is still tried last
        assert heard.status == 503
        assert "nothing behind it could answer" in heard.error["message"]


def test_what_loads_there_loads_here(tmp_path: Path) -> None:
    with ScriptedBackend("from home", style="llama.cpp") as engine:
        engine.loading = True
        with with_a_vm(tmp_path, engine.url) as (front, _, _vm):
            assert soon(lambda: front.backend("home")["state"] == "loading", 10)
            assert asked(front.url, chat()).text == "from the vm"
            engine.loading = False
            assert soon(lambda: asked(front.url, chat()).text == "from home", 15)
            assert front.status()["incidents"] == []


def test_a_node_that_goes_while_it_loads_is_gone(tmp_path: Path) -> None:
    with ScriptedBackend("from home", style="llama.cpp") as engine, bound() as held:
        engine.loading = True
        port = held.getsockname()[1]
        held.close()
        with Running(front_config(tmp_path, f"http://127.0.0.1:{port}")) as front:
            with Running(node_config(tmp_path, {"gpu": engine.url}, listen=f"127.0.0.1:{port}")):
                assert soon(lambda: front.backend("home")["state"] == "loading", 15)
            assert soon(lambda: (front.backend("home")["state"], front.backend("home")["reason"]) == ("open", "connection refused"), 10)


@pytest.mark.slow
def test_a_node_that_restarts_is_no_fault(tmp_path: Path) -> None:
    """Real processes, asked all the while: no error, no incident, and it is asked again."""
    with ScriptedBackend("from home", style="vllm", models=["m"]) as engine, ScriptedBackend("from the vm", style="vllm", models=["m"]) as vm:
        with Spawned(node_config(tmp_path, {"gpu": engine.url})) as first:
            listen = first.url.removeprefix("http://")
            with Running(front_config(tmp_path, first.url, TO_BOTH, {"vm": vm.url}, monitor={"probe_interval_s": 15})) as front:
                assert met(front)
                assert asked(front.url, chat()).text == "from home"
                assert first.end(signal.SIGTERM) == 0
                heards = [asked(front.url, chat(stream=True)) for _ in range(20)]
                assert {(heard.status, heard.end, heard.text) for heard in heards} == {(200, "complete", "from the vm")}
                with Spawned(node_config(tmp_path, {"gpu": engine.url}, listen=listen)):
                    assert soon(lambda: asked(front.url, chat()).text == "from home", 20)
                    assert front.status()["incidents"] == []


def test_what_others_ask_of_it_counts_as_its_load(tmp_path: Path) -> None:
    """`while_in_flight_below` looks at all that the node computes, not only at what this gateway sent."""
    models = {"assistant": {"routes": [TO_BOTH["assistant"]["routes"][0] | {"while_in_flight_below": 2}, TO_BOTH["assistant"]["routes"][1]]}}
    with (
        ScriptedBackend(Answer(text="x", fault=Fault(Point.REQUEST, "freeze")), style="vllm") as engine,
        ScriptedBackend("from the vm", style="vllm", models=["m"]) as vm,
        pair(tmp_path, engine.url, models=models, others={"vm": vm.url}) as (front, node),
    ):

        async def go() -> None:
            async with Caller(node.url) as first, Caller(node.url) as second:
                for caller in (first, second):
                    await caller.send(request_bytes(chat(model="qwen", stream=True)))
                assert await asyncio.to_thread(soon, lambda: front.backend("home")["node"]["in_flight"] == 2)
                assert (await ask(front.url, chat())).text == "from the vm"
                engine.default = Answer(text="from home")

        asyncio.run(go())
        assert soon(lambda: asked(front.url, chat()).text == "from home", 10)


def test_what_sleeps_behind_a_node_is_woken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The front passes the node over while its box is off, so it says that it was wanted; without the key nobody can."""
    calls: list[float] = []
    with bound() as dead, ScriptedBackend("from the vm", style="vllm", models=["m"]) as vm:
        path = node_config(tmp_path, {"gpu": f"http://127.0.0.1:{dead.getsockname()[1]}"})
        key = a_key(path.parent)
        monkeypatch.setenv("NODE_KEY", key)
        with Running(path) as node, Running(front_config(tmp_path, node.url, TO_BOTH, {"vm": vm.url}, api_key={"env": "NODE_KEY"})) as front:
            node.app.upstreams.backends["gpu"]._waker.call = calls.append  # type: ignore[method-assign]
            assert soon(lambda: front.backend("home")["state"] == "open", 10)
            assert asked(front.url, chat()).text == "from the vm"
            assert soon(lambda: bool(calls), 10)
            before = len(calls)
            assert asked(node.url, method="GET", path="/status?brief&wanted").status == 401
            assert len(calls) == before
