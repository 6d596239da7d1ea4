"""What lies between the tunnel and the node: bytes as they were, both ends told of each other's, and what is known by it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pytest

from homeport.tunnel.relay import NEVER, End, Relay

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def run(work: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await work

    asyncio.run(bounded())


@contextlib.asynccontextmanager
async def node(serve: Serve) -> AsyncIterator[Relay]:
    """A relay before a node that serves each connection so."""
    served = set()

    async def serving(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError):
            await serve(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serving, "127.0.0.1", 0)
    relay = Relay(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    await relay.start()
    try:
        yield relay
    finally:
        await relay.stop()
        server.close()
        await asyncio.gather(*(task for task in served if task is not None))


async def connect(relay: Relay) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = relay.place.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def wait(until: Callable[[], bool]) -> None:
    while not until():
        await asyncio.sleep(0.01)


def test_an_answer_by_http_is_a_proof() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            writer.write(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n")

    async def work() -> None:
        async with node(serve) as relay:
            assert (relay.arrived_at, relay.proved_at, relay.round_trip_ms) == (NEVER, NEVER, None)
            reader, writer = await connect(relay)
            await asyncio.sleep(0.2)  # a caller that thinks before it speaks
            assert relay.arrived_at == NEVER
            writer.write(b"GET /v1/models HTTP/1.1\n")
            await reader.readuntil(b"\r\n\r\n")
            assert relay.proved_at >= relay.arrived_at > NEVER
            assert relay.round_trip_ms is not None and relay.round_trip_ms >= 150
            first = relay.proved_at
            writer.write(b"again\n")  # the next on the same connection counts as well
            await reader.readuntil(b"\r\n\r\n")
            assert relay.proved_at > first
            writer.close()
            relay.forget()
            assert relay.round_trip_ms is None

    run(work())


def test_what_is_no_http_proves_nothing() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"SSH-2.0-OpenSSH\r\n")
        await reader.readline()

    async def work() -> None:
        async with node(serve) as relay:
            reader, writer = await connect(relay)
            writer.write(b"hello\n")
            assert await reader.readline() == b"SSH-2.0-OpenSSH\r\n"
            assert relay.arrived_at > NEVER
            assert relay.proved_at == NEVER
            writer.close()

    run(work())


def test_much_goes_both_ways_as_it_was() -> None:
    sent = os.urandom(16 * 2**20)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)  # slow at first: the other side is made to wait
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write(b"all")
        writer.write_eof()

    async def work() -> None:
        async with node(serve) as relay:
            reader, writer = await connect(relay)
            got = bytearray()

            async def take() -> None:
                while data := await reader.read(65536):
                    got.extend(data)

            taking = asyncio.ensure_future(take())
            for at in range(0, len(sent), 2**20):
                writer.write(sent[at : at + 2**20])
                await writer.drain()
            writer.write_eof()
            await taking
            assert bytes(got) == sent + b"all"
            writer.close()

    run(work())


def test_a_node_that_reads_nothing_makes_the_caller_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """From its first bytes on, which came before the node was reached and may fill the buffer already."""
    made = End.connection_made

    def narrow(end: End, transport: asyncio.BaseTransport) -> None:
        made(end, transport)
        if not end.outer:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    monkeypatch.setattr(End, "connection_made", narrow)

    async def work() -> None:
        with socket.socket() as listener, socket.socket() as caller:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            relay = Relay(f"127.0.0.1:{listener.getsockname()[1]}")
            await relay.start()
            host, _, port = relay.place.rpartition(":")
            caller.connect((host, int(port)))
            caller.setblocking(False)
            sent, stood, most = 0, 0, 64 * 2**20
            while sent < most and stood < 50:  # until nothing more is taken for half a second
                try:
                    sent += caller.send(bytes(2**20))
                    stood = 0
                except BlockingIOError:
                    stood += 1
                    await asyncio.sleep(0.01)
            await relay.stop()
            assert sent < most

    run(work())


def test_an_answer_that_goes_on_proves_as_long_as_it_does() -> None:
    more = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        await more.wait()
        for piece in (b"HTTP/1.1 200 OK\r\n\r\n", b"one", b"two"):
            writer.write(piece)
            await reader.readline()

    async def work() -> None:
        async with node(serve) as relay:
            reader, writer = await connect(relay)
            assert not relay.waiting
            writer.write(b"GET /\n")
            await wait(lambda: relay.waiting)
            more.set()
            await reader.readuntil(b"\r\n\r\n")
            assert not relay.waiting
            proofs = [relay.proved_at]
            for piece in (b"one", b"two"):
                writer.write(b"\n")
                assert await reader.readexactly(3) == piece
                proofs.append(relay.proved_at)
            assert proofs == sorted(set(proofs))
            writer.close()

    run(work())


def test_a_caller_that_leaves_is_gone_at_the_node_at_once() -> None:
    left = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"GET /\n"
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        left.set()

    async def work() -> None:
        async with node(serve) as relay:
            _, writer = await connect(relay)
            writer.write(b"GET /\n")
            await writer.drain()
            await wait(lambda: relay.arrived_at > NEVER)
            writer.close()
            await left.wait()

    run(work())


def test_a_node_that_breaks_off_breaks_the_callers_connection() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.transport.abort()

    async def work() -> None:
        async with node(serve) as relay:
            reader, writer = await connect(relay)
            writer.write(b"GET /\n")
            with contextlib.suppress(ConnectionError):
                assert (await reader.read()).endswith(b"half")
            writer.close()

    run(work())


def test_a_node_that_is_not_there_is_told_and_forgotten_once_it_is() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await reader.read()

    async def work() -> None:
        async with node(serve) as relay:
            there, relay.local = relay.local, "127.0.0.1:1"
            reader, writer = await connect(relay)
            writer.write(b"GET /\n")
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
            assert relay.fault == "the tunnel stands, but there is no node at 127.0.0.1:1 (connection refused); start it with: homeport up"
            relay.local = there
            reader, writer = await connect(relay)
            writer.write(b"GET /\n")
            await reader.readline()
            assert relay.fault == ""
            writer.close()

    run(work())


def test_its_end_breaks_what_is_under_way() -> None:
    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async def work() -> None:
        async with node(serve) as relay:
            reader, writer = await connect(relay)
            writer.write(b"GET /\n")
            await wait(lambda: relay.arrived_at > NEVER)
            await relay.stop()
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
            with pytest.raises(OSError):
                await connect(relay)

    run(work())
