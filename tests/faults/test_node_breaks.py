"""A Homeport behind a Homeport at fault: callers who leave, answers that break behind it, and a socket that goes away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer, Fault, Point
from tests.caller import Caller, Heard, ask, asked, chat, request_bytes
from tests.faults.engines import Engine, Goes, How
from tests.figures import THOROUGH
from tests.gateway import Running, Spawned, soon
from tests.pairs import TO_BOTH, front_config, joined, met, node_config, pair, with_a_vm

TEXT = "one two three four five six seven eight nine ten"


# who leaves


@pytest.mark.slow
def test_who_leaves_the_front_leaves_the_engine(tmp_path: Path) -> None:
    """At 0, 1 or N tokens, streamed or whole, by FIN or RST, or while queued at the node: the engine sees it within a second, and no lease stays."""
    rounds = 200 if THOROUGH else 60
    chance = random.Random(7)
    points: list[Point | int] = [Point.REQUEST, Point.HEADERS, Point.ROLE, 1, 2, 5, 9]

    async def leave(front: Running, engine: ScriptedBackend, number: int, streamed: bool, reset: bool) -> float:
        async with Caller(front.url) as caller:
            await caller.send(request_bytes(chat(stream=streamed)))
            assert await asyncio.to_thread(engine.until, lambda: len(engine.asks) > number, 5.0)
            await asyncio.sleep(chance.uniform(0.0, 0.03))
            left = time.perf_counter()
            await caller.leave(reset=reset)
            return left

    with ScriptedBackend(TEXT, style="vllm") as engine, pair(tmp_path, engine.url) as (front, node):
        worst = 0.0
        for number in range(rounds):
            at = points[number % len(points)]
            engine.default = Answer(text=TEXT, fault=Fault(at, "freeze"))
            left = asyncio.run(leave(front, engine, number, streamed=bool(number % 2), reset=bool(number % 3)))
            seen = engine.asks[number]
            assert engine.until(lambda seen=seen: seen.peer_left_at is not None, 1.5), (number, at)  # type: ignore[misc]
            assert seen.peer_left_at is not None
            worst = max(worst, seen.peer_left_at - left)
        assert worst < 1.0
        assert front.idle()
        assert node.idle()
        for gateway in (front, node):
            assert {receipt["outcome"] for receipt in gateway.journal.settled(rounds)} == {"client_left"}
            assert {row["zombies"] for row in gateway.status()["backends"]} == {0}
        assert front.backend("home")["state"] == node.backend("gpu")["state"] == "healthy"


def test_who_waits_at_the_node_and_leaves(tmp_path: Path) -> None:
    with (
        ScriptedBackend(Answer(text=TEXT, fault=Fault(1, "freeze")), style="vllm") as engine,
        pair(tmp_path, engine.url, gpu={"max_in_flight": 1}) as (front, node),
    ):

        async def go() -> None:
            async with contextlib.AsyncExitStack() as stack:
                callers = [await stack.enter_async_context(Caller(front.url)) for _ in range(8)]
                for number, caller in enumerate(callers):
                    await caller.send(request_bytes(chat(stream=bool(number % 2))))
                assert await asyncio.to_thread(soon, lambda: node.backend("gpu")["queued"] == 7)

        asyncio.run(go())
        assert node.idle()
        assert front.idle()
        assert engine.generations == 1
        for gateway in (front, node):
            assert {receipt["outcome"] for receipt in gateway.journal.settled(8)} == {"client_left"}


# what breaks behind it


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("at", [-1, 0, 1, 3])
@pytest.mark.parametrize("how", ["close", "reset", "half", "end", "error", "error and done"])
def test_an_engine_that_dies_behind_the_node(tmp_path: Path, how: How, at: int, streamed: bool) -> None:
    """Before the first token, or where the reply is whole, the next route answers and nobody notices; after that the answer is cut, and shown so."""
    with Engine("openai", Goes(text="from home it comes", at=at, how=how)) as engine, with_a_vm(tmp_path, engine.url) as (front, node, vm):
        heard = asked(front.url, chat(stream=streamed))
        if streamed and at > 0:
            assert heard.text.startswith("from")
            assert (heard.finish, heard.end != "complete", "[DONE]" in heard.data) == (None, True, False)
            assert heard.events[-1]["error"]["code"] == "cut"
            assert vm.generations == 0
            outcomes = ("cut", "cut")
        else:
            assert (heard.status, heard.text, heard.end) == (200, "from the vm", "complete")
            outcomes = ("ok", "cut" if at > 0 else "failed")
        assert len(engine.asks) <= (2 if at == -1 else 1)  # a kept connection that closes unanswered is tried once more
        assert (front.journal.settled(1)[0]["outcome"], node.journal.settled(1)[0]["outcome"]) == outcomes
        assert front.idle()
        assert node.idle()


@pytest.mark.parametrize("kind", ["openai", "ollama", "anthropic"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_cut_is_no_whole_in_any_dialect(tmp_path: Path, kind: str, streamed: bool) -> None:
    with Engine("openai", Goes(text="from home it comes", at=2, how="end")) as engine, pair(tmp_path, engine.url, kind=kind) as (front, _):
        for path, fields in (("/v1/chat/completions", {}), ("/v1/messages", {"max_tokens": 9}), ("/api/chat", {})):
            heard = asked(front.url, chat(stream=streamed, **fields), path=path)
            if streamed:
                assert heard.end != "complete"
                assert b"error" in heard.body
            else:
                assert heard.status == 503


@pytest.mark.slow
@pytest.mark.parametrize("at", [Point.REQUEST, 2])
def test_an_engine_that_freezes_behind_the_node(tmp_path: Path, at: Point | int) -> None:
    """The node's clocks find out first, and the front's next route answers a whole reply."""
    frozen = Answer(text="from home", fault=Fault(at, "freeze"))
    clocks = {"first_token_timeout_s": 1.0, "idle_timeout_s": 1.0}
    with ScriptedBackend(frozen, style="vllm") as engine, with_a_vm(tmp_path, engine.url, gpu=clocks) as (front, node, _):
        assert asked(front.url, chat()).text == "from the vm"
        assert [attempt["outcome"] for attempt in node.journal.settled(1)[0]["attempts"]] == ["stalled"]
        assert front.backend("home")["state"] != "open" or "nothing behind it answers" in front.backend("home")["reason"]


@pytest.mark.slow
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_a_node_that_dies_or_stands_still(tmp_path: Path, number: signal.Signals, streamed: bool) -> None:
    """Real processes, amid an answer: a whole reply comes from the next route, a stream is shown as cut; both have their one receipt."""
    talks = Answer(text=TEXT, delay_s=0.3)
    clocks = {"first_token_timeout_s": 2.0, "idle_timeout_s": 2.0}
    with ScriptedBackend(talks, style="vllm", models=["m"]) as engine, ScriptedBackend("from the vm", style="vllm", models=["m"]) as vm:
        node = Spawned(node_config(tmp_path, {"gpu": engine.url}))
        with node, Running(front_config(tmp_path, node.url, TO_BOTH, {"vm": vm.url}, **clocks)) as front:
            assert met(front)

            async def go() -> Heard:
                asking = asyncio.ensure_future(ask(front.url, chat(stream=streamed)))
                assert await asyncio.to_thread(engine.until, lambda: bool(engine.asks) and engine.asks[0].tokens >= 2)
                await asyncio.sleep(0.1)
                os.kill(node.pid, number)
                return await asking

            try:
                heard = asyncio.run(go())
            finally:
                if number == signal.SIGSTOP:
                    os.kill(node.pid, signal.SIGCONT)
                else:
                    node.end(number)
            if streamed:
                assert (heard.text.startswith("one two"), heard.finish, heard.end != "complete", vm.generations) == (True, None, True, 0)
            else:
                assert (heard.status, heard.text) == (200, "from the vm")
            assert front.journal.settled(1)[0]["outcome"] == ("cut" if streamed else "ok")
            assert soon(lambda: len(node.journal.started) == 1)
            assert len(node.journal.receipts) <= 1
            assert front.idle()


def test_a_request_that_kills_an_engine_there_is_not_sent_elsewhere(tmp_path: Path) -> None:
    """The engine goes away with a request that asks for a schema: the node does not replay it, and neither does the front."""
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    engine = Engine("openai", Goes(at=-1, how="close"))
    with ScriptedBackend("from the vm", style="vllm", models=["m"]) as vm, engine:
        with pair(tmp_path, engine.url, models=TO_BOTH, others={"vm": vm.url}) as (front, _):
            answer = engine.answer

            async def dies(exchange: Any) -> None:
                if exchange.seen.method == "POST":
                    engine._server.close()  # type: ignore[attr-defined]
                await answer(exchange)

            engine.answer = dies  # type: ignore[method-assign]
            heard = asked(front.url, chat(response_format=form))
            assert (heard.status, heard.error["code"]) == (503, "not_replayed")
            assert vm.generations == 0
            assert front.journal.settled(1)[0]["outcome"] == "failed"


def test_a_prompt_that_is_too_long_is_the_callers_fault(tmp_path: Path) -> None:
    said = b'{"error":{"message":"This model\'s maximum context length is 10 tokens","type":"BadRequestError","code":400}}'
    with Engine("openai", Goes(status=400, body=said)) as engine, with_a_vm(tmp_path, engine.url) as (front, _, vm):
        heard = asked(front.url, chat())
        assert (heard.status, heard.error["code"]) == (400, "context_length_exceeded")
        assert vm.generations == 0


def test_probes_of_a_node_leave_its_short_way_alone(tmp_path: Path) -> None:
    """A page is served by another part of it, which then keeps the connection: so pages come over connections of their own."""
    with Engine("openai") as engine, pair(tmp_path, engine.url) as (front, node):
        for _ in range(3):
            assert asked(front.url, chat()).status == 200
            asyncio.run_coroutine_threadsafe(front.app.upstreams.round(), front._loop).result(10)
        assert asked(front.url, chat()).status == 200
        assert node.app._pages is not None
        assert soon(lambda: node.app._pages.open == 0)  # type: ignore[union-attr]


# over a Unix socket


def test_a_node_at_a_unix_socket(tmp_path: Path) -> None:
    """As the remote end of a tunnel: it answers, it is told when it is gone, who leaves is noticed, and it comes back."""
    at = tmp_path / "home.sock"
    with (
        ScriptedBackend("from home", style="vllm", models=["m"]) as engine,
        ScriptedBackend("from the vm", style="vllm", models=["m"]) as vm,
        Running(node_config(tmp_path, {"gpu": engine.url})) as node,
        Running(front_config(tmp_path, f"http+unix://{at}", TO_BOTH, {"vm": vm.url})) as front,
    ):
        port = int(node.url.rpartition(":")[2])
        assert asked(front.url, chat()).text == "from the vm"
        assert soon(lambda: front.backend("home")["reason"] == "no socket at that path")
        with joined(at, port):
            assert soon(lambda: asked(front.url, chat(stream=True)).text == "from home", 20)
            assert met(front)
            engine.default = Answer(text=TEXT, fault=Fault(2, "freeze"))
            before = engine.generations

            async def leave() -> float:
                async with Caller(front.url) as caller:
                    await caller.send(request_bytes(chat(stream=True)))
                    assert await asyncio.to_thread(engine.until, lambda: engine.generations > before and engine.asks[-1].tokens == 2)
                    return time.perf_counter()

            left = asyncio.run(leave())
            assert engine.until(lambda: engine.asks[-1].peer_left_at is not None, 2.0)
            assert (engine.asks[-1].peer_left_at or 0) - left < 1.0
            engine.default = Answer(text="from home")
        assert soon(lambda: asked(front.url, chat()).text == "from the vm", 10)
        at.unlink(missing_ok=True)
        with joined(at, port):
            assert soon(lambda: asked(front.url, chat()).text == "from home", 30)
