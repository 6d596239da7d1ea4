"""Recorded exchanges of real engines, given again over a real socket: the same pieces, framing and end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from homeport.testing.backend import head
from homeport.testing.exchange import Exchange, HttpLoopback, Seen
from homeport.testing.surfaces import GENERATING

LEFT_OUT = re.compile(r"(\.\.\. |\()\d+ pieces left out( \.\.\.|\))")  # stands for the middle of a long recording


class Asked(Struct, kw_only=True):
    """The request of a row."""

    method: str = "POST"
    path: str
    headers: dict[str, str] = {}
    body: Any = None


class Given(Struct, kw_only=True):
    """The response of a row: `pieces` are milliseconds and text; `end` is how the body ended."""

    status: int | None = None
    reason: str = ""
    headers: list[tuple[str, str]] = []
    headers_ms: float = 0.0
    framing: str = "chunked"  # chunked | length | close | none
    pieces: list[tuple[float, str]] = []
    end: str = "complete"  # complete | closed | cut | hung_up | timeout | failed: …


class Row(Struct, kw_only=True):
    """One recorded exchange; `record.py` beside the captures tells the form."""

    engine: str
    version: str = ""
    name: str
    note: str = ""
    request: Asked
    response: Given


def read_rows(path: Path) -> list[Row]:
    """The rows of a `.jsonl` file. Raises OSError, and msgspec.ValidationError where a line is of another form."""
    return [msgspec.json.decode(line, type=Row) for line in path.read_bytes().splitlines() if line.strip()]


class CapturedBackend(HttpLoopback):
    """Plays recorded rows.

        with CapturedBackend(read_rows(path)) as backend:
            backend.play("chat-stream")       # until told otherwise, requests that generate get this row
            ...                               # send requests to backend.url

    A GET is answered by the row of its path. `pace` 1.0 keeps the recorded times, 0 plays without pauses. A recording
    that ended with our own hang-up or a timeout ends in silence.
    """

    def __init__(self, rows: Iterable[Row], *, pace: float = 0.0, port: int = 0) -> None:
        super().__init__(port)
        self.rows = {row.name: row for row in rows}
        self.pace = pace
        self.asks: list[Seen] = []  # the requests that generate
        self.cut_into: int | tuple[int, ...] | None = None  # TCP segments, as in homeport.testing.script
        self._playing: Row | None = None

    def play(self, name: str) -> Row:
        """Answer generating requests with this row from now on. Raises KeyError for an unknown name."""
        self._playing = self.rows[name]
        return self._playing

    async def answer(self, exchange: Exchange) -> None:
        seen = exchange.seen
        path = seen.path.partition("?")[0]
        if seen.method == "POST" and path in GENERATING:
            self.asks.append(seen)
            row = self._playing
        else:
            row = next((row for row in self.rows.values() if (row.request.method, row.request.path) == (seen.method, seen.path)), None)
        if row is None:
            await exchange.send(head(seen, 404, [("content-type", "text/plain")], 0))
            return
        await self._give(exchange, row.response)

    async def _give(self, exchange: Exchange, given: Given) -> None:
        if given.status is None:
            await self._end(exchange, given)
            return
        exchange.cut_into = self.cut_into
        pieces = [(ms, text.encode()) for ms, text in given.pieces if not LEFT_OUT.fullmatch(text)]
        chunked = given.framing == "chunked"
        length = sum(len(data) for _, data in pieces) if given.framing == "length" else 0 if given.framing == "none" else None
        ours = ("connection", "content-length", "transfer-encoding")
        headers = [(name, value) for name, value in given.headers if name.lower() not in ours]
        await self._wait(given.headers_ms, 0.0)
        await exchange.send(head(exchange.seen, given.status, headers, length, chunked))
        last = given.headers_ms
        for ms, data in pieces:
            await self._wait(ms, last)
            last = ms
            await exchange.send(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
            exchange.seen.tokens += 1
        await self._end(exchange, given)

    async def _wait(self, ms: float, last: float) -> None:
        if self.pace and ms > last:
            await asyncio.sleep((ms - last) / 1000 * self.pace)

    async def _end(self, exchange: Exchange, given: Given) -> None:
        if given.end in ("hung_up", "timeout"):
            await exchange.silence()
        elif given.end == "complete" and given.framing == "chunked":
            await exchange.send(b"0\r\n\r\n")
        elif given.end == "closed":
            exchange.seen.ended = "complete"
            exchange.close()
        elif given.end != "complete":
            exchange.close()
