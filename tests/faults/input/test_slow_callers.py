"""Callers that read slowly, send slowly or send too much: each gets its whole answer or a clear end, and costs little."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, cast

import pytest

import homeport.app
import homeport.front.protocol
from homeport.backends.deadlines import Deadlines
from homeport.errors import HomeportError
from homeport.front.gateway import Gateway
from homeport.front.protocol import Front
from homeport.ports import Out
from homeport.runner import Signal
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer
from homeport.vocabulary import Request
from tests.caller import Caller, chat, request_bytes
from tests.faults.doors import CHAT
from tests.gateway import Running, config

MEGABYTE = 1024 * 1024


class Wire:
    """In place of a transport: notes what is asked of it."""

    def get_extra_info(self, name: str) -> None:
        """No socket here."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.written = b""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        self.calls.append("close")


class Behind:
    """In place of a gateway: keeps the caller's side of each request, and answers none."""

    def __init__(self) -> None:
        self.max_body = MEGABYTE
        self.draining = False
        self.connections: set[object] = set()
        self.clock = Deadlines()
        self.outs: list[Out] = []
        self.drained: list[Out] = []

    def after(self, send: Any, data: bytes) -> None:
        send(data)

    def greet(self, headers: dict[bytes, bytes]) -> None: ...

    def serve(self, request: Request, out: Out) -> Coroutine[Any, Any, None]:
        async def journey() -> None:
            self.outs.append(out)
            try:
                await out.drained()
                self.drained.append(out)
                await Signal()
            except HomeportError:
                pass

        return journey()


def test_who_does_not_read_is_not_read() -> None:
    loop = asyncio.new_event_loop()
    try:
        behind, wire = Behind(), Wire()
        front = Front(cast(Gateway, behind))
        front.connection_made(cast(asyncio.BaseTransport, wire))
        front.pause_writing()
        assert wire.calls == ["pause"]
        front.data_received(request_bytes(chat(stream=True)))
        assert behind.outs[0].paused
        assert behind.drained == []
        front.resume_writing()
        assert wire.calls == ["pause", "resume"]
        assert not behind.outs[0].paused
        assert behind.drained == behind.outs
        front.pause_writing()
        assert behind.outs[0].paused
        front.connection_lost(None)
    finally:
        loop.close()


@pytest.mark.parametrize("front", ["protocol", "asgi"])
def test_a_slow_reader_of_a_last_answer_gets_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, front: str) -> None:
    monkeypatch.setattr(homeport.front.protocol, "FLUSH_S", 2.0)
    monkeypatch.setattr(homeport.app, "SWEEP_S", 0.1)
    text = "x" * (6 * MEGABYTE)
    with ScriptedBackend(Answer(tokens=(text,))) as fake, Running(config(tmp_path, {"only": fake.url})) as own, socket.socket() as caller:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        caller.settimeout(5)
        caller.connect(("127.0.0.1", int(own.url.rpartition(":")[2])))
        if front == "asgi":
            caller.sendall(request_bytes(method="GET", path="/ready"))
            caller.recv(65536)
        caller.sendall(request_bytes(chat(), headers={"connection": "close"}))
        got = bytearray()
        while data := caller.recv(65536):
            got += data
            time.sleep(0.05 * len(data) / 65536)  # so 640 KB within FLUSH_S
        head, _, body = bytes(got).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert body.count(b"x") >= len(text)
        assert b"content-length: %d" % len(body) in head.lower()


@pytest.mark.parametrize("size_mb", [3, 40])
def test_too_much_is_told_not_reset(gateway: Running, front: str, size_mb: int) -> None:
    """As http.client does it: everything is sent before anything is read."""
    for _ in range(3):
        connection = http.client.HTTPConnection("127.0.0.1", int(gateway.url.rpartition(":")[2]), timeout=5)
        try:
            if front == "asgi":
                connection.request("GET", "/ready")
                connection.getresponse().read()
            connection.request("POST", CHAT, body=b" " * (size_mb * MEGABYTE), headers={"content-type": "application/json"})
            response = connection.getresponse()
            assert response.status == 413
            assert b'"body_too_large"' in response.read()
        finally:
            connection.close()


@pytest.mark.parametrize("path", [CHAT, "/v1/models", "/health"])
def test_a_head_byte_by_byte_is_cut_off(tmp_path: Path, backend: ScriptedBackend, front: str, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(homeport.front.protocol, "HEAD_TIMEOUT_S", 0.3)
    monkeypatch.setattr(homeport.app, "SWEEP_S", 0.1)

    async def go(url: str) -> tuple[float, bytes]:
        async with Caller(url) as caller:
            if front == "asgi":
                await caller.ask(method="GET", path="/ready")
            began = time.perf_counter()
            await caller.send(f"{'POST' if path == CHAT else 'GET'} {path} HTTP/1.1\r\n".encode())
            reading = asyncio.ensure_future(caller.reader.read())
            while not reading.done() and time.perf_counter() - began < 4:
                try:
                    await caller.send(b"x-slow: yes\r\n"[int((time.perf_counter() - began) / 0.05) % 13 :][:1])
                except ConnectionError:
                    break
                await asyncio.sleep(0.05)
            spent = time.perf_counter() - began
            reading.cancel()
            answer = b""
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                answer = await reading
            return spent, answer

    with Running(config(tmp_path, {"only": backend.url})) as own:
        spent, answer = asyncio.run(go(own.url))
    assert 0.2 < spent < 2.0
    assert answer == b"" or answer.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 400 "))
