"""Homeports behind a Homeport that are of another version, say strange things, or stand behind one more: nobody else is the worse for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from homeport.testing.backend import ScriptedBackend, head
from homeport.testing.exchange import Exchange, HttpLoopback
from homeport.testing.loopback import bound
from homeport.testing.script import Answer, Fault, Point
from homeport.vocabulary import STATES
from tests.caller import Caller, asked, chat, request_bytes
from tests.faults.engines import Engine, Goes
from tests.gateway import Running, config, soon
from tests.pairs import OFTEN, TO_BOTH, Joined, front_config, met, node_config, pair

GPU = {"name": "gpu", "state": "healthy", "reason": "", "in_flight": 0, "max_in_flight": 4, "queued": 0, "location": "local"}
LEADS = [{"name": "qwen", "routes": [{"backend": "gpu", "model": "m"}]}]
REFUSES = {"error": {"message": "no", "type": "server_error", "code": "busy"}}


def brief(**gpu: Any) -> dict[str, Any]:
    """A report of one backend."""
    return {"version": "0.1.0", "gateway": "ab12", "backends": [GPU | gpu], "models": LEADS}


class Odd(HttpLoopback):
    """A Homeport as a script has it: its report, and its refusal of every request."""

    def __init__(self, said: Any, status: int = 503, code: str = "queue_full", **more: str) -> None:
        super().__init__()
        self.said = said  # None: it has no such page
        self.status = status
        self.headers = {"x-homeport-error": code, **more}
        self.listing_status = 200

    async def answer(self, exchange: Exchange) -> None:
        path, headers, status, body = exchange.seen.path, {}, 200, self.said
        if exchange.seen.method == "POST":
            headers, status, body = self.headers, self.status, REFUSES
        elif path.startswith("/v1/models"):
            headers, status, body = {"x-homeport-error": "forbidden"}, self.listing_status, {"data": [{"id": "qwen"}], "homeport": {"gateway": "ab12"}}
        elif body is None:
            status = 404
        data = json.dumps(body).encode()
        rows = [("content-type", "application/json"), *headers.items()]
        await exchange.send(head(exchange.seen, status, rows, len(data)) + data)

    @property
    def asks(self) -> int:
        return sum(seen.method == "POST" for seen in self.requests)


# what it says of itself


@pytest.mark.parametrize("said", [None, {"backends": [{"name": "gpu", "in_flight": "many"}]}], ids=["no such page", "another form"])
def test_a_report_that_is_no_longer_understood_is_forgotten(tmp_path: Path, said: Any) -> None:
    """The node comes back as another version: what the one before said of itself would else count for ever."""
    with Odd(brief(state="loading")) as node, Running(front_config(tmp_path, node.url)) as front:
        assert soon(lambda: front.backend("home")["state"] == "loading")
        node.said = said
        assert soon(lambda: front.backend("home")["state"] == "healthy", 10)
        assert front.backend("home")["node"]["backends"] == []


def test_a_report_is_kept_within_bounds(tmp_path: Path) -> None:
    strange = brief(state="\x1b[31mx" * 9999, location="y" * 9999, in_flight=-7, max_in_flight=10**30, queued=-1)
    with Odd(strange) as node, Running(front_config(tmp_path, node.url)) as front:
        assert met(front)
        (gpu,) = front.backend("home")["node"]["backends"]
        assert (gpu["state"] in STATES, gpu["location"] in ("local", "cloud")) == (True, True)
        assert all(0 <= gpu[field] <= 10**6 for field in ("in_flight", "max_in_flight", "queued"))


def test_a_node_without_keys_under_another_name_is_told(tmp_path: Path) -> None:
    """It answers this machine's names only, so all of its pages are a 403."""
    with Odd(brief()) as node, Running(front_config(tmp_path, node.url)) as front:
        node.listing_status = 403
        assert soon(lambda: front.backend("home")["state"] == "open", 10)
        assert "homeport keys add" in front.backend("home")["reason"]


# what it refuses


def test_a_name_without_room_there_leaves_its_other_names(tmp_path: Path) -> None:
    """What is full is what stands behind one name; the next route leads to the same node, and has room."""
    names = {"qwen": {"routes": [{"backend": "gpu", "model": "m"}]}, "coder": {"routes": [{"backend": "cpu", "model": "m"}]}}
    ways = {"assistant": {"routes": [{"backend": "home", "model": "qwen"}, {"backend": "home", "model": "coder"}]}}
    holds = Answer(text="x", fault=Fault(Point.REQUEST, "freeze"))
    with ScriptedBackend(holds, style="vllm") as gpu, Engine("openai", Goes(text="from the cpu")) as cpu:
        path = node_config(tmp_path, {"gpu": {"url": gpu.url, "max_in_flight": 1, "queue": 0}, "cpu": cpu.url}, names)
        with Running(path) as node, Running(front_config(tmp_path, node.url, ways)) as front:
            assert met(front)
            behind = front.app.upstreams.backends["home"].probing.behind
            assert behind is not None
            behind.rank = lambda model, taken, now: 0  # type: ignore[method-assign]  # it has not said so yet

            async def go() -> None:
                async with Caller(node.url) as first:
                    await first.send(request_bytes(chat(model="qwen", stream=True)))
                    assert await asyncio.to_thread(soon, lambda: gpu.generations == 1)
                    heard = await asyncio.to_thread(asked, front.url, chat())
                    assert (heard.status, heard.text) == (200, "from the cpu")

            asyncio.run(go())
            assert [(attempt["model"], attempt["outcome"]) for attempt in front.journal.settled(1)[0]["attempts"]] == [("qwen", "full"), ("coder", "ok")]


def test_what_may_not_be_answered_stays_so_through_three(tmp_path: Path) -> None:
    """The third refuses private asks, for it has a cloud's route only; that is held against nobody, and no retry would help."""
    with Engine("openai") as cloud, pair(tmp_path, cloud.url, gpu={"location": "cloud"}) as (middle, _):
        (tmp_path / "far").mkdir()
        far = {"far": {"routes": [{"backend": "middle", "model": "assistant"}]}}
        with Running(config(tmp_path / "far", {"middle": middle.url}, models=far, monitor=OFTEN)) as front:
            assert met(front, "middle")
            for _ in range(7):
                heard = asked(front.url, chat(model="far"), headers={"homeport-private": "true"})
                assert (heard.status, heard.headers.get("x-should-retry")) == (503, "false")
            assert cloud.asks == []
            assert asked(front.url, chat(model="far")).status == 200
            assert {attempt["outcome"] for receipt in front.journal.settled(8) for attempt in receipt["attempts"]} == {"barred", "ok"}


@pytest.mark.parametrize("word", ["True", "TRUE", "1", "yes"])
def test_private_in_other_words_is_private(tmp_path: Path, word: str) -> None:
    with Engine("openai") as cloud, Running(config(tmp_path, {"gpu": {"url": cloud.url, "location": "cloud"}})) as gateway:
        assert asked(gateway.url, chat(), headers={"homeport-private": word}).status == 503
        assert cloud.asks == []
        assert asked(gateway.url, chat(), headers={"homeport-private": "false"}).status == 200


def test_a_call_of_a_task_is_as_private_as_its_caller_says(tmp_path: Path) -> None:
    models = {"default": {"routes": [{"backend": "gpu", "model": "m"}]}}
    with Engine("openai") as cloud, Running(config(tmp_path, {"gpu": {"url": cloud.url, "location": "cloud"}}, models=models)) as gateway:
        body = {"input": {"text": "once upon a time"}}
        assert asked(gateway.url, body, path="/tasks/complete", headers={"homeport-private": "true"}).status == 503
        assert cloud.asks == []
        assert asked(gateway.url, body, path="/tasks/complete", headers={"homeport-private": "false"}).status == 200


def test_a_code_of_an_engines_is_not_the_nodes(tmp_path: Path) -> None:
    """A 400 is the caller's fault, whatever word an engine has for it: nobody else is asked the same."""
    says = b'{"error":{"message":"no such field","type":"invalid_request_error","code":"queue_full"}}'
    with (
        Engine("openai", Goes(status=400, body=says)) as engine,
        ScriptedBackend("from the vm", style="vllm", models=["m"]) as vm,
        pair(tmp_path, engine.url, models=TO_BOTH, others={"vm": vm.url}) as (front, _),
    ):
        heard = asked(front.url, chat())
        assert (heard.status, vm.generations) == (400, 0)


def test_what_a_node_cannot_carry_another_route_may(tmp_path: Path) -> None:
    with (
        Odd(brief(), 400, "not_carried") as node,
        ScriptedBackend("from the vm", style="vllm", models=["m"]) as vm,
        Running(front_config(tmp_path, node.url, TO_BOTH, {"vm": vm.url})) as front,
    ):
        assert met(front)
        assert asked(front.url, chat()).text == "from the vm"
        assert node.asks == 1


# when it is asked again


def test_an_engine_that_comes_back_behind_a_node_is_asked_at_once(tmp_path: Path) -> None:
    """The front's asks failed while it was away; once the node says that it answers, none of them counts any more."""
    with bound() as dead:
        port = dead.getsockname()[1]
        path = node_config(tmp_path, {"gpu": f"http://127.0.0.1:{port}"})
        with Running(path) as node, Running(front_config(tmp_path, node.url)) as front:
            assert soon(lambda: front.backend("home")["state"] == "open", 10)
            home = front.app.upstreams.backends["home"]
            assert soon(lambda: asked(front.url, chat()).status == 503 and "qwen" in home.health.left_out, 10)
            circuit = home.health.models["qwen"]
            home.health.models["qwen"] = msgspec.structs.replace(circuit, retry_at=circuit.retry_at + 60.0)  # after many more
            dead.close()
            with Engine("openai", Goes(text="from home"), port=port):
                assert soon(lambda: asked(node.url, chat(model="qwen")).status == 200, 20)
                assert soon(lambda: asked(front.url, chat()).status == 200, 8)


def test_probes_leave_the_connections_of_asks_alone(tmp_path: Path) -> None:
    """A node is asked how it is each second while it works: a connection that asks keep open is not spent on that."""
    with Engine("openai") as engine, pair(tmp_path, engine.url) as (front, _):
        assert asked(front.url, chat()).status == 200
        before = set(front.app.upstreams.backends["home"]._line._pool._idle)  # type: ignore[union-attr]
        assert len(before) == 1
        asyncio.run_coroutine_threadsafe(front.app.upstreams.round(), front._loop).result(10)
        assert set(front.app.upstreams.backends["home"]._line._pool._idle) == before  # type: ignore[union-attr]


def test_no_page_of_another_site_wakes_a_box(tmp_path: Path) -> None:
    """A gateway without keys answers whatever this machine's browser asks for; a GET with an effect must not be one that any page can cause."""
    calls: list[float] = []
    with bound() as dead, Running(config(tmp_path, {"gpu": f"http://127.0.0.1:{dead.getsockname()[1]}"})) as gateway:
        gateway.app.upstreams.backends["gpu"]._waker.call = calls.append  # type: ignore[method-assign]
        assert soon(lambda: gateway.backend("gpu")["state"] == "open", 10)
        calls.clear()
        for site, most in (("cross-site", 0), ("same-site", 0), ("none", 1)):
            assert asked(gateway.url, method="GET", path="/status?brief&wanted", headers={"sec-fetch-site": site}).status == 200
            assert len(calls) == most


class Tunnel(Joined):
    """The remote end of a tunnel: it takes every connection, and learns only after a round trip that nobody listens at home."""

    delay_s = 0.15


def test_a_node_that_is_off_behind_a_tunnel_that_is_up(tmp_path: Path) -> None:
    """Its end here goes on taking connections, and closes them: the first ask that meets that is enough to look, long before the next probe in its turn."""
    at = tmp_path / "home.sock"
    with (
        ScriptedBackend("from home", style="vllm", models=["m"]) as engine,
        ScriptedBackend("from the vm", style="vllm", models=["m"]) as vm,
        contextlib.ExitStack() as stack,
    ):
        node = stack.enter_context(Running(node_config(tmp_path, {"gpu": engine.url})))
        with Tunnel(at, int(node.url.rpartition(":")[2])):
            monitor = {"probe_interval_s": 60}
            with Running(front_config(tmp_path, f"http+unix://{at}", TO_BOTH, {"vm": vm.url}, monitor)) as front:
                assert met(front)
                assert asked(front.url, chat()).text == "from home"
                stack.close()  # the node
                assert asked(front.url, chat()).text == "from the vm"
                assert soon(lambda: front.backend("home")["state"] == "open", 10)
                assert asked(front.url, chat()).text == "from the vm"
                assert [attempt["backend"] for attempt in front.journal.settled(3)[-1]["attempts"]] == ["vm"]
