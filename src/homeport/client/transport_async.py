"""The transport over several gateways for asyncio."""

from __future__ import annotations

import asyncio
import functools
import ssl
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import httpx2

from homeport.client.addresses import Key, Urls, endpoints
from homeport.client.attempts import LEAKED, Attempts, Timeouts, held, response, tls
from homeport.client.lines import KEEPALIVE, KEPT, KEPT_S
from homeport.client.probe import Pulse, pulse
from homeport.client.roster import Endpoint, Roster

T = TypeVar("T")
STALE = 5  # kept connections in a row that the other side may have closed just when they were used again


class Frozen(Exception):
    """The gateway stands still."""


class Late(Exception):
    """The deadline has passed."""


class AsyncTransport(httpx2.AsyncBaseTransport):
    """What `Transport` is, for `AsyncOpenAI`, `AsyncAnthropic`, and `AsyncClient` of httpx2 or httpx, on asyncio.

    On each event loop it has connections of its own; `aclose` closes those of the running one.
    """

    def __init__(
        self, urls: Urls = None, key: Key = None, *, timeouts: Timeouts | None = None, retries: int = 0, context: ssl.SSLContext | None = None
    ) -> None:
        self.roster = Roster(endpoints(urls, key))
        self._timeouts = timeouts or Timeouts()
        self._retries = retries
        self._context = context or tls(self.roster.endpoints)
        self._pools: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str], Any]] = WeakKeyDictionary()
        self._looks: set[asyncio.Task[None]] = set()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send; the response is of the request's own library. Raises that library's TransportError."""
        attempts = Attempts(request, self.roster, self._timeouts, self._retries)
        await request.aread()
        self._look_again()
        while True:
            for endpoint in attempts.round():
                answer = await self._ask(endpoint, attempts)
                if answer is not None:
                    return answer
            pause_s = attempts.pause()
            if pause_s is None:
                refusal: httpx2.Response = attempts.end()
                return refusal
            await asyncio.sleep(pause_s)

    async def aclose(self) -> None:
        """Close the idle connections."""
        for look in self._looks:
            look.cancel()
        for pool in self._pools.pop(asyncio.get_running_loop(), {}).values():
            await pool.aclose()

    async def _ask(self, endpoint: Endpoint, attempts: Attempts, tries: int = STALE) -> httpx2.Response | None:
        """One gateway's answer; None where the next is to be asked."""
        library = attempts.kit
        new: list[str] = []

        async def note(event: str, info: dict[str, Any]) -> None:
            if event.endswith("connect_tcp.started"):
                new.append(event)

        body: Body | None = None
        answer: Any = None
        try:
            sending = self._pool(library, endpoint).handle_async_request(attempts.addressed(endpoint, {"trace": note}))
            inner = await self.patiently(sending, endpoint, attempts.deadline)
            body = Body(inner, library, self, endpoint, attempts.deadline)
            if held(inner):
                answer = response(library, inner, library.ByteStream(b"".join([chunk async for chunk in body])), endpoint)
            else:
                await body.begin()
                answer = response(library, inner, _stream(library)(body), endpoint)
        except Late as error:
            raise attempts.late() from error
        except (library.TransportError, Frozen, *LEAKED) as error:
            if not new and tries > 1 and attempts.broke(error):
                return await self._ask(endpoint, attempts, tries - 1)  # a kept connection that was closed just when it was used again
            attempts.lost(endpoint, error, isinstance(error, Frozen) or (attempts.silent(error) and await self._frozen(endpoint)))
            return None
        finally:
            if body is not None and answer is None:
                await body.aclose()
        return answer if attempts.took(endpoint, answer) else None

    async def patiently(self, what: Awaitable[T], endpoint: Endpoint, deadline: float | None) -> T:
        """Wait for it; after each silence ask the gateway whether it lives. Raises Frozen, and Late at the deadline."""
        task = asyncio.ensure_future(what)
        taken = False
        try:
            while True:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                silence_s = self._timeouts.silence_s
                await asyncio.wait({task}, timeout=silence_s if left is None else min(silence_s, left))
                if task.done():
                    taken = True
                    return task.result()
                if deadline is not None and time.monotonic() >= deadline:
                    raise Late
                if await self._frozen(endpoint) and not task.done():
                    raise Frozen
        finally:
            if not taken:
                task.cancel()
                await asyncio.wait({task})
                unwanted: Any = None if task.cancelled() or task.exception() else task.result()
                if hasattr(unwanted, "aclose"):  # a response that came at the last moment
                    await unwanted.aclose()

    def _pool(self, library: Any, endpoint: Endpoint) -> Any:
        pools = self._pools.setdefault(asyncio.get_running_loop(), {})
        pool = pools.get((library.__name__, endpoint.url))
        if pool is None:
            limits = library.Limits(max_connections=None, max_keepalive_connections=KEPT, keepalive_expiry=KEPT_S)
            pool = library.AsyncHTTPTransport(verify=self._context, limits=limits, socket_options=KEEPALIVE)
            pools[library.__name__, endpoint.url] = pool
        return pool

    async def _frozen(self, endpoint: Endpoint) -> bool:
        """Whether the gateway stands still; if so it is put aside."""
        if await asyncio.to_thread(pulse, endpoint.url, self._context, self._timeouts.health_s) is not Pulse.SILENT:
            return False
        self.roster.failed(endpoint, time.monotonic())
        return True

    def _look_again(self) -> None:
        """Find out, beside the request, whether a preferred gateway that failed is back."""
        for endpoint in self.roster.due(time.monotonic()):
            look = asyncio.create_task(self._look(endpoint))
            self._looks.add(look)
            look.add_done_callback(self._looks.discard)

    async def _look(self, endpoint: Endpoint) -> None:
        alive = False
        try:
            alive = await asyncio.to_thread(pulse, endpoint.url, self._context, self._timeouts.health_s) is Pulse.ANSWERS
        finally:
            self.roster.looked(endpoint, alive, time.monotonic())


class Body:
    """A response's bytes on their way from one gateway."""

    def __init__(self, inner: Any, library: Any, transport: AsyncTransport, endpoint: Endpoint, deadline: float) -> None:
        self._inner = inner
        self._library = library
        self._transport = transport
        self._endpoint = endpoint
        self._deadline: float | None = deadline
        self._chunks: AsyncIterator[bytes] = aiter(inner.stream)
        self._first: bytes | None = None
        self._ended = False
        self._closed = False

    async def begin(self) -> None:
        """Wait for the first byte; from then on the deadline does not count. Raises the library's TransportError, Frozen, Late."""
        self._first = await self._next()
        self._deadline = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._first:
            yield self._first
        while not self._ended and (chunk := await self._next()):
            yield chunk
        await self.aclose()

    async def told(self) -> AsyncIterator[bytes]:
        """The bytes of a stream that has begun; standing still is a ReadTimeout of the library, breaking one of its errors too."""
        try:
            async for chunk in self:
                yield chunk
        except Frozen:
            raise self._library.ReadTimeout("the gateway stands still") from None
        except LEAKED as error:
            raise self._library.ReadError("the connection broke") from error

    async def aclose(self) -> None:
        """Close the response; before its end that breaks its connection, so that the gateway stops. May be called twice."""
        if not self._closed:
            self._closed = True
            await self._inner.aclose()

    async def _next(self) -> bytes:
        """The next bytes; none at the end."""
        while True:
            chunk = await self._transport.patiently(anext(self._chunks, None), self._endpoint, self._deadline)
            if chunk:
                return chunk
            if chunk is None:
                self._ended = True
                return b""


@functools.cache
def _stream(library: Any) -> Any:
    """The class of a body that the library takes for a stream of its own."""

    class Stream(library.AsyncByteStream):  # type: ignore[misc]  # known at run time only
        def __init__(self, body: Body) -> None:
            self._body = body

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self._body.told()

        async def aclose(self) -> None:
            await self._body.aclose()

    return Stream
