"""The pages of tasks: `GET /tasks`, `POST /tasks/{name}` (whole, or as events) and `POST /scatter`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from starlette.requests import Request as HttpRequest
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from homeport.errors import HomeportError, Malformed, TaskFailed, TooLarge, Unauthenticated
from homeport.front import pages
from homeport.front.envelopes import told
from homeport.front.gateway import Gateway
from homeport.vocabulary import Caller, Card, Standing

if TYPE_CHECKING:
    from homeport.tasks.declared import Task
    from homeport.tasks.plan import Outcome

Headers = dict[bytes, bytes]
Read = Callable[[Scope], Headers]
OURS = ("x-request-id", "x-homeport-backend", "x-homeport-model", "x-homeport-location", "x-homeport-attempts", "x-tok-per-s", "x-gen-time", "x-tokens")
PREFIX = "/tasks/"


class Asked(Struct, forbid_unknown_fields=True):
    """The body of `POST /tasks/{name}`."""

    input: dict[str, Any]
    stream: bool = False


class ScatterAsked(Struct, forbid_unknown_fields=True):
    """The body of `POST /scatter`."""

    prompt: str


def routes(gateway: Gateway, read: Read) -> list[Route]:
    """Their pages; `read` gives the headers of a request."""

    async def tasks(request: HttpRequest) -> Response:
        gateway.greet(read(request.scope))
        return Response(listed(gateway), media_type="application/json")

    one = TaskRoute(gateway, read)
    return [Route("/tasks/{name}", one, methods=["POST"]), Route("/scatter", one, methods=["POST"]), Route("/tasks", tasks)]


def listed(gateway: Gateway) -> bytes:
    """`GET /tasks`: each task's name, description, input and output; the last two are JSON Schema."""
    rows = [
        {"name": task.name, "description": task.description, "input": task.input, "output": task.output}
        for task in sorted(gateway.tasks.all().values(), key=lambda task: task.name)
    ]
    return msgspec.json.encode(rows)


class Call:
    """One call of a task among the gateway's connections (Live)."""

    def __init__(self, working: asyncio.Task[Any] | None, caller: Caller) -> None:
        self._working = working
        self._caller = caller
        self.ended = False  # before its time, or after it: then no more
        self.error: HomeportError | None = None  # why it was ended

    def drain(self) -> None:
        """It ends by itself."""

    def leave(self, error: HomeportError) -> None:
        if not self.ended:
            self.error = error
            self.end()

    def end(self) -> None:
        """The work is cancelled, once."""
        if not self.ended and self._working is not None:
            self.ended = True
            self._working.cancel()

    async def unless_left(self, work: Coroutine[Any, Any, None], receive: Receive) -> None:
        """Do the work, in the task that this is called in; where the caller leaves, or it is ended, it is cancelled. Raises what it raises."""
        left = asyncio.ensure_future(_gone(receive))
        left.add_done_callback(lambda _: self.end())
        try:
            await work
        except asyncio.CancelledError:
            if not self.ended or self._working is None or self._working.uncancel():
                raise  # whoever serves this is ended too
        finally:
            self.ended = True
            left.cancel()

    def revoke(self, names: set[str]) -> None:
        if self._caller.key is not None and self._caller.key not in names:
            self.leave(Unauthenticated("This key was revoked."))

    def sweep(self, now: float) -> None:
        """Its clocks are its upstream's."""


class TaskRoute:
    """One call of a task as an ASGI app; the model stops where the caller leaves."""

    def __init__(self, gateway: Gateway, read: Read) -> None:
        self._gateway = gateway
        self._read = read

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = HttpRequest(scope, receive)
        headers = self._read(scope)
        caller = self._gateway.greet(headers)
        body = await self._body(request)
        task, given, stream, offline = self._asked(request, body)
        work = self._stream(task, given, caller, headers, send) if stream else self._whole(task, given, caller, headers, offline, request, send)
        call = Call(asyncio.current_task(), caller)
        self._gateway.connections.add(call)
        try:
            await call.unless_left(work, receive)
        finally:
            self._gateway.connections.discard(call)
        if call.error is not None and not stream:  # a stream that was begun is broken off
            await _refusal(call.error, request.url.path, headers)(scope, receive, send)

    def _asked(self, request: HttpRequest, body: bytes) -> tuple[Task[Any, Any], dict[str, Any], bool, bool]:
        """The task, its arguments, whether it streams, and whether it may answer without a model. Raises Malformed, UnknownTask."""
        name = request.path_params.get("name")
        if name is None:
            task = self._gateway.tasks.find("scatter")
            return task, task.read({"prompt": _decoded(body, ScatterAsked).prompt}), False, request.query_params.get("offline") == "template"
        task = self._gateway.tasks.find(name)
        asked = _decoded(body, Asked)
        return task, task.read(asked.input), asked.stream, True

    async def _body(self, request: HttpRequest) -> bytes:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > self._gateway.max_body:
                raise TooLarge(f"The body is larger than {self._gateway.max_body // (1024 * 1024)} MB (server.max_body_mb).")
        return bytes(body)

    async def _whole(
        self, task: Task[Any, Any], given: Mapping[str, Any], caller: Caller, headers: Headers, offline: bool, request: HttpRequest, send: Send
    ) -> None:
        try:
            try:
                outcome = await task.run(given, self._asker(caller, headers), offline=offline)
            except TaskFailed as error:
                if "name" in request.path_params or error.status == 503:
                    raise
                outcome = task.without_model(given, error)  # a model was there, and wrote no bands that hold
        except HomeportError as error:
            await _refusal(error, request.url.path, headers)(request.scope, request.receive, send)
            return
        body = {"sinc": outcome.output} if "name" not in request.path_params else {"output": outcome.output}
        await Response(_encoded({**body, "homeport": report(task, outcome)}), headers=_figures(outcome), media_type="application/json")(
            request.scope, request.receive, send
        )

    async def _stream(self, task: Task[Any, Any], given: Mapping[str, Any], caller: Caller, headers: Headers, send: Send) -> None:
        waiting: asyncio.Queue[bytes | None] = asyncio.Queue()

        async def work() -> None:
            try:
                outcome = await task.run(given, self._asker(caller, headers), show=lambda value: waiting.put_nowait(event("partial", {"output": value})))
                waiting.put_nowait(event("result", {"output": outcome.output, "homeport": report(task, outcome)}))
            except HomeportError as error:
                waiting.put_nowait(b"event: error\ndata: " + told(error, PREFIX) + b"\n\n")
            finally:
                waiting.put_nowait(None)

        async def events() -> AsyncIterator[bytes]:
            while (data := await waiting.get()) is not None:
                yield data

        working = asyncio.ensure_future(work())
        try:
            head = {"cache-control": "no-cache", "x-accel-buffering": "no"}
            await StreamingResponse(events(), headers=head, media_type="text/event-stream").stream_response(send)
        finally:
            working.cancel()
        await asyncio.gather(working, return_exceptions=True)

    def _asker(self, caller: Caller, headers: Headers) -> Any:
        from homeport.tasks.in_process import InProcess

        return InProcess(self._gateway.serve, self._gateway.after, lambda model: places(self._gateway, model), caller, headers)


def places(gateway: Gateway, model: str) -> list[tuple[str | None, str]]:
    """Engine and location of each backend behind a name."""
    found = pages.named(gateway, model)
    if found is None:
        return []
    standings = {standing.name: standing for standing in gateway.standings()}
    behind = [(place.card, standings.get(place.backend)) for place in found.places]
    return [(_engine(card, standing), standing.location if standing is not None else "cloud") for card, standing in behind]


def _engine(card: Card | None, standing: Standing | None) -> str | None:
    if standing is not None and standing.kind in ("engine", "pilot"):  # our own: known before it was ever asked
        return "llama.cpp"
    return card.engine if card is not None else None


def report(task: Task[Any, Any], outcome: Outcome) -> dict[str, Any]:
    """The `homeport` object of an answer: how it came about."""
    said = outcome.said.headers if outcome.said is not None else {}
    figures = {name: _number(said.get(header)) for name, header in (("tok_per_s", "x-tok-per-s"), ("gen_time", "x-gen-time"), ("tokens", "x-tokens"))}
    return {
        "task": task.name,
        "route": outcome.route,
        "checks": outcome.checks,
        "attempts": outcome.attempts,
        "offline": outcome.offline,
        "cost_usd": outcome.cost_usd,
        **figures,
        "request_id": said.get("x-request-id"),
    }


def event(name: str, value: Any) -> bytes:
    """One server-sent event."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encoded(value))


def _encoded(value: Any) -> bytes:
    from homeport.tasks.shapes import written

    return written(value)


def _decoded(body: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        example = '{"prompt": "…"}' if kind is ScatterAsked else '{"input": {…}, "stream": false}'
        raise Malformed(f"The body is not {example}: {error}", param="input" if kind is Asked else "prompt") from None


def _figures(outcome: Outcome) -> dict[str, str]:
    said = outcome.said.headers if outcome.said is not None else _spent(outcome)
    return {name: value for name in OURS if (value := said.get(name)) is not None and value.isascii() and value.isprintable()}


def _spent(outcome: Outcome) -> dict[str, str]:
    """The figures of an answer that no model gave: what was spent on those that did not hold."""
    tokens = sum(attempt["tokens"] or 0 for attempt in outcome.attempts)
    seconds = sum(attempt["ms"] for attempt in outcome.attempts) / 1000
    rate = round(tokens / seconds, 2) if tokens and seconds else 0
    return {"x-homeport-attempts": str(len(outcome.attempts)), "x-tok-per-s": str(rate), "x-gen-time": f"{seconds:.6f}", "x-tokens": str(tokens)}


def _refusal(error: HomeportError, path: str, headers: Headers) -> Response:
    head = {"retry-after": str(error.retry_after_s)} if error.retry_after_s is not None else {}
    if error.should_retry is not None:
        head["x-should-retry"] = str(error.should_retry).lower()
    return Response(told(error, path, headers), error.status, head, media_type="application/json")


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return int(value) if value.is_integer() else value


async def _gone(receive: Receive) -> None:
    """Until the caller has left."""
    message: Message = {}
    while message.get("type") != "http.disconnect":
        message = await receive()
