"""Where one request ends and the next begins: pipelining, bodies on pages, trailers; nothing is ever run that was a body."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import pytest

from homeport.storage.keys import Keys
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Bytes
from tests.caller import Caller, Heard, asked, chat, request_bytes
from tests.faults.doors import CHAT, TEXT, over, refused
from tests.gateway import Running, config

INNER = b"GET /health HTTP/1.1\r\nhost: ab\r\n\r\n"  # a body in the shape of a request
UPGRADE = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c"}


async def rest(caller: Caller, seconds: float = 0.4) -> tuple[bytes, bool]:
    """What else comes within so many seconds of silence, and whether the connection ended."""
    got = b""
    while True:
        try:
            data = await asyncio.wait_for(caller.reader.read(65536), seconds)
        except TimeoutError:
            return got, False
        except ConnectionError:
            return got, True
        if not data:
            return got, True
        got += data


class TestPipelining:
    @pytest.mark.parametrize("body", [b"{", chat(), chat(stream=True)], ids=["bad", "whole", "stream"])
    def test_the_body_of_a_second_request_is_not_a_request(self, gateway: Running, front: str, body: object) -> None:
        async def go() -> tuple[Heard, bytes, bool]:
            async with Caller(gateway.url) as caller:
                if front == "asgi":
                    await caller.ask(method="GET", path="/ready")
                second = request_bytes(b"", headers={"content-length": str(len(INNER))})
                await caller.send(request_bytes(body) + second)
                first = await asyncio.wait_for(caller.hear(), 5)
                with contextlib.suppress(ConnectionError):
                    await caller.send(INNER)
                return first, *await rest(caller)

        first, more, closed = asyncio.run(go())
        assert first.end == "complete"
        assert first.status == (400 if body == b"{" else 200)
        assert b"200 OK" not in more
        assert b'"ok"' not in more
        if front == "protocol":  # uvicorn may serve the second one, as the bad JSON that it is
            assert (more, closed) == (b"", True)

    def test_a_whole_second_request_is_answered_at_most_once(self, gateway: Running, front: str) -> None:
        async def go() -> tuple[Heard, bytes, bool]:
            async with Caller(gateway.url) as caller:
                if front == "asgi":
                    await caller.ask(method="GET", path="/ready")
                await caller.send(request_bytes(b"{") + request_bytes(INNER))
                return await asyncio.wait_for(caller.hear(), 5), *await rest(caller)

        first, more, closed = asyncio.run(go())
        assert first.status == 400
        assert b"200 OK" not in more
        assert closed or front == "asgi"


class TestUpgrade:
    """Java's client offers h2c with every request on a plain connection, the ones with a body included."""

    @pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
    @pytest.mark.parametrize("apart_s", [0.0, 0.02], ids=["together", "apart"])
    def test_the_offer_is_passed_over(self, gateway: Running, front: str, apart_s: float, streamed: bool) -> None:
        async def go() -> list[Heard]:
            heards = []
            async with Caller(gateway.url) as caller:
                if front == "asgi":
                    await caller.ask(method="GET", path="/ready")
                for _ in range(2):
                    head, blank, body = request_bytes(chat(stream=streamed), headers=UPGRADE).partition(b"\r\n\r\n")
                    await caller.send(head + blank if apart_s else head + blank + body)
                    await asyncio.sleep(apart_s)
                    if apart_s:
                        await caller.send(body)
                    heards.append(await asyncio.wait_for(caller.hear(), 5))
            return heards

        assert [(heard.status, heard.text) for heard in asyncio.run(go())] == [(200, TEXT)] * 2

    @pytest.mark.parametrize("offer", [UPGRADE, {"CONNECTION": "UPGRADE", "UPGRADE": "h2c"}], ids=["small", "capital"])
    @pytest.mark.parametrize("path", [CHAT, "/health", "/v1/models"])
    def test_its_body_is_not_run(self, gateway: Running, front: str, path: str, offer: dict[str, str]) -> None:
        async def go() -> tuple[Heard, bytes, bool]:
            async with Caller(gateway.url) as caller:
                if front == "asgi":
                    await caller.ask(method="GET", path="/ready")
                head = request_bytes(b"", method="POST" if path == CHAT else "GET", path=path, headers={**offer, "content-length": str(len(INNER))})
                await caller.send(head)
                await asyncio.sleep(0.05)
                with contextlib.suppress(ConnectionError):
                    await caller.send(INNER)
                return await asyncio.wait_for(caller.hear(), 5), *await rest(caller)

        first, more, _ = asyncio.run(go())
        assert first.status in ((0, 400) if path == CHAT else (0, 200, 400))
        assert more == b""

    @pytest.mark.parametrize("name", ["UPGRADE", "uPGRaDE", "Upgrade"])
    def test_its_name_in_any_case(self, gateway: Running, front: str, name: str) -> None:
        data = request_bytes(chat(), headers={"connection": name, name: "h2c"})
        assert over(gateway, front, data).text == TEXT

    @pytest.mark.parametrize("at", [40, 70, 120, 133, 134, 140])
    def test_cut_anywhere_its_body_is_not_run(self, gateway: Running, front: str, at: int) -> None:
        async def go() -> tuple[Heard, bytes, bool]:
            async with Caller(gateway.url) as caller:
                if front == "asgi":
                    await caller.ask(method="GET", path="/ready")
                head = request_bytes(b"", headers={"content-length": str(len(INNER)), **UPGRADE})
                for piece in (head[:at], head[at:], INNER):
                    with contextlib.suppress(ConnectionError):
                        await caller.send(piece)
                    await asyncio.sleep(0.02)
                return await asyncio.wait_for(caller.hear(), 5), *await rest(caller)

        first, more, _ = asyncio.run(go())
        assert first.status in (0, 400)
        assert more == b""

    def test_cut_anywhere_it_is_answered(self, gateway: Running, front: str) -> None:
        """Also where a read ends with a line, or before it shows that there is an offer."""
        data = request_bytes(chat(), headers=UPGRADE)

        async def go(at: int) -> Heard:
            async with Caller(gateway.url) as caller:
                if front == "asgi":
                    await caller.ask(method="GET", path="/ready")
                for piece in (data[:at], data[at:]):
                    with contextlib.suppress(ConnectionError):
                        await caller.send(piece)
                    await asyncio.sleep(0.003)
                return await asyncio.wait_for(caller.hear(), 5)

        heards = {at: asyncio.run(go(at)) for at in range(36, data.index(b"\r\n\r\n") + 5, 2)}
        assert {at: heard.status for at, heard in heards.items() if heard.status != 200} == {}


class TestHealth:
    @pytest.mark.parametrize("later_s", [0.0, 0.05], ids=["at once", "later"])
    def test_its_body_is_not_run(self, gateway: Running, front: str, later_s: float) -> None:
        async def go() -> tuple[Heard, bytes, bool]:
            async with Caller(gateway.url) as caller:
                if front == "asgi":
                    await caller.ask(method="GET", path="/ready")
                head = f"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(INNER)}\r\n\r\n".encode()
                await caller.send(head if later_s else head + INNER)
                await asyncio.sleep(later_s)
                if later_s:
                    await caller.send(INNER)
                return await asyncio.wait_for(caller.hear(), 5), *await rest(caller)

        assert len(INNER) == 34
        first, more, _ = asyncio.run(go())
        assert (first.status, first.end, first.json) == (200, "complete", {"status": "ok"})
        assert more == b""

    def test_two_framings_are_refused(self, gateway: Running, front: str) -> None:
        head = b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 34\r\ntransfer-encoding: chunked\r\n\r\n"
        assert over(gateway, front, head + b"0\r\n\r\n" + INNER).status == 400

    def test_a_plain_one_keeps_its_connection(self, gateway: Running, front: str) -> None:
        async def go() -> list[Heard]:
            async with Caller(gateway.url) as caller:
                if front == "asgi":
                    await caller.ask(method="GET", path="/ready")
                heards = [await asyncio.wait_for(caller.ask(method="GET", path="/health"), 5) for _ in range(3)]
                return [*heards, await asyncio.wait_for(caller.ask(chat()), 5)]

        *healths, answer = asyncio.run(go())
        assert {(heard.status, heard.body) for heard in healths} == {(200, b'{"status":"ok"}')}
        assert answer.text == TEXT

    def test_connection_close(self, gateway: Running, front: str) -> None:
        async def go() -> tuple[Heard, bytes, bool]:
            async with Caller(gateway.url) as caller:
                if front == "asgi":
                    await caller.ask(method="GET", path="/ready")
                await caller.send(request_bytes(method="GET", path="/health", headers={"connection": "close"}))
                return await asyncio.wait_for(caller.hear(), 5), *await rest(caller)

        heard, more, closed = asyncio.run(go())
        assert (heard.status, heard.json, heard.headers["connection"].lower()) == (200, {"status": "ok"}, "close")
        assert (more, closed) == (b"", True)

    def test_cut_anywhere(self, gateway: Running) -> None:
        data = request_bytes(method="GET", path="/health")

        async def go(at: int) -> Heard:
            async with Caller(gateway.url) as caller:
                await caller.send(data[:at])
                await asyncio.sleep(0.003)
                await caller.send(data[at:])
                return await asyncio.wait_for(caller.hear(), 5)

        for at in range(1, len(data)):
            heard = asyncio.run(go(at))
            assert (heard.status, heard.json) == (200, {"status": "ok"}), at


def chunked(trailers: bytes, body: bytes = b"", *, end: bytes = b"\r\n") -> bytes:
    """A chat request in one chunk, and trailers after it."""
    body = body or request_bytes(chat()).partition(b"\r\n\r\n")[2]
    head = f"POST {CHAT} HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    return head + b"%x\r\n%b\r\n0\r\n%b" % (len(body), body, trailers) + end


class TestTrailers:
    def test_a_few_disturb_nothing(self, gateway: Running, front: str) -> None:
        assert over(gateway, front, chunked(b"x-checksum: 1\r\nhost: evil.example\r\norigin: null\r\n")).text == TEXT

    @pytest.mark.parametrize("line", [b"x-t: " + b"y" * 1000 + b"\r\n", b"a: b\r\n"], ids=["long", "short"])
    def test_without_end(self, gateway: Running, backend: ScriptedBackend, front: str, line: bytes) -> None:
        before = backend.generations

        async def go() -> tuple[int, bool]:
            async with Caller(gateway.url) as caller:
                if front == "asgi":
                    await caller.ask(method="GET", path="/ready")
                hearing = asyncio.ensure_future(caller.hear())
                with contextlib.suppress(ConnectionError):
                    await caller.send(chunked(b"", end=b""))
                    piece = line * (10_000 // len(line))
                    for _ in range(20):
                        await caller.send(piece)
                        await asyncio.sleep(0.002)
                try:
                    heard = await asyncio.wait_for(hearing, 3)
                except TimeoutError:
                    return -1, False
                return heard.status, (await rest(caller))[1]

        status, closed = asyncio.run(go())
        assert status in (0, 431)
        assert closed
        assert backend.generations == before

    @pytest.mark.parametrize("name", [b"authorization: Bearer ", b"x-api-key: "])
    def test_a_key_there_is_none(self, tmp_path: Path, backend: ScriptedBackend, front: str, name: bytes) -> None:
        key = Keys(tmp_path / "data").add("one").encode()
        before = backend.generations
        with Running(config(tmp_path, {"only": backend.url})) as own:
            refused(over(own, front, chunked(name + key + b"\r\n")), 401)
        assert backend.generations == before

    def test_a_backends_stay_with_their_answer(self, tmp_path: Path) -> None:
        """The next answer on the connection has no content-type: the trailer of the one before must not stand in for it."""
        reply = b'{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"content":"%b"},"finish_reason":"stop"}]}'
        one, two = reply % b"one", reply % b"two"
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        script = [
            Bytes(data=head + b"%x\r\n%b\r\n0\r\ncontent-type: text/event-stream\r\nx-late: 1\r\n\r\n" % (len(one), one), close=False),
            Bytes(data=b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(two), two), close=False),
        ]
        with ScriptedBackend(script=script) as fake, Running(config(tmp_path, {"only": fake.url})) as own:
            looked, since = -1, time.monotonic()
            while looked != len(fake.requests) or time.monotonic() - since < 0.3:  # until the first probes are over, which have connections of their own
                if looked != len(fake.requests):
                    looked, since = len(fake.requests), time.monotonic()
                time.sleep(0.02)
            assert asked(own.url, chat()).text == "one"
            assert asked(own.url, chat()).text == "two"
            assert fake.asks[0].connection == fake.asks[1].connection
