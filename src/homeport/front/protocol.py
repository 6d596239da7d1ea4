"""How callers come in, the short way: HTTP/1.1 straight from the socket to the journey, for the model routes and calls of tasks.

A connection whose next request is for anything else is handed over, with the bytes read so far, to uvicorn and the
ASGI app (`front.asgi`), which serves the model routes as well; so both ways answer alike and this one can stay small.
RFC 9112 framing by llhttp in strict mode: CL with TE, bare LF and the like are refused.
"""

from __future__ import annotations

import asyncio
import socket
import time
from typing import cast

import httptools

from homeport.errors import CallerError, ClientLeft, HomeportError, Malformed, TooLarge, Unauthenticated
from homeport.front.envelopes import path_of, told
from homeport.front.exchange import Exchange
from homeport.front.framing import bare_lf, healthy, is_plain, refusal, without_upgrade
from homeport.front.gateway import Gateway
from homeport.front.routes import BY_URL, POSTS, task_called
from homeport.front.task_calls import Calling
from homeport.rules.admission import ANYONE
from homeport.runner import Runner
from homeport.vocabulary import Request, Surface
from homeport.wire.heads import Heads

MAX_HEAD = 64 * 1024  # bytes of request head
HEAD_TIMEOUT_S = 30.0  # for a head, and between two pieces of a body
KEEP_ALIVE_S = 75.0  # an idle connection is kept this long
FLUSH_S = 30.0  # a caller that takes nothing of an answer for this long is cut off
WRITE_HIGH_WATER = 128 * 1024  # bytes not yet taken by the caller at which the journey waits

Asked = tuple[str, Surface] | str  # dialect and surface; of a task, its path
_HEALTH = b"GET /health HTTP/1."


class Front(asyncio.Protocol):
    """One connection of a caller."""

    __slots__ = (
        "_after",
        "_body",
        "_body_bytes",
        "_caller",
        "_clock",
        "_exchange",
        "_full",
        "_gateway",
        "_head",
        "_head_bytes",
        "_headed",
        "_headers",
        "_parser",
        "_read",
        "_route",
        "_runner",
        "_seen",
        "_seen_route",
        "_task",
        "_transport",
        "_untaken",
        "_url",
        "_vetted",
        "closing",
        "quiet_since",
        "receiving",
    )

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._clock = gateway.clock
        self._after = gateway.after
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._head = b""  # the beginning of a request, until its route is known
        self._head_bytes = 0
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._route: Asked | None = None
        self._exchange: Exchange | None = None
        self._runner: Runner | None = None
        self._read = b""  # the read with which the request began
        self._seen = Heads()
        self._seen_route: Asked | None = None  # what the head seen last asks for
        self.receiving = False  # in the middle of a request
        self._caller = ANYONE
        self._full = False  # the caller does not take what is written
        self._untaken = 0  # bytes written and not taken at the last sweep
        self._headed = False  # its head is complete
        self._task: str | None = None  # that the request under way is for
        self._vetted = False  # it was seen to be a POST to a model route
        self.closing = False  # close after the answer under way
        self.quiet_since = gateway.clock.now

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's is one by shape, not by class
        self._transport = transport
        transport.set_write_buffer_limits(WRITE_HIGH_WATER)
        wire = transport.get_extra_info("socket")
        if wire is not None and hasattr(socket, "TCP_NOTSENT_LOWAT"):  # what is not taken waits here, where it is seen, not in the kernel
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, WRITE_HIGH_WATER)
        self._gateway.connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self.closing:
            return
        if self._exchange is not None:  # a pipelined request: RFC 9112, 9.3.2 lets us close after the answer instead
            self.closing = True
            return
        if self.receiving:
            self._read = b""
            if self._headed:
                self.quiet_since = self._clock.now
        else:
            body = None if self._head else self._seen.body(data)
            if body is not None:
                self._again(body)
                return
            data = self._read = self._begin(data)
            if not data:
                return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # only by a pipelined request: its body would be read as a request
            self.closing = True
            if self._exchange is None:
                self.close()
        except httptools.HttpParserError as error:
            if not self.closing:
                self._refuse(Malformed(f"This is not an HTTP/1.1 request: {str(error)[:120]}.", code="bad_http"), 400)
        if self.receiving and not self._headed:  # the head goes on
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD:
                self._refuse(Malformed("The request head is longer than 64 KB.", code="head_too_large"), 431)

    def eof_received(self) -> None:
        """The caller closed its side: it is taken to have left, as nginx takes it. The transport closes itself."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._gateway.connections.discard(self)
        self._transport = None
        self._parser = None  # type: ignore[assignment]  # it holds our callbacks: a cycle less to collect
        runner, self._runner = self._runner, None
        self._exchange = None
        if runner is not None and not runner.finished:
            runner.leave(ClientLeft("the caller hung up"))

    def pause_writing(self) -> None:
        self._full = True
        if self._transport is not None:
            self._transport.pause_reading()  # who does not take answers may not ask for more
        if self._exchange is not None:
            self._exchange.paused = True

    def resume_writing(self) -> None:
        self._full = False
        if self._transport is not None:
            self._transport.resume_reading()
        if self._exchange is not None:
            self._exchange.resume()

    # httptools callbacks

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_message_begin(self) -> None:
        if not self.receiving:  # pipelined in the same read: what follows is not answered
            self.closing = True
            if self._exchange is None:
                self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._headed:
            name = name.lower()
            if name == b"anthropic-beta" and name in self._headers:  # a list may come in several lines (RFC 9110, 5.3)
                value = self._headers[name] + b", " + value
            self._headers[name] = value
            return
        self._head_bytes += len(name) + len(value)  # trailers, which nobody reads
        if self._head_bytes > MAX_HEAD:
            self._refuse(Malformed("The trailers are longer than 64 KB.", code="head_too_large"), 431)

    def on_headers_complete(self) -> None:
        if self._exchange is not None:
            return
        self._headed = True
        self._route = BY_URL.get(self._url) or self._task
        headers = self._headers
        length = headers.get(b"content-length")
        if length is not None and int(length) > self._gateway.max_body:
            self._too_large()
        else:
            try:
                self._caller = self._gateway.greet(headers)
            except CallerError as error:
                self._refuse(error, error.status)
        if b"expect" in headers and not self.closing and headers[b"expect"].lower() == b"100-continue" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        if self.closing or self._exchange is not None:
            return
        self._body_bytes += len(body)
        if self._body_bytes > self._gateway.max_body:
            self._too_large()
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._exchange is not None:  # a second request in the same read
            self.closing = True
            return
        route, transport = self._route, self._transport
        if self.closing or transport is None:
            return
        if route is None or not self._vetted:  # only by a pipelined request that slipped in
            self.close()
            return
        body, headers = self._body, self._headers
        kept, chunked = self._parser.should_keep_alive(), self._parser.get_http_version() != "1.0"
        self.receiving = self._vetted = self._headed = False
        self._body, self._body_bytes, self._headers, self._url, self._route = [], 0, {}, b"", None
        if kept and chunked and self._read:
            self._seen.learn(self._read, headers)
            self._seen_route = route
        self._serve(route, headers, body[0] if len(body) == 1 else b"".join(body), transport, kept=kept, chunked=chunked)

    # a request is whole

    def _again(self, body: bytes) -> None:
        """A request under a head like the one before."""
        route, transport = self._seen_route, self._transport
        if route is None or transport is None:
            return
        headers = self._seen.headers
        try:
            self._caller = self._gateway.greet(headers)
        except CallerError as error:
            self._refuse(error, error.status)
        else:
            self._serve(route, headers, body, transport)

    def _serve(self, route: Asked, headers: dict[bytes, bytes], body: bytes, transport: asyncio.Transport, *, kept: bool = True, chunked: bool = True) -> None:
        self.closing = self._gateway.draining or not kept
        exchange = self._exchange = Exchange(self, transport, chunked=chunked)
        exchange.paused = self._full
        if isinstance(route, str):
            runner: Runner = Calling(self._gateway, route, {}, headers, body, self._caller, exchange)
        else:
            runner = Runner(self._gateway.serve(Request(route[0], route[1], headers, body, time.perf_counter(), self._caller), exchange))
        self._runner = runner
        runner.resume()
        if runner.finished and self._runner is runner:
            self._runner = None

    # the end of things

    def send_last(self, data: bytes) -> None:
        """Send the last bytes of the answer under way, once its receipt is on record; the caller may ask again then."""
        self._after(self._answered, data)

    def _answered(self, data: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        if data:
            transport.write(data)
        self._exchange = None
        self.quiet_since = self._clock.now
        if self.closing:
            self.close()

    def close(self) -> None:
        """Send what is written, then close; the sweep cuts off a caller that takes nothing of it for FLUSH_S."""
        self.closing = True
        self._exchange = None
        transport = self._transport
        if transport is not None and not transport.is_closing():
            self.quiet_since = self._clock.now
            transport.close()

    def drain(self) -> None:
        """Answer what is under way, then close; an idle connection closes now."""
        self.closing = True
        if self._exchange is None:
            self.close()

    def leave(self, error: HomeportError) -> None:
        """End the journey under way with an error."""
        if self._runner is not None:
            self._runner.leave(error)

    def revoke(self, names: set[str]) -> None:
        """Only these keys are left: an answer for another one ends now."""
        caller = self._exchange.caller if self._exchange is not None else None
        if caller is not None and caller.key is not None and caller.key not in names:
            self.leave(Unauthenticated("This key was revoked."))

    def sweep(self, now: float) -> None:
        """Close what was quiet for too long: a half-sent request, an answer that is not taken, or an idle connection."""
        transport = self._transport
        if self._exchange is not None or transport is None:
            return
        untaken, self._untaken = self._untaken, transport.get_write_buffer_size()
        if self._untaken and self._untaken != untaken:
            self.quiet_since = now
        quiet = now - self.quiet_since
        if self.closing or self._untaken:
            if quiet > FLUSH_S:
                transport.abort()
        elif (self.receiving or self._head) and quiet > HEAD_TIMEOUT_S:
            self._refuse(Malformed(f"The request did not arrive within {HEAD_TIMEOUT_S:g} s.", code="request_timeout"), 408)
        elif not self.receiving and quiet > KEEP_ALIVE_S:
            self.close()

    # a request begins

    def _begin(self, data: bytes) -> bytes:
        """The first bytes of a request: those for the parser, or none while its route is not known or not ours."""
        if self._head:
            data = self._head + data
        task = None
        if data.startswith(POSTS) or (task := task_called(data)) is not None:
            end = data.find(b"\r\n\r\n")
            if end < 0 and len(data) < MAX_HEAD and not bare_lf(data):
                return self._hold(data)
            if end > MAX_HEAD:
                self._refuse(Malformed("The request head is longer than 64 KB.", code="head_too_large"), 431)
                return b""
            if b"upgrade" in data[:end].lower():
                data = without_upgrade(data)
            self._head = b""
            self.receiving = self._vetted = True
            self._task = task
            self._head_bytes = 0
            self.quiet_since = self._clock.now
            return data
        if data.startswith(_HEALTH) and is_plain(data):
            self._head = b""
            self._health(data)
            return b""
        line, newline, _ = data.partition(b"\r\n")
        if not newline and len(data) < MAX_HEAD and any(post.startswith(line[: len(post)]) for post in (*POSTS, _HEALTH)):
            return self._hold(data)
        self._hand_over(data)
        return b""

    def _hold(self, data: bytes) -> bytes:
        """Keep the beginning of a request until there is more of it; its clock runs from the first byte."""
        if not self._head:
            self.quiet_since = self._clock.now
        self._head = data
        return b""

    def _health(self, request: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        answer, close = healthy(request)
        transport.write(answer)
        self.quiet_since = self._clock.now
        if close:
            self.close()

    def _hand_over(self, data: bytes) -> None:
        """Everything else is served by uvicorn and the ASGI app, on this connection from now on."""
        transport = self._transport
        if transport is None:
            return
        self._gateway.connections.discard(self)
        self._transport = None
        other = self._gateway.other()
        transport.set_protocol(other)
        other.connection_made(transport)
        other.data_received(data)

    def _too_large(self) -> None:
        self._refuse(TooLarge(f"The body is larger than {self._gateway.max_body // (1024 * 1024)} MB (server.max_body_mb)."), 413)

    def _refuse(self, error: HomeportError, status: int) -> None:
        """Answer a request that never became one, and close: what follows on this connection cannot be trusted."""
        transport = self._transport
        if transport is None or self.closing:
            return
        self.closing = True
        path = self._url.decode("latin-1") or path_of(self._read or self._head)
        transport.write(refusal(status, told(error, path)))
        self.quiet_since = self._clock.now
        if transport.can_write_eof():
            transport.write_eof()  # and read on, dropping it: a close now would reset the connection before it is read
        else:
            transport.close()
