"""Asking this home from outside, by the tunnel's public address."""

from __future__ import annotations

import asyncio
import http.server
import threading
from collections.abc import Iterator

import pytest

from homeport.tunnel.asking import NEVER, Asking


class Edge(http.server.BaseHTTPRequestHandler):
    status, body = 200, b'{"status":"ok"}'

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/health" else 404)
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def edge() -> Iterator[tuple[type[Edge], str]]:
    class Own(Edge): ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Own)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield Own, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def asked(url: str) -> Asking:
    """What it knows after a while of asking."""
    asking = Asking(url, every_s=0.02)

    async def work() -> None:
        await asking.start()
        async with asyncio.timeout(30):
            while asking.proved_at == NEVER and not asking.fault:
                await asyncio.sleep(0.01)
        await asking.stop()

    asyncio.run(work())
    return asking


def test_an_answer_of_ours_is_a_proof_with_its_time(edge: tuple[type[Edge], str]) -> None:
    found = asked(edge[1])
    assert found.proved_at == found.arrived_at > NEVER
    assert found.round_trip_ms is not None and found.round_trip_ms > 0
    assert found.fault == ""
    found.forget()
    assert found.round_trip_ms is None


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [(502, b"{}", "answers HTTP 502"), (403, b"<html>", "answers HTTP 403"), (200, b"<html>", "is no Homeport"), (200, b"[]", "is no Homeport")],
)
def test_anything_else_is_a_fault(edge: tuple[type[Edge], str], status: int, body: bytes, said: str) -> None:
    edge[0].status, edge[0].body = status, body
    found = asked(edge[1])
    assert said in found.fault
    assert found.proved_at == NEVER


def test_an_address_where_nobody_is_is_a_fault() -> None:
    assert "cannot be asked" in asked("http://127.0.0.1:1").fault
