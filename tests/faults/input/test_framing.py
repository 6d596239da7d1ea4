"""Bytes that are no request, or could be read as two: refused, closed, and nothing stays behind."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import pytest

import homeport.app
import homeport.front.protocol
from homeport.testing.backend import ScriptedBackend
from tests.caller import Caller, Heard, asked, chat, request_bytes
from tests.faults.doors import CHAT, TEXT, over
from tests.gateway import Running, config

BODY = json.dumps(chat()).encode()
SMUGGLED: dict[str, bytes] = {
    "CL and TE": b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE and CL": b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": b"content-length: %d\r\ncontent-length: 3\r\n\r\n%b" % (len(BODY), BODY),
    "a list of lengths": b"content-length: %d, %d\r\n\r\n%b" % (len(BODY), len(BODY), BODY),
    "negative length": b"content-length: -1\r\n\r\n",
    "signed length": b"content-length: +%d\r\n\r\n%b" % (len(BODY), BODY),
    "hexadecimal length": b"content-length: 0x%x\r\n\r\n%b" % (len(BODY), BODY),
    "blank before the colon": b"content-length : %d\r\n\r\n%b" % (len(BODY), BODY),
    "bare LF": b"content-length: %d\n\n%b" % (len(BODY), BODY),
    "bare LF in a header": b"x-a: 1\nx-b: 2\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY),
    "bare CR in a header": b"x-a: 1\rx-b: 2\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY),
    "NUL in a header": b"x-a: 1\x002\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY),
    "a folded header": b"x-a: 1\r\n 2\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY),
    "unknown TE": b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "TE twice": b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a chunk without size": b"transfer-encoding: chunked\r\n\r\nxyz\r\n\r\n",
    "a chunk of a huge size": b"transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    "a chunk ended by LF": b"transfer-encoding: chunked\r\n\r\n%x\n%b\n0\n\n" % (len(BODY), BODY),
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_framing_that_can_be_read_two_ways_is_refused(gateway: Running, backend: ScriptedBackend, front: str, name: str) -> None:
    before = backend.generations
    heard = over(gateway, front, f"POST {CHAT} HTTP/1.1\r\nhost: 127.0.0.1\r\n".encode() + SMUGGLED[name])
    assert heard.status in (400, 413)
    assert backend.generations == before


@pytest.mark.parametrize(
    "junk",
    [
        b"\r\n\r\n",
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x00" * 100,
    ],
)
def test_what_is_no_http_is_refused_and_closed(gateway: Running, junk: bytes) -> None:
    async def go() -> bytes:
        async with Caller(gateway.url) as caller:
            await caller.send(junk)
            caller.writer.write_eof()
            return await asyncio.wait_for(caller.reader.read(), 5)

    answer = asyncio.run(go())
    assert answer == b"" or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 404", b"HTTP/1.1 405"))


def test_pipelined_requests_are_answered_or_closed_never_mixed(gateway: Running, backend: ScriptedBackend, front: str) -> None:
    async def go() -> list[Heard]:
        async with Caller(gateway.url) as caller:
            if front == "asgi":
                await caller.ask(method="GET", path="/ready")
            await caller.send(request_bytes(chat("a")) + request_bytes(chat("b")) + request_bytes(chat("c")))
            heards = [await asyncio.wait_for(caller.hear(), 5)]
            while heards[-1].status and len(heards) < 3:
                heards.append(await asyncio.wait_for(caller.hear(), 5))
            return heards

    before = backend.generations
    heards = asyncio.run(go())
    answered = [heard for heard in heards if heard.status]
    assert 1 <= len(answered) <= 3
    assert {heard.text for heard in answered} == {TEXT}
    assert all(heard.end == "complete" for heard in answered)
    assert backend.generations - before == len(answered)


def test_pipelined_behind_a_stream(gateway: Running, backend: ScriptedBackend) -> None:
    async def go() -> tuple[Heard, bytes]:
        async with Caller(gateway.url) as caller:
            await caller.send(request_bytes(chat("a", stream=True)))
            await caller.send(request_bytes(method="GET", path="/health"))
            first = await asyncio.wait_for(caller.hear(), 5)
            caller.writer.write_eof()
            return first, await asyncio.wait_for(caller.reader.read(), 5)

    first, rest = asyncio.run(go())
    assert first.finished
    assert rest == b"" or rest.startswith(b"HTTP/1.1 200")


def test_a_bad_request_first_and_a_good_one_behind_it(gateway: Running, front: str) -> None:
    async def go() -> list[Heard]:
        async with Caller(gateway.url) as caller:
            if front == "asgi":
                await caller.ask(method="GET", path="/ready")
            await caller.send(request_bytes(b"{") + request_bytes(chat()))
            return [await asyncio.wait_for(caller.hear(), 5), await asyncio.wait_for(caller.hear(), 5)]

    bad, good = asyncio.run(go())
    assert bad.status == 400
    assert good.status in (0, 200)


def test_a_half_closed_socket_is_a_caller_who_left(gateway: Running, backend: ScriptedBackend, front: str) -> None:
    """It may be answered or not, but quickly, and nothing stays behind."""

    async def go(data: bytes) -> bytes:
        async with Caller(gateway.url) as caller:
            if front == "asgi":
                await caller.ask(method="GET", path="/ready")
            await caller.send(data)
            caller.writer.write_eof()
            return await asyncio.wait_for(caller.reader.read(), 5)

    whole = request_bytes(chat(stream=True))
    for data in (whole, whole[:-5], whole[:30], b""):
        answer = asyncio.run(go(data))
        assert answer == b"" or answer.startswith(b"HTTP/1.1 ")


def test_a_caller_who_leaves_at_any_byte(gateway: Running, backend: ScriptedBackend, front: str) -> None:
    data = request_bytes(chat(stream=True))

    async def one(size: int) -> None:
        async with Caller(gateway.url) as caller:
            if front == "asgi":
                await caller.ask(method="GET", path="/ready")
            await caller.send(data[:size])
            if size % 3 == 0:
                await asyncio.sleep(0.005)
            await caller.leave(reset=size % 2 == 0)

    async def go() -> None:
        for size in range(0, len(data) + 1, 1 if front == "protocol" else 5):
            await one(size)

    before, receipts = backend.generations, len(gateway.journal.receipts)
    asyncio.run(go())
    assert gateway.idle()
    assert backend.generations - before <= 1
    assert len(gateway.journal.receipts) - receipts <= 1


def test_a_request_byte_by_byte(gateway: Running, front: str) -> None:
    async def go() -> Heard:
        async with Caller(gateway.url) as caller:
            if front == "asgi":
                await caller.ask(method="GET", path="/ready")
            for byte in request_bytes(chat(stream=True)):
                await caller.send(bytes([byte]))
                await asyncio.sleep(0)
            return await asyncio.wait_for(caller.hear(), 5)

    assert asyncio.run(go()).text == TEXT


def test_expect_continue(gateway: Running, front: str) -> None:
    async def go() -> tuple[bytes, Heard]:
        async with Caller(gateway.url) as caller:
            if front == "asgi":
                await caller.ask(method="GET", path="/ready")
            data = request_bytes(chat(), headers={"expect": "100-continue"})
            head, body = data.split(b"\r\n\r\n", 1)
            await caller.send(head + b"\r\n\r\n")
            interim = await asyncio.wait_for(caller.reader.readuntil(b"\r\n\r\n"), 5)
            await caller.send(body)
            return interim, await asyncio.wait_for(caller.hear(), 5)

    interim, heard = asyncio.run(go())
    assert interim.startswith(b"HTTP/1.1 100 ")
    assert heard.text == TEXT


STALLS = {
    "nothing at all": b"",
    "half a request line": b"POST /v1/ch",
    "half a request line of a page": b"GET /stat",
    "half a head": f"POST {CHAT} HTTP/1.1\r\nhost: 127".encode(),
    "half a head of a page": b"GET /status HTTP/1.1\r\nhost: 127",
    "half a head of an unknown path": b"GET /nope HTTP/1.1\r\nhost: 127",
    "half a body": request_bytes(chat())[:-5],
    "no body": request_bytes(chat()).partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", STALLS)
def test_slow_headers_and_bodies_are_given_up(tmp_path: Path, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(homeport.front.protocol, "HEAD_TIMEOUT_S", 0.3)
    monkeypatch.setattr(homeport.front.protocol, "KEEP_ALIVE_S", 0.3)
    monkeypatch.setattr(homeport.app, "SWEEP_S", 0.1)

    async def go(url: str) -> bytes:
        async with Caller(url) as caller:
            await caller.send(STALLS[name])
            return await asyncio.wait_for(caller.reader.read(), 3)

    with Running(config(tmp_path, {"only": backend.url})) as own:
        answer = asyncio.run(go(own.url))
        assert answer == b"" or answer.startswith(b"HTTP/1.1 408 ")


def test_a_thousand_idle_connections_disturb_nobody(gateway: Running) -> None:
    sockets = [socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2]))) for _ in range(500)]
    try:
        assert asked(gateway.url, chat()).text == TEXT
    finally:
        for idle in sockets:
            idle.close()
