"""The fault proxy passes bytes on unchanged, until it is told to let the network go wrong."""

from __future__ import annotations

import asyncio
import time

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.proxy import FaultProxy, Faults
from homeport.testing.script import Answer
from tests.caller import Caller, asked, chat, request_bytes

TEXT = "Red green blue."


def test_passes_everything_on() -> None:
    with ScriptedBackend(TEXT) as backend, FaultProxy(backend.url) as proxy:
        assert asked(proxy.url, chat(stream=True)).text == TEXT
        assert proxy.until(lambda: proxy.open == 0)
        assert (proxy.connections, proxy.down) == (1, backend.asks[0].sent)


def test_a_dribble_with_delay() -> None:
    with ScriptedBackend(TEXT) as backend, FaultProxy(backend.url, Faults(piece=200, delay_s=0.005)) as proxy:
        began = time.perf_counter()
        heard = asked(proxy.url, chat(stream=True))
        assert heard.text == TEXT
        assert time.perf_counter() - began > 0.005 * backend.asks[0].sent / 200


def test_a_rate() -> None:
    with ScriptedBackend(TEXT) as backend, FaultProxy(backend.url, Faults(rate=20_000)) as proxy:
        began = time.perf_counter()
        assert asked(proxy.url, chat(stream=True)).text == TEXT
        assert time.perf_counter() - began > backend.asks[0].sent / 20_000


def test_refuses_and_accepts_again_on_the_same_port() -> None:
    with ScriptedBackend(TEXT) as backend, FaultProxy(backend.url) as proxy:
        asked(proxy.url, chat())
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            asked(proxy.url, chat())
        proxy.accept()
        assert asked(proxy.url, chat()).text == TEXT


def test_a_black_hole_and_out_of_it() -> None:
    async def wait(proxy: FaultProxy) -> str:
        async with Caller(proxy.url) as caller:
            await caller.send(request_bytes(chat()))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(caller.reader.read(1), 0.05)
            proxy.faults = Faults()
            return (await caller.hear()).text

    with ScriptedBackend(TEXT) as backend, FaultProxy(backend.url, Faults(silent=True)) as proxy:
        assert asyncio.run(wait(proxy)) == TEXT


@pytest.mark.parametrize("after", [0, 1, 50, 400])
def test_cut_and_reset_towards_the_client(after: int) -> None:
    with ScriptedBackend(Answer(text=TEXT, delay_s=0.002)) as backend, FaultProxy(backend.url, Faults(cut_down_after=after)) as proxy:
        heard = asked(proxy.url, chat(stream=True))
        assert heard.end == "aborted"
        assert proxy.down == after
        proxy.faults = Faults(reset_down_after=after)
        assert asked(proxy.url, chat(stream=True)).end in ("reset", "aborted")
        assert backend.until(lambda: backend.sockets == 0)


def test_cut_towards_the_upstream() -> None:
    with ScriptedBackend(TEXT) as backend, FaultProxy(backend.url, Faults(cut_up_after=30)) as proxy:
        assert asked(proxy.url, chat()).status == 0
        assert backend.until(lambda: backend.connections == 1 and backend.sockets == 0)
        assert backend.requests == []
        assert proxy.up == 30


def test_half_closed_towards_the_client() -> None:
    async def listen(url: str) -> bytes:
        async with Caller(url) as caller:
            await caller.send(request_bytes(chat(stream=True)))
            data = await caller.reader.read()
            await caller.send(b"x")  # its way up is still open
            return data

    with ScriptedBackend(Answer(text=TEXT, delay_s=0.01)) as backend, FaultProxy(backend.url, Faults(half_close_down_after=20)) as proxy:
        assert len(asyncio.run(listen(proxy.url))) == 20
        assert proxy.until(lambda: proxy.up > len(backend.asks[0].head) + len(backend.asks[0].body))


@pytest.mark.parametrize("after", [0, 1, 200])
def test_a_black_hole_after_some_bytes(after: int) -> None:
    """Nothing more comes and nothing is closed, and what is sent does not arrive either; other connections fare the same on their own."""

    async def listen(proxy: FaultProxy) -> int:
        async with Caller(proxy.url) as caller:
            await caller.send(request_bytes(chat(stream=True)))
            assert await proxy.reached(lambda: proxy.down == after and proxy.up > 0)
            data = await caller.reader.readexactly(after)
            async with asyncio.timeout(10):
                while not all(link.dark for link in proxy._links):
                    await asyncio.sleep(0.005)
            up = proxy.up
            await caller.send(b"x")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(caller.reader.read(1), 0.1)
            assert (proxy.up, proxy.open) == (up, 1)
            return len(data)

    with ScriptedBackend(Answer(text=TEXT, delay_s=0.002)) as backend, FaultProxy(backend.url, Faults(silent_down_after=after)) as proxy:
        assert asyncio.run(listen(proxy)) == after
        assert backend.sockets == 1
    assert backend.sockets == 0


def test_a_black_hole_towards_the_upstream() -> None:
    async def listen(proxy: FaultProxy) -> None:
        async with Caller(proxy.url) as caller:
            await caller.send(request_bytes(chat()))
            assert await proxy.reached(lambda: proxy.up == 30)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(caller.reader.read(1), 0.1)

    with ScriptedBackend(TEXT) as backend, FaultProxy(backend.url, Faults(silent_up_after=30)) as proxy:
        asyncio.run(listen(proxy))
        assert (backend.sockets, backend.requests) == (1, [])


def test_every_byte_by_itself() -> None:
    with ScriptedBackend(TEXT) as backend, FaultProxy(backend.url, Faults(piece=1)) as proxy:
        heard = asked(proxy.url, chat(stream=True))
        assert heard.text == TEXT
        assert len(heard.pieces) > 20, "the kernel may join many again, where we are not read at once"


@pytest.mark.parametrize("reset", [False, True])
def test_drop_breaks_what_is_open(reset: bool) -> None:
    async def listen(proxy: FaultProxy) -> str:
        async with Caller(proxy.url) as caller:
            await caller.send(request_bytes(chat(stream=True)))
            await caller.reader.readuntil(b"data: ")
            await asyncio.to_thread(proxy.drop, reset=reset)
            return (await caller.hear()).end

    with ScriptedBackend(Answer(tokens=("x",), endless=True, delay_s=0.01)) as backend, FaultProxy(backend.url) as proxy:
        assert asyncio.run(listen(proxy)) in (("reset", "aborted") if reset else ("aborted",))
        assert backend.until(lambda: backend.sockets == 0)


def test_an_upstream_that_is_not_there() -> None:
    with ScriptedBackend() as backend:
        url = backend.url
    with FaultProxy(url) as proxy:
        try:
            status = asked(proxy.url, chat()).status
        except ConnectionResetError:  # the proxy's reset can be there before the connection is seen to be made
            status = 0
        assert status == 0
