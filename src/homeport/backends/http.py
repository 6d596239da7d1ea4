"""A backend reached over HTTP, in whatever dialect it speaks: vLLM, llama.cpp, Ollama, a cloud, or our own engine."""

from __future__ import annotations

import contextlib
import time

from homeport.backends.answer import Answer, Clocks
from homeport.backends.cards import Cards
from homeport.backends.leases import Lease, Leases
from homeport.backends.pool import Endpoint, Pool, Shared
from homeport.errors import BackendError, Refused, Stalled, Unreachable
from homeport.runner import drive
from homeport.settings import BackendSettings
from homeport.vocabulary import Ask, Card, Finding, Route, Standing
from homeport.wire.bridge import BRIDGES
from homeport.wire.dialects import SPOKEN
from homeport.wire.fitting import fitted

PROBE_TIMEOUT_S = 5.0
ANTHROPIC_VERSION = b"anthropic-version: 2023-06-01\r\n"  # where the caller says none
LOADING = "HTTP 503"  # what llama.cpp's server says while it loads
MAX_LIST = 4 * 1024 * 1024  # bytes of a model list, or of what is said of a model, that are read


class FixedEndpoint:
    """An address from the settings, taken to be there until an attempt shows otherwise."""

    state = "healthy"
    reason = ""

    def __init__(self, url: str, key: str | None) -> None:
        self.url = url
        self.key = key
        self.since = time.time()

    async def ready(self, timeout_s: float) -> None:
        """Always."""


class HttpBackend:
    """One backend (port Backend): its places, its connections, and how it is asked."""

    def __init__(self, settings: BackendSettings, endpoint: Endpoint, shared: Shared, *, discovered: bool = False, down_after: int = 2) -> None:
        self._discovered = discovered  # nobody named it: it is served only while it answers
        self._unreachable = ""  # why probes cannot connect
        self._failed_probes = 0
        self._down_after = down_after  # probes in a row that could not connect
        self._since = endpoint.since
        self.settings = settings
        self.name = settings.name
        self.kind = settings.kind
        self.location = settings.location
        self.models: list[str] = []
        self._endpoint = endpoint
        self._shared = shared
        self._leases = Leases(settings.max_in_flight, settings.queue, settings.queue_timeout_s)
        self._stream_clocks = Clocks(settings.first_token_timeout_s, settings.idle_timeout_s, settings.total_timeout_s)
        self._whole_clocks = Clocks(settings.total_timeout_s, settings.total_timeout_s, settings.total_timeout_s)
        self._pool: Pool | None = None
        self.dialect = settings.kind if settings.kind in SPOKEN else "openai"
        self._bridges = BRIDGES[self.dialect]
        self._versioned = self.dialect == "anthropic"
        self._heads: dict[str, bytes] = {}  # by path
        self._cards = Cards(self.name, self.kind)
        self._listing = b""  # what it listed last

    @property
    def in_flight(self) -> int:
        return self._leases.in_flight

    @property
    def available(self) -> bool:
        """Not known to be down, and not full. One that is loading counts: it will answer in a moment."""
        return self._endpoint.state != "down" and self._leases.in_flight < self._leases.limit

    def standing(self) -> Standing:
        """How it is right now, from memory."""
        leases, endpoint = self._leases, self._endpoint
        state, reason, since = endpoint.state, endpoint.reason, endpoint.since
        if state == "healthy" and self._unreachable:
            state, reason, since = "down", self._unreachable, self._since
        return Standing(self.name, self.kind, self.location, state, reason, max(since, self._since), leases.in_flight, leases.limit, leases.queued, self.models)

    def take(self) -> Lease | None:
        """A place now, or None."""
        return self._leases.take()

    async def wait(self) -> Lease:
        """A place from the bounded queue. Raises QueueFull."""
        return await self._leases.wait()

    def send(self, ask: Ask, route: Route) -> Answer:
        """Send the ask, as a stream where its caller wants one or whole replies are assembled here; what comes back comes by `head`.

        Raises Uncarried where the backend's dialect cannot say what is asked.
        """
        pool = self._pool
        if pool is None or pool.url != self._endpoint.url:
            pool = self._open_pool()
        if self._cards.fits and (fit := self._cards.fits.get(route.model)) is not None:
            ask = fitted(ask, fit)
        bridge = self._bridges[ask.surface]
        stream = ask.stream or (self.settings.assemble and bridge.streamable(ask))
        path, body = bridge.request(ask, route, stream=stream)
        more = b"traceparent: " + ask.trace + b"\r\n" if ask.trace else b""
        if self._versioned:
            more += ask.versions if b"anthropic-version" in ask.versions else ask.versions + ANTHROPIC_VERSION
        head = self._heads.get(path) or self._head(pool, path)
        request = b"%b%bcontent-length: %d\r\n\r\n%b" % (head, more, len(body), body)
        return Answer(pool, request, self._stream_clocks if stream else self._whole_clocks, self._shared.deadlines)

    async def probe(self) -> Finding:
        """Ask, for free, which models it serves, and note whether it answers at all. What was found is for the monitor."""
        if self._endpoint.state != "healthy":
            return Finding(False if self._endpoint.state == "down" else None, self._endpoint.reason)
        if self.kind in ("engine", "pilot"):
            return Finding(True)
        expected = bool(self.models) or not self._discovered
        try:
            await drive(self._list())
        except Unreachable as error:
            self._failed_probes += 1
            if self._failed_probes >= self._down_after or not self.models:
                self._set_unreachable(str(error))
            return Finding(False if expected else None, str(error))
        except BackendError as error:  # it is there, and may be busy: a late probe is not *down* while it works for us, nor is one that loads
            excused = str(error) == LOADING or (isinstance(error, Stalled) and self._leases.in_flight > 0)
            return Finding(None if excused or not expected else False, str(error))
        self._failed_probes = 0
        self._set_unreachable("")
        return Finding(True)

    async def learn(self) -> None:
        """Ask, for free, what its models can do and how long a prompt may be. What cannot be had stays as it was."""
        if self._endpoint.state == "healthy" and not self._unreachable:
            with contextlib.suppress(BackendError):
                await drive(self._learn())

    def card(self, model: str) -> Card | None:
        """What is known of a model, by its name in a route."""
        return self._cards.find(model)

    async def _learn(self) -> None:
        if self.kind in ("engine", "pilot"):  # whose models are known without asking
            self._listing = await self._page(SPOKEN[self.dialect].models_path)
        await self._cards.learn(self._listing, self._page)

    async def _list(self) -> None:
        listing = await self._page(SPOKEN[self.dialect].models_path)
        if listed := SPOKEN[self.dialect].models(listing):
            self.models, self._listing = listed, listing

    async def _page(self, path: str, body: bytes | None = None) -> bytes:
        """What it answers at a path that costs it nothing; b"" where that is not status 200. Raises Unreachable, Refused for 5xx, and what an Answer does."""
        pool = self._pool
        if pool is None or pool.url != self._endpoint.url:
            pool = self._open_pool()
        version = ANTHROPIC_VERSION.decode() if self._versioned else ""
        posted = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n" if body is not None else ""
        head = f"{'GET' if body is None else 'POST'} {pool.prefix}{path} HTTP/1.1\r\nhost: {pool.netloc}\r\n{self._key_line()}{version}{posted}"
        request = f"{head}accept: application/json\r\n\r\n".encode("latin-1") + (body or b"")
        answer = Answer(pool, request, Clocks(PROBE_TIMEOUT_S, PROBE_TIMEOUT_S, PROBE_TIMEOUT_S), self._shared.deadlines)
        try:
            await answer.head()
            page = bytearray()

            def take(data: bytes) -> bool:
                page.extend(data)
                return len(page) > MAX_LIST

            await answer.pump(take)
        finally:
            answer.close()
        if answer.status >= 500:
            raise Refused(f"HTTP {answer.status}")
        return bytes(page) if answer.status == 200 else b""

    def _set_unreachable(self, reason: str) -> None:
        if bool(reason) != bool(self._unreachable):
            self._since = time.time()
        self._unreachable = reason
        if reason and self._discovered:
            self.models = []

    def close(self) -> None:
        """Close every connection."""
        if self._pool is not None:
            self._pool.close()

    @property
    def sockets(self) -> int:
        """Open connections, idle ones included."""
        return len(self._pool.open) if self._pool is not None else 0

    def _open_pool(self) -> Pool:
        if self._pool is not None:
            self._pool.close()
        endpoint = self._endpoint
        pool = self._pool = Pool(endpoint, self._shared, connect_timeout_s=self.settings.connect_timeout_s, ready_timeout_s=self.settings.first_token_timeout_s)
        self._heads = {}
        return pool

    def _head(self, pool: Pool, path: str) -> bytes:
        """The head of a request to a path, but for what differs from one to the next."""
        accept = f"accept: {SPOKEN[self.dialect].stream_type}, application/json"
        lines = (f"POST {pool.prefix}{path} HTTP/1.1", f"host: {pool.netloc}", "content-type: application/json", accept)
        head = self._heads[path] = ("".join(f"{line}\r\n" for line in lines) + self._key_line()).encode("latin-1")
        return head

    def _key_line(self) -> str:
        """The backend's key, as its dialect sends it."""
        key = self._endpoint.key
        if not key:
            return ""
        return f"x-api-key: {key}\r\n" if self.dialect == "anthropic" else f"authorization: Bearer {key}\r\n"
