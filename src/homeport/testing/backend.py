"""A backend on a real socket that says what a test scripted, in the shapes of llama.cpp's server, vLLM, Ollama or Anthropic."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from homeport.testing import prefill, surfaces
from homeport.testing.dialects import ERROR_STATUS, Dialect
from homeport.testing.exchange import Connection, Exchange, HttpLoopback, Seen
from homeport.testing.script import Answer, Behaviour, Bytes, Fault, Model, Point, Refuse
from homeport.testing.shapes import StyleName, Told, encode
from homeport.testing.telling import Event

PHRASES = {status.value: status.phrase for status in HTTPStatus} | {529: "Overloaded"}


class ScriptedBackend(HttpLoopback):
    """A backend for tests, on the paths and in the shapes of its `style`.

        with ScriptedBackend("Hello there", style="vllm") as backend:
            ...  # send requests to backend.url
        backend.asks[0].tokens, backend.in_flight_peak, backend.sockets

    All but "anthropic" have `/v1/chat/completions`, `/v1/completions` and `/v1/embeddings`. "ollama" has its own API too: `/api/chat`,
    `/api/generate`, `/api/embed`, `/api/embeddings`, `/api/tags`, `/api/show`, `/api/ps`, `/api/version`. "anthropic" has `/v1/messages`,
    which wants the header `anthropic-version`, and `/v1/messages/count_tokens`. Each has its own model list and errors.

    Each request that generates or embeds takes the next behaviour of `script`, then `default`: a text, a Behaviour, or a function of the
    request; its `finish` is said in OpenAI's words on every path. `pages` replaces what a path answers. `slots` requests run at once, more
    wait in order, unanswered; only they are `in_flight`. `models` are names, or Models where their context and capabilities matter.
    A text begun in a last turn of the assistant's is gone on with, as by llama.cpp, and by vLLM where `continue_final_message` says so.
    """

    def __init__(
        self,
        default: str | Behaviour | Callable[[Seen], Behaviour] = "Hello there, this is a scripted answer.",
        *,
        script: Iterable[Behaviour] = (),
        style: StyleName = "llama.cpp",
        models: Iterable[str | Model] = ("talker",),
        api_key: str | None = None,
        slots: int | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(port)
        self.default = default
        self.script: deque[Behaviour] = deque(script)
        self.style: StyleName = style
        self.models = [model if isinstance(model, Model) else Model(model) for model in models]
        self.api_key = api_key
        self.loading = False  # every path is refused with 503, as llama.cpp's server does while it loads
        self.pages: dict[str, Behaviour] = {}
        self.asks: list[Seen] = []  # the requests that generate
        self.drops_reused = False  # a second request on a connection is met by its end: the stale keep-alive race
        self.closes_after: int | None = None  # a connection is closed, unannounced, after so many answers
        self._places = slots
        self._slots = asyncio.Semaphore(slots) if slots is not None else None

    @property
    def generations(self) -> int:
        """How many requests made it generate; probes must leave this at 0."""
        return len(self.asks)

    def works(self, seen: Seen) -> bool:
        """Pages are no work: whoever probes is not counted as in flight."""
        return seen.path.partition("?")[0] in surfaces.OF[self.style]

    def ends(self, connection: Connection) -> bool:
        return self.closes_after is not None and connection.answered >= self.closes_after

    async def answer(self, exchange: Exchange) -> None:
        seen = exchange.seen
        path = seen.path.partition("?")[0]
        if self.drops_reused and exchange.reused:
            exchange.close()
        elif self.loading:
            await self._refuse(exchange, Refuse(status=503, message="Loading model"))
        elif path in self.pages:
            await self._behave(exchange, self.pages[path])
        elif self.api_key is not None and path.startswith(("/v1", "/api")) and not self._keyed(seen):
            await self._refuse(exchange, Refuse(status=401, message="Invalid API Key"))
        elif seen.method == "POST" and path in surfaces.OF[self.style]:
            await self._generate(exchange)
        else:
            await self._page(exchange, path)

    def dialect(self, path: str) -> Dialect:
        """The dialect of a path; for one that is not there, that of the errors it would get."""
        return surfaces.dialect(self.style, path.partition("?")[0])

    def _keyed(self, seen: Seen) -> bool:
        anthropic = self.style == "anthropic" and seen.headers.get("x-api-key") == self.api_key
        return anthropic or seen.headers.get("authorization") == f"Bearer {self.api_key}"

    async def _generate(self, exchange: Exchange) -> None:
        seen = exchange.seen
        dialect = self.dialect(seen.path)
        if not isinstance(seen.fields, dict):
            await self._refuse(exchange, Refuse(status=400, message="the body is no JSON object"))
        elif (refused := dialect.refusal(seen.fields, seen.headers)) is not None:
            await self._refuse(exchange, Refuse(status=refused[0], message=refused[1]))
        elif (said := dialect.unprompted(seen.path, seen.fields)) is not None:
            body = dialect.document(said)
            await exchange.send(head(seen, 200, dialect.head(False), len(body)) + body)
        else:
            self.asks.append(seen)
            behaviour = self._next(seen)
            async with self._slot():
                await self._behave(exchange, behaviour)

    def _next(self, seen: Seen) -> Behaviour:
        if self.script:
            return self.script.popleft()
        default = self.default
        if isinstance(default, str):
            return Answer(text=default)
        return default(seen) if callable(default) else default

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        if self._slots is None:
            yield
        else:
            async with self._slots:
                yield

    async def _behave(self, exchange: Exchange, behaviour: Behaviour) -> None:
        if isinstance(behaviour, Refuse):
            await self._refuse(exchange, behaviour)
        elif isinstance(behaviour, Bytes):
            exchange.cut_into, exchange.pause_s = behaviour.cut_into, behaviour.pause_s
            await exchange.send(behaviour.data)
            if behaviour.close:
                exchange.close()
        else:
            exchange.cut_into, exchange.pause_s = behaviour.cut_into, behaviour.pause_s
            fields = exchange.seen.fields or {}
            chat = exchange.seen.path.partition("?")[0] == "/v1/chat/completions"
            if chat and (text := prefill.begun(self.style, fields)):
                streamed = self.dialect(exchange.seen.path).streamed(fields) and not behaviour.whole
                repeats = self.style == "llama.cpp" and (not streamed or fields.get("echo") is True)
                behaviour = prefill.gone_on(behaviour, text, repeats=repeats)
            telling = Telling(self, exchange, behaviour)
            if exchange.seen.path.partition("?")[0] in surfaces.COMPUTING:
                await telling.compute(fields)
            elif telling.dialect.streamed(fields) and not behaviour.whole:
                await telling.stream(fields)
            else:
                await telling.whole(fields)

    async def _refuse(self, exchange: Exchange, refusal: Refuse) -> None:
        await asyncio.sleep(refusal.wait_s)
        dialect = self.dialect(exchange.seen.path)
        body = refusal.body if refusal.body is not None else encode(dialect.error(refusal.status, refusal.message))
        headers = [*dialect.head(False), *refusal.headers]
        await exchange.send(head(exchange.seen, refusal.status, headers, len(body)) + body)

    async def _page(self, exchange: Exchange, path: str) -> None:
        seen, headers = exchange.seen, self.dialect(path).head(False)
        working = surfaces.work(self.style, path, self.in_flight, self._places) if seen.method == "GET" else None
        if path == "/scripted":
            status, body, kind = 200, encode(self.counters()), None
        elif working is not None:
            status, body, kind = working
        else:
            status, body, kind = surfaces.page(self.style, seen.method, path, self.models, seen.fields if isinstance(seen.fields, dict) else None)
        if kind is not None:
            headers = [(name, kind if name.lower() == "content-type" else value) for name, value in headers if kind or name.lower() != "content-type"]
        await exchange.send(head(seen, status, headers, len(body)) + (b"" if seen.method == "HEAD" else body))

    def counters(self) -> dict[str, int]:
        """What was counted, as `GET /scripted` shows it to other processes."""
        return {
            "generations": self.generations,
            "requests": len(self.requests),
            "in_flight": self.in_flight,
            "in_flight_peak": self.in_flight_peak,
            "connections": self.connections,
            "sockets": self.sockets,
            "sockets_peak": self.sockets_peak,
        }


def head(seen: Seen, status: int, headers: Iterable[tuple[str, str]], length: int | None, chunked: bool = False) -> bytes:
    """A response's status line and headers. `length` None and not chunked: the body ends with the connection."""
    rows = [f"HTTP/1.1 {status} {PHRASES.get(status, '')}", *(f"{name}: {value}" for name, value in headers)]
    if chunked:
        rows.append("transfer-encoding: chunked")
    elif length is not None:
        rows.append(f"content-length: {length}")
    if "close" in seen.headers.get("connection", "").lower() or not (chunked or length is not None):
        rows.append("connection: close")
    return "\r\n".join([*rows, "", ""]).encode("latin-1")


class Telling:
    """One answer on its way: paces it, and lets it go wrong where the script says."""

    def __init__(self, backend: ScriptedBackend, exchange: Exchange, answer: Answer) -> None:
        self.backend = backend
        self.dialect = backend.dialect(exchange.seen.path)
        self.exchange = exchange
        self.seen = exchange.seen
        self.said = answer
        self.chunked = answer.framing == "chunked"
        self._pending = b""  # events that wait to share an HTTP chunk with the next
        self._pings = False  # comment lines may be sent: a stream's head is out

    async def stream(self, fields: dict[str, Any]) -> None:
        """Answer as a stream of events."""
        told = self._told(fields)
        await asyncio.sleep(self.said.wait_s)
        if await self._at(Point.REQUEST, told):
            return
        role_only = self.said.fault is not None and self.said.fault.at is Point.ROLE
        events = self.dialect.stream(told, self.said, fields, role_only)
        length = None
        if self.said.framing == "length":
            ready = list(events)
            events, length = iter(ready), sum(len(event.wire) for event in ready)
        if self.dialect.late_head:
            await self._silence(self.said.prefill_s)
        await self.exchange.send(head(self.seen, 200, self.dialect.head(True), length, self.chunked))
        self._pings = True
        if await self._at(Point.HEADERS, told):
            return
        if not self.dialect.late_head:
            await self._silence(self.said.prefill_s)
        for event in events:
            if await self._tell(event, told):
                return
        await self._flush()
        if await self._at(Point.DONE, told):
            return
        await self._end()

    async def _tell(self, event: Event, told: Told) -> bool:
        """Send one event; True where the answer ended with it."""
        if event.kind == "token" and self.seen.tokens:
            await self._silence(self.said.delay_s)
        if event.kind == "done" and await self._at(Point.FINISH, told):
            return True
        self._pending += event.wire
        if event.kind == "token":
            self.seen.tokens += 1
            self.seen.first_at = self.seen.first_at or time.perf_counter()
        if not event.more:
            await self._flush()
        if event.kind == "role":
            return await self._at(Point.ROLE, told)
        return event.kind == "token" and await self._at(self.seen.tokens, told)

    async def whole(self, fields: dict[str, Any]) -> None:
        """Answer with one document."""
        told = self._told(fields)
        await asyncio.sleep(self.said.wait_s + self.said.prefill_s)
        if await self._at(Point.REQUEST, told):
            return
        document = self.dialect.whole(told, self.said, fields)
        while self.said.endless or self.seen.tokens < told.completion_tokens:
            await asyncio.sleep(self.said.delay_s if self.seen.tokens else 0)
            self.seen.tokens += 1
            if await self._at(self.seen.tokens, told):
                return
        await self._document(document, told)

    async def compute(self, fields: dict[str, Any]) -> None:
        """Answer with what makes no text: a vector for each input, or a count of tokens."""
        told = self._told(fields)
        await asyncio.sleep(self.said.wait_s)
        if await self._at(Point.REQUEST, told):
            return
        await self._document(self.dialect.computed(told, fields), told)

    async def _document(self, document: dict[str, Any], told: Told) -> None:
        self.chunked = False
        body = self.dialect.document(document)
        await self.exchange.send(head(self.seen, 200, self.dialect.head(False), len(body)))
        for point, part in ((Point.HEADERS, body[: len(body) // 2]), (Point.FINISH, body[len(body) // 2 : -1]), (Point.DONE, body[-1:])):
            if await self._at(point, told) or (point is Point.HEADERS and await self._at(Point.ROLE, told)):
                return
            await self.exchange.send(part)

    def _told(self, fields: dict[str, Any]) -> Told:
        path, backend = self.seen.path, self.backend
        chat = path.startswith(("/v1/chat", "/api/chat", "/v1/messages"))
        prompt = fields.get("messages") or fields.get("prompt") or fields.get("input") or ""
        prompts = len(prompt) if isinstance(prompt, list) and path.startswith("/v1/completions") else 1
        options = fields.get("stream_options") or {}
        wants = bool(options.get("include_usage")) and self.said.usage
        model = backend.models[0].name if backend.style == "llama.cpp" else str(fields.get("model"))
        choices = prompts * int(fields.get("n") or 1)
        return Told(
            number=self.seen.number, model=model, chat=chat, wants_usage=wants, choices=choices, prompt_tokens=len(str(prompt)), created=int(time.time())
        )

    async def _send(self, data: bytes) -> None:
        await self.exchange.send(b"%x\r\n%b\r\n" % (len(data), data) if self.chunked and data else data)

    async def _flush(self) -> None:
        data, self._pending = self._pending, b""
        if data:
            await self._send(data)

    async def _end(self) -> None:
        if self.chunked:
            await self.exchange.send(b"0\r\n\r\n")
        elif self.said.framing == "close":
            self.seen.ended = "complete"
            self.exchange.close()

    async def _silence(self, seconds: float | None) -> None:
        """Wait, with comment lines where the script asks for them."""
        if not self.said.ping_s or not self._pings:
            if seconds != 0:
                await self.exchange.silence(seconds)
            return
        left = 1e9 if seconds is None else seconds
        while left > self.said.ping_s:
            await asyncio.sleep(self.said.ping_s)
            await self._send(b":\n\n")
            left -= self.said.ping_s
        await asyncio.sleep(left)

    async def _at(self, point: Point | int, told: Told) -> bool:
        """Let the fault happen if this is its place; True where the answer is over."""
        fault = self.said.fault
        if fault is None or fault.at != point:
            return False
        await self._flush()
        if fault.after_s:
            await self._silence(fault.after_s)
        if fault.how == "freeze":
            await self._silence(fault.for_s)
            return False
        if fault.how == "reset":
            self.exchange.reset()
        elif fault.how == "close":
            self.exchange.close()
        elif not self._pings:
            await self._fail_whole(point, fault)
        else:
            await self._fail_stream(fault, told)
        return True

    async def _fail_whole(self, point: Point | int, fault: Fault) -> None:
        """A fault with words where no stream is under way: a status while there is none yet, else a body cut short."""
        if point in (Point.HEADERS, Point.ROLE, Point.FINISH, Point.DONE):
            self.exchange.close()
            return
        body = b"{not json" if fault.how == "garbage" else b"" if fault.how == "end" else encode(self.dialect.error(ERROR_STATUS, fault.message))
        status = ERROR_STATUS if fault.how.startswith("error") else 200
        await self.exchange.send(head(self.seen, status, self.dialect.head(False), len(body)) + body)

    async def _fail_stream(self, fault: Fault, told: Told) -> None:
        if fault.how == "end":
            words = [self.dialect.dying(told)]
        elif fault.how == "garbage":
            words = [self.dialect.garbage()]
        else:
            words = self.dialect.error_event(fault.message, fault.how == "error_done")
        for chunk in filter(None, words):
            await self._send(chunk)
        await self._end()
