"""One suite for the Backend port: the real adapter over each engine's style, and the fake without sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Protocol

import pytest
from msgspec import Raw

from homeport.backends.deadlines import Deadlines
from homeport.backends.http import FixedEndpoint, HttpBackend
from homeport.backends.pacing import Pacing
from homeport.backends.pool import Shared
from homeport.errors import BackendError, BrokeMidStream, Refused, Stalled, Unreachable
from homeport.fleet.alone import Alone
from homeport.ports import Backend, Upstream
from homeport.rules.selection import FULL, WELL
from homeport.runner import drive
from homeport.settings import BackendSettings
from homeport.testing.backend import ScriptedBackend
from homeport.testing.loopback import bound
from homeport.testing.memory import MemoryBackend, Said
from homeport.testing.script import Answer, Behaviour, Fault, Point, Refuse
from homeport.testing.shapes import STYLES, StyleName
from homeport.vocabulary import Ask, Route, Surface

TEXT = "one two three"
ROUTE = Route("only", "m")
LIMITS = {"max_in_flight": 2, "queue": 2, "queue_timeout_s": 0.15}


async def read(upstream: Upstream) -> bytes | None:
    """What comes next; None at the proper end."""
    got: list[bytes] = []

    def take(data: bytes) -> bool:
        got.append(data)
        return True

    return got[0] if await upstream.pump(take) else None


def an_ask(*, stream: bool = True) -> Ask:
    fields = {"model": Raw(b'"assistant"'), "messages": Raw(b'[{"role":"user","content":"hi"}]'), "stream": Raw(b"true" if stream else b"false")}
    return Ask("req-1", "openai", Surface.CHAT, "assistant", fields, stream, False, 2, None, time.perf_counter())


def at_once(send: Callable[[bytes], object], data: bytes) -> None:
    """In place of a journal's `after`: there is nothing to wait for."""
    send(data)


class Upstreams(Protocol):
    """Makes a backend whose answers do as told."""

    async def __call__(self, *behaviours: str) -> Backend: ...


@dataclass
class Http:
    """The real adapter over a scripted backend on a socket."""

    style: StyleName
    stack: AsyncExitStack
    fake: ScriptedBackend | None = None
    deadlines: Deadlines | None = None

    async def __call__(self, *behaviours: str) -> Backend:
        told: dict[str, Behaviour] = {
            "answer": Answer(text=TEXT),
            "refuse": Refuse(status=500),
            "cut": Answer(text=TEXT, fault=Fault(2, "close", after_s=0.01)),
            "freeze": Answer(text=TEXT, fault=Fault(2, "freeze")),
            "close": Answer(text=TEXT, fault=Fault(Point.REQUEST, "close")),
            "freeze early": Answer(text=TEXT, fault=Fault(Point.REQUEST, "freeze")),
        }
        self.fake = await self.stack.enter_async_context(ScriptedBackend(style=self.style, script=[told[name] for name in behaviours if name != "absent"]))
        url = self.fake.url
        if "absent" in behaviours:
            holder = self.stack.enter_context(bound())
            url = f"http://127.0.0.1:{holder.getsockname()[1]}"
        self.deadlines = Deadlines()
        self.deadlines.start()
        self.stack.callback(self.deadlines.stop)
        settings = BackendSettings(name="only", kind="openai", url=url, first_token_timeout_s=0.25, idle_timeout_s=0.25, **LIMITS)  # type: ignore[arg-type]
        backend = HttpBackend(settings, FixedEndpoint(url, None), Shared(self.deadlines, Pacing(), at_once), places=Alone().at(""))
        self.stack.callback(backend.close)
        return backend


@dataclass
class Memory:
    """The fake without sockets."""

    stack: AsyncExitStack

    async def __call__(self, *behaviours: str) -> Backend:
        pieces = (b"data: 1\n\n", b"data: 2\n\n")
        told: dict[str, Said | BackendError] = {
            "answer": Said(reads=(*pieces, b"data: [DONE]\n\n")),
            "refuse": Said(status=500, content_type=b"application/json", reads=(b"{}",)),
            "cut": Said(reads=pieces, fails=BrokeMidStream("cut")),
            "freeze": Said(reads=pieces, freezes_s=0.05),
            "close": BrokeMidStream("closed before an answer"),
            "freeze early": Stalled("no first token"),
            "absent": Unreachable("connection refused"),
        }
        return MemoryBackend("only", [told[name] for name in behaviours], max_in_flight=2, queue=2, queue_timeout_s=0.15)


MAKERS: dict[str, Callable[[AsyncExitStack], Upstreams]] = {style: (lambda stack, style=style: Http(style, stack)) for style in STYLES}  # type: ignore[misc]
MAKERS["memory"] = Memory


@pytest.fixture(params=sorted(MAKERS))
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[Upstreams], Coroutine[Any, Any, None]]], None]:
    """Runs a test's coroutine with a maker of backends, and puts them away after it."""

    def go(test: Callable[[Upstreams], Coroutine[Any, Any, None]]) -> None:
        async def inside() -> None:
            async with AsyncExitStack() as stack:
                await asyncio.wait_for(drive(test(MAKERS[request.param](stack))), 10)

        asyncio.run(inside())

    return go


Run = Callable[[Callable[[Upstreams], Coroutine[Any, Any, None]]], None]


async def sent(backend: Backend, *, stream: bool = True) -> Upstream:
    """An answer whose head is there."""
    upstream = backend.send(an_ask(stream=stream), ROUTE)
    try:
        await upstream.head()
    except BackendError:
        upstream.close()
        raise
    return upstream


async def all_of(upstream: Any) -> bytes:
    said = b""
    while (data := await read(upstream)) is not None:
        said += data
    return said


def test_who_it_is_and_how_it_stands(run: Run) -> None:
    async def test(make: Upstreams) -> None:
        backend = await make()
        assert (backend.name, backend.kind, backend.location) == ("only", "openai", "local")
        standing = backend.standing()
        assert (standing.name, standing.in_flight, standing.max_in_flight, standing.queued, standing.state) == ("only", 0, 2, 0, "healthy")
        assert (backend.rank("m"), backend.load("m")) == (WELL, 0)

    run(test)


def test_an_answer_to_its_end(run: Run) -> None:
    async def test(make: Upstreams) -> None:
        backend = await make("answer", "answer")
        for _ in range(2):
            upstream = await sent(backend)
            assert upstream.status == 200
            assert upstream.headers[b"content-type"].startswith(b"text/event-stream")
            assert (await all_of(upstream)).endswith(b"data: [DONE]\n\n")
            upstream.finish()

    run(test)


def test_a_refusal_is_an_answer_with_its_status(run: Run) -> None:
    async def test(make: Upstreams) -> None:
        upstream = await sent(await make("refuse"))
        assert upstream.status == 500
        assert await all_of(upstream)
        upstream.close()

    run(test)


def test_a_cut_is_told_after_what_came(run: Run) -> None:
    async def test(make: Upstreams) -> None:
        upstream = await sent(await make("cut"))
        assert await read(upstream)
        with pytest.raises(BrokeMidStream):
            await all_of(upstream)
        upstream.close()

    run(test)


def test_silence_ends_by_a_clock(run: Run) -> None:
    async def test(make: Upstreams) -> None:
        upstream = await sent(await make("freeze"))
        assert await read(upstream)
        upstream.progress()
        with pytest.raises(Stalled):
            await all_of(upstream)
        upstream.close()

    run(test)


@pytest.mark.parametrize(("behaviour", "error"), [("close", BrokeMidStream), ("freeze early", Stalled), ("absent", Unreachable)])
def test_no_answer_at_all(run: Run, behaviour: str, error: type[BackendError]) -> None:
    async def test(make: Upstreams) -> None:
        backend = await make(behaviour)
        with pytest.raises(error) as raised:
            await sent(backend)
        assert raised.value.outcome in ("broke", "stalled", "unreachable")
        assert str(raised.value)

    run(test)


def test_places_are_given_until_none_is_left(run: Run) -> None:
    async def test(make: Upstreams) -> None:
        backend = await make()
        leases = [backend.take("m"), backend.take("m")]
        assert all(leases)
        assert backend.take("m") is None
        assert (backend.in_flight, backend.load("m"), backend.rank("m")) == (2, 2, FULL)
        for lease in leases:
            assert lease is not None
            lease.release()
            lease.release()
        assert (backend.in_flight, backend.rank("m"), backend.standing().in_flight) == (0, WELL, 0)

    run(test)


def test_who_waits_is_served_in_order(run: Run) -> None:
    async def test(make: Upstreams) -> None:
        backend = await make()
        held = [backend.take("m"), backend.take("m")]
        order: list[int] = []

        async def wait(number: int) -> None:
            lease = await backend.wait("m", None, only=True)
            order.append(number)
            await asyncio.sleep(0.01)
            lease.release()

        waiting = [asyncio.ensure_future(wait(number)) for number in range(2)]
        await asyncio.sleep(0.01)
        assert backend.standing().queued == 2
        assert backend.take("m") is None
        assert held[0] is not None
        held[0].release()
        await asyncio.gather(*waiting)
        assert order == [0, 1]
        assert held[1] is not None
        held[1].release()
        assert (backend.in_flight, backend.standing().queued) == (0, 0)

    run(test)


def test_the_queue_has_an_end(run: Run) -> None:
    async def test(make: Upstreams) -> None:
        backend = await make()
        held = [backend.take("m"), backend.take("m")]
        waiting = [asyncio.ensure_future(backend.wait("m", None, only=True)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Refused) as full:
            await backend.wait("m", None, only=True)
        assert full.value.outcome == "full"
        began = time.perf_counter()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert 0.1 < time.perf_counter() - began < 1.0
        assert [getattr(result, "outcome", None) for result in results] == ["full", "full"]
        for lease in held:
            assert lease is not None
            lease.release()
        assert backend.in_flight == 0

    run(test)


def test_who_leaves_the_queue_leaves_nothing_behind(run: Run) -> None:
    async def test(make: Upstreams) -> None:
        backend = await make()
        held = [backend.take("m"), backend.take("m")]
        waiting = asyncio.ensure_future(backend.wait("m", None, only=True))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert backend.standing().queued == 0
        for lease in held:
            assert lease is not None
            lease.release()
        assert backend.in_flight == 0
        again = backend.take("m")
        assert again is not None

    run(test)


def test_a_whole_reply(run: Run) -> None:
    async def test(make: Upstreams) -> None:
        upstream = await sent(await make("answer"))
        assert (await upstream.whole()).endswith(b"data: [DONE]\n\n")
        upstream.finish()
        upstream = await sent(await make("cut"))
        with pytest.raises(BrokeMidStream):
            await upstream.whole()
        upstream.close()

    run(test)


# What only a socket can show


async def drive_all(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    await asyncio.wait_for(drive(test()), 10)


def test_closing_before_the_end_closes_the_connection() -> None:
    async def go() -> None:
        async with AsyncExitStack() as stack:
            maker = Http("vllm", stack)
            backend = await maker("freeze")
            upstream = await sent(backend)
            await read(upstream)
            upstream.close()
            assert maker.fake is not None
            assert await maker.fake.reached(lambda: maker.fake is not None and maker.fake.sockets == 0, 1.0)
            assert maker.fake.asks[0].ended == "peer_left"
            assert maker.deadlines is not None
            assert len(maker.deadlines) == 0

    asyncio.run(drive_all(go))


def test_what_is_sent_is_written_anew() -> None:
    """The backend's model name, a stream with usage, and nothing of the caller's headers or key."""

    async def go() -> None:
        async with AsyncExitStack() as stack:
            maker = Http("llama.cpp", stack)
            backend = await maker("answer")
            upstream = await sent(backend, stream=False)
            await all_of(upstream)
            upstream.finish()
            assert maker.fake is not None
            seen = maker.fake.asks[0]
            assert seen.fields == {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True, "stream_options": {"include_usage": True}}
            assert set(seen.headers) <= {"host", "content-type", "content-length", "accept", "traceparent", "authorization", "user-agent"}
            assert "authorization" not in seen.headers

    asyncio.run(drive_all(go))


@pytest.mark.parametrize("rounds", [60])
def test_connections_given_up_while_they_are_made_are_forgotten(rounds: int) -> None:
    """uvloop calls connection_made but never connection_lost where create_connection is cancelled between the two."""

    async def go() -> None:
        async with AsyncExitStack() as stack:
            maker = Http("vllm", stack)
            backend = await maker(*["freeze early"] * rounds)
            assert isinstance(backend, HttpBackend)
            for number in range(rounds):
                upstream = backend.send(an_ask(), ROUTE)
                for _ in range(number % 8):
                    await asyncio.sleep(0)
                upstream.close()
            assert maker.fake is not None
            assert await maker.fake.reached(lambda: maker.fake is not None and maker.fake.sockets == 0, 1.0)
            await asyncio.sleep(0.05)
            assert backend.sockets == 0

    from tests.gateway import loop_factory

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(drive_all(go))
