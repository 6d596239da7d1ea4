"""One HTTP/1.1 connection to a backend, over httptools.

RFC 9112 framing. A connection serves one answer at a time; it goes back to its pool only after an answer's proper
end, and is closed at once when an answer is given up before that, so a backend always learns that nobody listens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

import httptools

from homeport.backends.answer import Answer, Closed, ClosedUnanswered
from homeport.backends.pacing import FAST_S, Pacing
from homeport.errors import BrokeMidStream
from homeport.wire.heads import Heads

OK = 200
MAX_HEAD = 64 * 1024  # bytes of response head

After = Callable[[Callable[[bytes], object], bytes], None]  # ports.Store.after


class Keeper(Protocol):
    """What owns a connection: its pool."""

    open: set[Connection]
    seen: Heads
    after: After
    pacing: Pacing

    def keep(self, connection: Connection) -> None:
        """It is idle, and good for another answer."""

    def forget(self, connection: Connection) -> None:
        """It is closed."""


class Connection(asyncio.Protocol):
    """One socket to a backend."""

    __slots__ = (
        "_answer",
        "_ended",
        "_head_bytes",
        "_headers",
        "_keep_alive",
        "_last_read",
        "_parser",
        "_parts",
        "_paused",
        "_pool",
        "_resting",
        "_stopped",
        "_transport",
        "_unwanted",
        "idle_since",
    )

    def __init__(self, pool: Keeper) -> None:
        self._pool = pool
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answer: Answer | None = None
        self._parts: list[bytes] = []
        self._headers: dict[bytes, bytes] = {}
        self._ended = False
        self._keep_alive = False
        self._head_bytes = 0
        self._last_read = 0.0
        self._resting = self._paused = self._stopped = self._unwanted = False
        self.idle_since = 0.0

    def send(self, request: bytes, answer: Answer) -> None:
        """Send one request, once the journal has it; `answer` gets what comes back."""
        self._answer = answer
        self._head_bytes = 0
        self._pool.after(self._write, request)

    def _write(self, request: bytes) -> None:
        if self._transport is not None:
            self._transport.write(request)

    def release(self, *, reusable: bool) -> None:
        """The answer is done with; keep the connection if it ended properly and may live on."""
        self._answer = None
        if reusable and self._keep_alive and self._transport is not None and not self._transport.is_closing():
            self._pool.keep(self)
        else:
            self.abort()

    def abort(self) -> None:
        """Close now, dropping what is unsent; one that is still being made is closed as soon as it is."""
        self._unwanted = True
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        self._paused = True
        self._read_or_not()

    def resume(self) -> None:
        self._paused = False
        self._read_or_not()

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by shape, not by class
        if self._unwanted:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:  # nothing was asked
            self.abort()
            return
        if not answer.headed:
            if not self._head_bytes:
                body = self._pool.seen.body(data)
                if body is not None:
                    self._again(answer, body)
                    return
            answer.started = True
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD + len(data):
                self._broken(answer, "its response head is longer than 64 KB")
                return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._broken(answer, "it does not speak HTTP/1.1")
            return
        parts, ended = self._parts, self._ended
        if ended and self._keep_alive and self._head_bytes == len(data) and data.startswith(b"HTTP/1.1 200"):
            self._pool.seen.learn(data, answer.headers)
        if parts or ended or answer.headed:
            self._parts, self._ended = [], False
            answer.arrived(parts, ended)
            if self._answer is answer and not ended and answer.begun:
                self._pace()

    def _again(self, answer: Answer, body: bytes) -> None:
        """A whole answer under a head like one before, on this connection or another of its pool."""
        self._keep_alive = True
        answer.came_whole(OK, self._pool.seen.headers, body)

    def _pace(self) -> None:
        """A fast stream rests for a moment after each read."""
        pacing = self._pool.pacing
        now = pacing.now()
        if now - self._last_read < FAST_S and not self._paused:
            self._resting = True
            self._read_or_not()
            pacing.rest(self)
        self._last_read = now

    def rested(self) -> None:
        """The moment is over (Pacing)."""
        self._resting = False
        self._read_or_not()

    def _read_or_not(self) -> None:
        """Read while nobody wants this connection to wait."""
        transport, wait = self._transport, self._resting or self._paused
        if transport is not None and wait != self._stopped and not transport.is_closing():
            self._stopped = wait
            if wait:
                transport.pause_reading()
            else:
                transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.forget(self)
        self._transport = None
        self._parser = None  # type: ignore[assignment]  # it holds our callbacks: a cycle less to collect
        answer, self._answer = self._answer, None
        if answer is not None:
            if answer.headed and self._until_close(answer):
                answer.arrived([], True)
            else:
                answer.fail(
                    Closed("the connection closed before the end of the answer")
                    if answer.started
                    else ClosedUnanswered("the connection closed before an answer")
                )

    # httptools callbacks

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._answer is not None and not self._answer.headed:  # else trailers
            self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        answer = self._answer
        if answer is None:
            return
        status = self._parser.get_status_code()
        headers, self._headers = self._headers, {}
        if status >= 200:  # else interim (RFC 9110, 15.2): the real one follows
            answer.status = status
            answer.headers = headers
            answer.headed = True

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        if self._answer is not None and self._answer.headed:
            self._ended = True
            self._keep_alive = self._parser.should_keep_alive()  # forgotten once this callback returns

    def _broken(self, answer: Answer, why: str) -> None:
        answer.fail(BrokeMidStream(why))
        self.abort()

    @staticmethod
    def _until_close(answer: Answer) -> bool:
        """Whether the end of the connection is the end of the body (RFC 9112, 6.3)."""
        return b"content-length" not in answer.headers and b"chunked" not in answer.headers.get(b"transfer-encoding", b"").lower()
