"""Whatever backends and callers do: leases return to zero, one Ask has one Receipt, and no second send follows the commit point."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.testing.backend import ScriptedBackend
from homeport.testing.exchange import Seen
from homeport.testing.script import Answer, Behaviour, Bytes, Fault, Point, Refuse
from tests.caller import Caller, Heard, chat, request_bytes
from tests.gateway import Running, config, soon

NAMES = ("first", "second", "third")
NUMBERS = itertools.count()


@dataclass
class World:
    """A gateway over three backends, each of which does what the plan says for the request at hand."""

    gateway: Running
    backends: dict[str, ScriptedBackend]
    plans: dict[str, dict[str, Behaviour]]


def plan_of(world: World, name: str, seen: Seen) -> Behaviour:
    return world.plans[seen.fields["messages"][0]["content"]][name]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    with ScriptedBackend(style="vllm") as first, ScriptedBackend(style="llama.cpp") as second, ScriptedBackend(style="ollama") as third:
        backends = dict(zip(NAMES, (first, second, third), strict=True))
        tables = {name: {"url": backend.url, "max_in_flight": 2, "first_token_timeout_s": 0.2, "idle_timeout_s": 0.2} for name, backend in backends.items()}
        with Running(config(folder, tables), guarded=False) as gateway:
            world = World(gateway, backends, {})
            for name, backend in backends.items():
                backend.default = lambda seen, name=name: plan_of(world, name, seen)  # type: ignore[misc]
            yield world


def text_of(name: str) -> str:
    return f"{name} says alpha beta gamma"


def behaviours(name: str) -> st.SearchStrategy[Behaviour]:
    """What one backend may do with one request."""
    text = text_of(name)
    points = st.sampled_from([Point.REQUEST, Point.HEADERS, Point.ROLE, 1, 2, 5, Point.FINISH, Point.DONE])
    hows = st.sampled_from(["close", "reset", "end", "error", "error_done", "garbage", "freeze"])
    faults = st.builds(Fault, points, hows, after_s=st.sampled_from([0.0, 0.01]))
    return st.one_of(
        st.builds(Answer, text=st.just(text), delay_s=st.sampled_from([0.0, 0.002]), cut_into=st.sampled_from([None, 50])),
        st.builds(Answer, text=st.just(text), fault=faults, delay_s=st.sampled_from([0.0, 0.002])),
        st.builds(Answer, text=st.just(text), whole=st.just(True)),
        st.builds(Refuse, status=st.sampled_from([400, 404, 429, 500, 503])),
        st.just(Bytes(data=b"nonsense\r\n\r\n")),
        st.just(Answer(tokens=(), finish="load")),
    )


asks = st.fixed_dictionaries(
    {
        "stream": st.booleans(),
        "leaves_after": st.sampled_from([None, None, None, 0.0, 0.005, 0.03, 0.1]),
        "plan": st.fixed_dictionaries({name: behaviours(name) for name in NAMES}),
    }
)


async def ask_all(world: World, batch: dict[str, dict[str, Any]]) -> dict[str, Heard | None]:
    async def one(name: str, told: dict[str, Any]) -> Heard | None:
        async with Caller(world.gateway.url) as caller:
            await caller.send(request_bytes(chat(name, stream=told["stream"]), headers={"user-agent": name}))
            if told["leaves_after"] is not None:
                await asyncio.sleep(told["leaves_after"])
                return None
            return await asyncio.wait_for(caller.hear(), 20)

    heards = await asyncio.gather(*(one(name, told) for name, told in batch.items()))
    return dict(zip(batch, heards, strict=True))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(asks, min_size=1, max_size=8))
def test_accounts_add_up(world: World, told: list[dict[str, Any]]) -> None:
    batch = {f"ask-{next(NUMBERS)}": one for one in told}
    world.plans.update({name: one["plan"] for name, one in batch.items()})
    heards = asyncio.run(ask_all(world, batch))
    assert world.gateway.idle(2.0)
    assert all(backend.until(lambda backend=backend: backend.in_flight == 0, 2.0) for backend in world.backends.values())  # type: ignore[misc]

    def receipts() -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in batch}
        for receipt in world.gateway.journal.receipts:
            if receipt["app"] in found:
                found[receipt["app"]].append(receipt)
        return found

    assert soon(lambda: all(receipts().values()), 2.0)
    for name, found in receipts().items():
        assert len(found) == 1
        check(world, name, batch[name], found[0], heards[name])


def check(world: World, name: str, told: dict[str, Any], receipt: dict[str, Any], heard: Heard | None) -> None:
    """One Ask: what its caller heard, what its backends saw and what its receipt says belong together."""
    seen = {backend: [one for one in fake.asks if one.fields["messages"][0]["content"] == name] for backend, fake in world.backends.items()}
    tried = [attempt["backend"] for attempt in receipt["attempts"]]
    assert len(tried) == len(set(tried)) <= 3
    assert {backend for backend, requests in seen.items() if requests} <= set(tried)
    assert all(len(requests) <= 2 for requests in seen.values())  # twice only where a kept connection turned out to be stale
    if heard is None:
        assert receipt["outcome"] in ("client_left", "ok", "cut", "failed", "refused")
        return
    if heard.status != 200:
        assert heard.end == "complete"
        assert receipt["outcome"] in ("failed", "refused")
        return
    said = [backend for backend in NAMES if heard.text and text_of(backend).startswith(heard.text) and backend in heard.text]
    assert len(said) == 1, f"text of no one backend alone: {heard.text!r}"
    assert heard.headers["x-homeport-backend"] == said[0] == receipt["backend"] == tried[-1], "a send after the commit point"
    if receipt["outcome"] == "ok":
        assert heard.text == text_of(said[0])
        assert heard.finished if told["stream"] else heard.end == "complete"
    else:
        assert (receipt["outcome"], told["stream"], len(heard.errors)) == ("cut", True, 1)
        assert heard.end in ("aborted", "reset")
        assert "[DONE]" not in heard.data
