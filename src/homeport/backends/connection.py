"""HTTP/1.1 to a backend over httptools: one connection class, its answers, and a pool that keeps them alive.

RFC 9112 framing. A connection serves one answer at a time; it goes back to the pool only after an answer's proper
end, and is closed at once when an answer is given up before that, so a backend always learns that nobody listens.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import cast
from urllib.parse import urlsplit

import httptools

from homeport.backends.deadlines import Deadlines
from homeport.errors import BackendError, BrokeMidStream, Stalled, Unreachable
from homeport.runner import Signal, in_task

HIGH_WATER = 256 * 1024  # bytes unread by the journey at which the backend is made to wait
MAX_HEAD = 64 * 1024  # bytes of response head
LINGER_S = 1.0  # how long a terminal event may be ahead of the end of its body
IDLE_S = 4.0  # an idle connection older than this is not used again: uvicorn, and so vLLM, closes after 5 s


class ClosedUnanswered(BrokeMidStream):
    """The connection closed before any byte of the answer; on a kept connection it was probably stale."""


class Answer:
    """One answer on its way (port Upstream): its head, then `read` after `read` until None."""

    __slots__ = ("_connection", "_deadlines", "_idle_s", "_lingers", "_parts", "_pending", "_signal", "_total_at", "content_type", "deadline", "ended", "error", "headed", "headers", "phase", "started", "status")

    def __init__(self, connection: Connection, deadlines: Deadlines, *, first_token_s: float, idle_s: float, total_s: float) -> None:
        self._connection: Connection | None = connection
        self._deadlines = deadlines
        self._signal = Signal()
        self._parts: list[bytes] = []
        self._pending = 0
        self._lingers = False
        self._idle_s = idle_s
        self._total_at = deadlines.now + total_s
        self.deadline = min(deadlines.now + first_token_s, self._total_at)
        self.phase = f"no first token in {first_token_s:g} s"
        self.status = 0
        self.content_type = b""
        self.headers: dict[bytes, bytes] = {}
        self.headed = False  # the head is complete
        self.started = False  # any byte of the answer came
        self.ended = False
        self.error: BackendError | None = None
        deadlines.add(self)

    async def head(self) -> None:
        """Wait for the status and the headers. Raises BackendError."""
        while not self.headed:
            if self.error is not None:
                raise self.error
            await self._signal

    async def read(self) -> bytes | None:
        """The next bytes, all that have arrived; None at the proper end. Raises BrokeMidStream or Stalled."""
        while not self._parts:
            if self.error is not None:
                raise self.error
            if self.ended:
                return None
            await self._signal
        parts = self._parts
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        if self._pending > HIGH_WATER and self._connection is not None:
            self.progress()
            self._connection.resume()
        self._pending = 0
        return data

    def progress(self) -> None:
        """A token came: from here on the idle clock counts."""
        self.phase = f"no token for {self._idle_s:g} s"
        self.deadline = min(self._deadlines.now + self._idle_s, self._total_at)

    def untimed(self) -> None:
        """No tokens to watch (a whole reply): only the total clock counts."""
        self.deadline = self._total_at

    def close(self) -> None:
        """Done with it: to the pool after the proper end, else the connection is closed at once."""
        connection, self._connection = self._connection, None
        self._deadlines.discard(self)
        if connection is not None:
            connection.release(reusable=self.ended)

    def finish(self) -> None:
        """Its terminal event came, so it is done with; the end of its framing may follow within LINGER_S, then the connection is kept."""
        if self.ended or self.error is not None or self._connection is None:
            self.close()
        else:
            self._lingers = True
            self.deadline = self._deadlines.now + LINGER_S

    def expire(self) -> None:
        """A clock ran out."""
        self.deadline = float("inf")
        self.fail(Stalled(self.phase if self._deadlines.now < self._total_at else "not done within its total time"))

    def fail(self, error: BackendError) -> None:
        if self.error is None and not self.ended:
            self.error = error
            if self._lingers:
                self.close()
            else:
                self._signal.fire()

    def arrived(self, parts: list[bytes], ended: bool) -> None:
        """What one read of the socket held."""
        if self._lingers:
            self.ended = ended
            self.close()
            return
        for part in parts:
            self._pending += len(part)
        self._parts.extend(parts)
        self.ended = ended
        if self._pending > HIGH_WATER and self._connection is not None:
            self.deadline = self._total_at  # we are the ones who wait now
            self._connection.pause()
        self._signal.fire()


class Connection(asyncio.Protocol):
    """One socket to a backend."""

    __slots__ = ("_answer", "_ended", "_head_bytes", "_parser", "_parts", "_pool", "_transport", "idle_since", "served")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answer: Answer | None = None
        self._parts: list[bytes] = []
        self._ended = False
        self._head_bytes = 0
        self.idle_since = 0.0
        self.served = 0

    def send(self, request: bytes, answer: Answer) -> None:
        """Write one request; `answer` gets what comes back."""
        assert self._transport is not None
        self._answer = answer
        self._head_bytes = 0
        self.served += 1
        self._transport.write(request)

    def release(self, *, reusable: bool) -> None:
        """The answer is done with; keep the connection if it ended properly and may live on."""
        self._answer = None
        if reusable and self._parser.should_keep_alive() and self._transport is not None and not self._transport.is_closing():
            self._pool.keep(self)
        else:
            self.abort()

    def abort(self) -> None:
        """Close now, dropping what is unsent."""
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's is one by shape, not by class
        self._transport = transport
        self._pool.open.add(self)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:  # nothing was asked
            self.abort()
            return
        answer.started = True
        if not answer.headed:
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
        if parts or ended or answer.headed:
            self._parts, self._ended = [], False
            answer.arrived(parts, ended)

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.forget(self)
        self._transport = None
        answer, self._answer = self._answer, None
        if answer is not None:
            if answer.headed and self._until_close(answer):
                answer.arrived([], True)
            else:
                answer.fail(BrokeMidStream("the connection closed before the end of the answer") if answer.started else ClosedUnanswered("the connection closed before an answer"))

    # httptools callbacks

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._answer is not None:
            self._answer.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        answer = self._answer
        if answer is None:
            return
        status = self._parser.get_status_code()
        if status >= 200:  # else interim (RFC 9110, 15.2): the real one follows
            answer.status = status
            answer.content_type = answer.headers.get(b"content-type", b"")
            answer.headed = True
        else:
            answer.headers.clear()

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        if self._answer is not None and self._answer.headed:
            self._ended = True

    def _broken(self, answer: Answer, why: str) -> None:
        answer.fail(BrokeMidStream(why))
        self.abort()

    @staticmethod
    def _until_close(answer: Answer) -> bool:
        """Whether the end of the connection is the end of the body (RFC 9112, 6.3)."""
        return b"content-length" not in answer.headers and b"chunked" not in answer.headers.get(b"transfer-encoding", b"").lower()


class Pool:
    """Connections to one address, kept alive between answers; the last used is the first to be used again."""

    def __init__(self, url: str, deadlines: Deadlines, *, connect_timeout_s: float) -> None:
        parts = urlsplit(url)
        self.url = url
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.netloc = parts.netloc.rpartition("@")[2]
        self.prefix = parts.path.rstrip("/")
        self.connect_timeout_s = connect_timeout_s
        self._deadlines = deadlines
        self.open: set[Connection] = set()
        self._idle: list[Connection] = []
        self._ssl: ssl.SSLContext | None = ssl.create_default_context() if parts.scheme == "https" else None

    def take(self) -> Connection | None:
        """An idle connection still good to use, or None."""
        oldest = self._deadlines.now - IDLE_S
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.idle_since > oldest:
                return connection
            connection.abort()
        return None

    def keep(self, connection: Connection) -> None:
        connection.idle_since = self._deadlines.now
        self._idle.append(connection)

    def forget(self, connection: Connection) -> None:
        self.open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    async def connect(self) -> Connection:
        """A new connection. Raises Unreachable, saying why."""
        return await in_task(self._connect())

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.connect_timeout_s):
                _, connection = await loop.create_connection(
                    lambda: Connection(self), self.host, self.port, ssl=self._ssl, server_hostname=self.host if self._ssl else None
                )
                return connection
        except TimeoutError:
            raise Unreachable(f"no connection within {self.connect_timeout_s:g} s") from None
        except ConnectionRefusedError:
            raise Unreachable("connection refused") from None
        except ssl.SSLCertVerificationError as error:
            raise Unreachable(f"its TLS certificate is not trusted: {error.verify_message}") from None
        except socket.gaierror:
            raise Unreachable(f"no such host: {self.host}") from None
        except OSError as error:
            raise Unreachable(f"no connection: {error.strerror or type(error).__name__}") from None

    def close(self) -> None:
        """Close every connection, idle or not."""
        for connection in list(self.open):
            connection.abort()
