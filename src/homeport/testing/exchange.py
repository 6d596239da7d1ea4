"""A small HTTP/1.1 server for fakes: it records each request, notices a peer that leaves, and sends the very bytes it is told."""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
import time
from abc import abstractmethod
from typing import Any, cast

import msgspec
from msgspec import Struct

from homeport.testing.loopback import HOST, Loopback


class Seen(Struct, kw_only=True, gc=False):
    """One request as the fake saw it. Times are `time.perf_counter()` seconds."""

    number: int  # 0 for the first request of this server
    connection: int  # 0 for the first connection of this server
    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    head: bytes  # the request line and headers as they came
    body: bytes
    fields: Any  # the body decoded as JSON, None where it is none
    at: float  # when it was whole
    first_at: float | None = None  # when the first content token was sent
    tokens: int = 0  # content tokens sent, or made for a whole reply
    sent: int = 0  # bytes of the response
    ended: str | None = None  # complete | cut | peer_left | dropped; None while it runs
    ended_at: float | None = None
    peer_left_at: float | None = None  # when the peer closed its connection before the end


class Exchange:
    """One request being answered: what was asked, and the raw way back."""

    def __init__(self, connection: Connection, seen: Seen) -> None:
        self.seen = seen
        self.cut_into: int | tuple[int, ...] | None = None  # TCP segments: bytes each, or offsets in the response
        self.pause_s = 0.0  # between segments
        self._connection = connection

    @property
    def reused(self) -> bool:
        """Whether its connection has served a request before."""
        return self._connection.answered > 0

    async def send(self, data: bytes) -> None:
        """Write these bytes as they are, in the segments asked for, waiting while the peer does not read."""
        for piece in self._segments(data):
            if self.cut_into is not None and self.seen.sent:
                await asyncio.sleep(self.pause_s)
            self.seen.sent += len(piece)
            await self._connection.write(piece)

    def _segments(self, data: bytes) -> list[bytes]:
        if self.cut_into is None:
            return [data]
        if isinstance(self.cut_into, int):
            return [data[i : i + self.cut_into] for i in range(0, len(data), self.cut_into)]
        base = self.seen.sent
        cuts = [0, *(at - base for at in sorted(self.cut_into) if 0 < at - base < len(data)), len(data)]
        return [data[a:b] for a, b in itertools.pairwise(cuts)]

    async def silence(self, seconds: float | None = None) -> None:
        """Send nothing for so long; without a number until the peer leaves."""
        await asyncio.sleep(1e9 if seconds is None else seconds)

    def close(self) -> None:
        """Close the connection after what was written: FIN, whatever the body's framing promised."""
        self.seen.ended = self.seen.ended or "cut"
        self._connection.leave()

    def reset(self) -> None:
        """Break the connection at once: RST."""
        self.seen.ended = "cut"
        self._connection.reset()


class Connection(asyncio.Protocol):
    """One connection of a peer: reads requests one after another and lets the server answer each."""

    def __init__(self, server: HttpLoopback) -> None:
        self.server = server
        self.number = server.connections
        self.answered = 0
        self.ours = False  # we ended it
        self.transport: asyncio.Transport
        self._buffer = bytearray()
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._seen: Seen | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.opened(self)
        self._task = asyncio.get_running_loop().create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._arrived.set()

    def eof_received(self) -> bool:
        self._gone()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone()
        self.server.closed(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def write(self, data: bytes) -> None:
        self.transport.write(data)
        await self._writable.wait()

    def leave(self) -> None:
        self.ours = True
        self.transport.close()

    def reset(self) -> None:
        self.ours = True
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def drop(self) -> None:
        """The server stops."""
        self.ours = True
        if self._task is not None:
            self._task.cancel()
        self.transport.abort()

    def _gone(self) -> None:
        if not self.ours and self._seen is not None and self._seen.ended is None:
            self._seen.peer_left_at = time.perf_counter()
            self._seen.ended = "peer_left"
            self.server.changed()
        if self._task is not None:
            self._task.cancel()

    async def _serve(self) -> None:
        try:
            while not self.transport.is_closing():
                seen = await self._request()
                self._seen = seen
                self.server.began(seen)
                try:
                    await self.server.answer(Exchange(self, seen))
                    seen.ended = seen.ended or "complete"
                finally:
                    seen.ended = seen.ended or "dropped"
                    seen.ended_at = time.perf_counter()
                    self._seen = None
                    self.answered += 1
                    self.server.finished(seen)
                if "close" in seen.headers.get("connection", "").lower() or self.server.ends(self):
                    self.leave()
        except asyncio.CancelledError:
            pass  # the peer left, or the server stops
        finally:
            self.transport.close()

    async def _request(self) -> Seen:
        end = await self._find(b"\r\n\r\n", 0)
        head = bytes(self._buffer[: end + 4])
        del self._buffer[: end + 4]
        line, *rows = head.decode("latin-1").split("\r\n")
        method, path = [*line.split(" ", 2), ""][:2]
        headers = {name.strip().lower(): value.strip() for name, _, value in (row.partition(":") for row in rows if row)}
        body = await (self._chunked() if "chunked" in headers.get("transfer-encoding", "") else self._take(int(headers.get("content-length", 0))))
        try:
            fields = msgspec.json.decode(body) if body else None
        except msgspec.DecodeError:
            fields = None
        return Seen(
            number=len(self.server.requests),
            connection=self.number,
            method=method,
            path=path,
            headers=headers,
            head=head,
            body=body,
            fields=fields,
            at=time.perf_counter(),
        )

    async def _find(self, mark: bytes, start: int) -> int:
        while (at := self._buffer.find(mark, start)) < 0:
            self._arrived.clear()
            await self._arrived.wait()
        return at

    async def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._arrived.clear()
            await self._arrived.wait()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    async def _chunked(self) -> bytes:
        body = b""
        while True:
            end = await self._find(b"\r\n", 0)
            size = int((await self._take(end + 2)).split(b";")[0], 16)
            piece = await self._take(size + 2)
            if size == 0:
                return body
            body += piece[:-2]


class HttpLoopback(Loopback):
    """The server of the fakes. Counters may be read from any thread."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.requests: list[Seen] = []
        self.connections = 0  # accepted since the start
        self.sockets = 0  # open now
        self.sockets_peak = 0
        self.in_flight = 0  # requests being answered now
        self.in_flight_peak = 0
        self._open_connections: set[Connection] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._server: asyncio.Server | None = None

    @abstractmethod
    async def answer(self, exchange: Exchange) -> None:
        """Answer one request. Cancelled when the peer leaves."""

    def ends(self, connection: Connection) -> bool:
        """Whether the server ends this connection after the answer just given, without having said so."""
        return False

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), HOST, self.port, backlog=1024, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.drop_connections()
        await self._empty.wait()

    def drop_connections(self) -> None:
        """Break every connection at once, as the death of the process would. On the server's loop only."""
        for connection in list(self._open_connections):
            connection.drop()

    def opened(self, connection: Connection) -> None:
        """A connection was accepted."""
        self._open_connections.add(connection)
        self._empty.clear()
        self.connections += 1
        self.sockets += 1
        self.sockets_peak = max(self.sockets_peak, self.sockets)
        self.changed()

    def closed(self, connection: Connection) -> None:
        """A connection is gone."""
        self._open_connections.discard(connection)
        self.sockets -= 1
        if not self._open_connections:
            self._empty.set()
        self.changed()

    def works(self, seen: Seen) -> bool:
        """Whether a request counts as in flight."""
        return True

    def began(self, seen: Seen) -> None:
        """A request is whole."""
        self.requests.append(seen)
        self.in_flight += self.works(seen)
        self.in_flight_peak = max(self.in_flight_peak, self.in_flight)
        self.changed()

    def finished(self, seen: Seen) -> None:
        """A request was answered, or is not wanted any more."""
        self.in_flight -= self.works(seen)
        self.changed()
