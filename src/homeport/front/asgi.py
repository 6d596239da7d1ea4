"""How callers come in, the plain way: an ASGI app for every page, and for the model routes as well."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from homeport.errors import CallerError, ClientLeft, Forbidden, HomeportError, Malformed, TooLarge, Unauthenticated
from homeport.front import ollama_pages, pages, scrape, task_pages
from homeport.front.envelopes import told
from homeport.front.gateway import Gateway
from homeport.front.routes import MODEL_ROUTES, READ_HEADERS
from homeport.front.status.endpoint import status
from homeport.front.task_calls import Calling
from homeport.rules import selection
from homeport.runner import Runner, Signal
from homeport.vocabulary import Caller, Request

Endpoint = Callable[[HttpRequest], Coroutine[Any, Any, Response]]


class AsgiExchange:
    """The caller's side of one request (port Out) over ASGI's `send`: what is written waits here for the pump.

    An aborted answer never sends its last message; the server then breaks the connection.
    """

    __slots__ = ("_gateway", "_messages", "_more", "_signal", "begun", "caller", "done", "paused")

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.caller: Caller | None = None
        self._messages: list[Message] = []
        self._more = asyncio.Event()
        self._signal = Signal()
        self.begun = False
        self.done = False
        self.paused = False

    def whole(self, status: int, head: bytes, body: bytes) -> None:
        self._start(status, head + b"content-length: %d\r\n" % len(body))
        self.end(body)

    def begin(self, status: int, head: bytes) -> None:
        self.begun = True
        self._start(status, head)

    def write(self, data: bytes) -> None:
        self._put({"type": "http.response.body", "body": data, "more_body": True})
        self.paused = len(self._messages) > 16

    def end(self, data: bytes = b"") -> None:
        self._gateway.after(self._ended, data)

    def abort(self, data: bytes = b"") -> None:
        self._gateway.after(self._aborted, data)

    async def drained(self) -> None:
        while self.paused:
            await self._signal

    def over(self, failure: BaseException | None) -> None:
        """The journey is over; what it sent last may still wait for its receipt."""
        self._gateway.after(self._over, b"")

    def _over(self, _: bytes) -> None:
        self.done = True
        self._more.set()

    def _ended(self, data: bytes) -> None:
        self.done = True
        self._put({"type": "http.response.body", "body": data, "more_body": False})

    def _aborted(self, data: bytes) -> None:
        self.done = True
        self._put({"type": "http.response.body", "body": data, "more_body": True})

    async def pump(self, send: Send) -> None:
        """Send what is written, until all was."""
        while True:
            messages, self._messages = self._messages, []
            for message in messages:
                await send(message)
            if self.paused:
                self.paused = False
                self._signal.fire()
            if not self._messages:
                if self.done:
                    return
                self._more.clear()
                await self._more.wait()

    def _start(self, status: int, head: bytes) -> None:
        lines = [line.split(b": ", 1) for line in head.split(b"\r\n") if line]
        self._put({"type": "http.response.start", "status": status, "headers": [(name, value) for name, value in lines]})

    def _put(self, message: Message) -> None:
        self._messages.append(message)
        self._more.set()


Begun = Callable[[Scope, dict[bytes, bytes], bytes, Caller, AsgiExchange], Runner]


class Call:
    """One request of the twin among the gateway's connections (Live)."""

    def __init__(self, runner: Runner, out: AsgiExchange) -> None:
        self._runner = runner
        self._out = out

    def drain(self) -> None:
        """It ends by itself."""

    def leave(self, error: HomeportError) -> None:
        self._runner.leave(error)

    def revoke(self, names: set[str]) -> None:
        caller = self._out.caller
        if caller is not None and caller.key is not None and caller.key not in names:
            self.leave(Unauthenticated("This key was revoked."))

    def sweep(self, now: float) -> None:
        """Its clocks are its upstream's."""


class Posted:
    """The twin of `front.protocol`: what is posted to a model route or to a task, as an ASGI app."""

    def __init__(self, gateway: Gateway, begun: Begun) -> None:
        """`begun` makes the work of a request, which is not under way yet."""
        self._gateway = gateway
        self._begun = begun

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _read(scope)
        caller = self._gateway.greet(headers)
        body = await self._body(receive, headers)
        if body is None:
            return
        out = AsgiExchange(self._gateway)
        runner = self._begun(scope, headers, body, caller, out)
        call = Call(runner, out)
        self._gateway.connections.add(call)
        runner.resume()
        watch = asyncio.ensure_future(self._watch(receive, runner))
        try:
            await out.pump(send)
        finally:
            watch.cancel()
            self._gateway.connections.discard(call)
            if not runner.finished:
                runner.leave(ClientLeft("the caller hung up"))

    async def _body(self, receive: Receive, headers: dict[bytes, bytes]) -> bytes | None:
        limit = self._gateway.max_body
        too_large = TooLarge(f"The body is larger than {limit // (1024 * 1024)} MB (server.max_body_mb).")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > limit:
            raise too_large
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                raise too_large
            if not message.get("more_body", False):
                return b"".join(parts)

    @staticmethod
    async def _watch(receive: Receive, runner: Runner) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        if not runner.finished:
            runner.leave(ClientLeft("the caller hung up"))


def journeys(gateway: Gateway, path: str) -> Begun:
    """The journeys of a model route."""
    dialect, surface = MODEL_ROUTES[path]
    return lambda _, headers, body, caller, out: Runner(gateway.serve(Request(dialect, surface, headers, body, time.perf_counter(), caller), out), out.over)


def calls(gateway: Gateway) -> Begun:
    """The calls of tasks."""

    def begun(scope: Scope, headers: dict[bytes, bytes], body: bytes, caller: Caller, out: AsgiExchange) -> Runner:
        return Calling(gateway, scope["path"], QueryParams(scope["query_string"]), headers, body, caller, out, out.over)

    return begun


def app(gateway: Gateway) -> Starlette:
    """The ASGI app: model routes and pages."""

    def page(body: bytes, status: int = 200) -> Response:
        return Response(body, status, media_type="application/json")

    def guarded(make: Callable[[HttpRequest], Response], *, key: bool) -> Endpoint:
        async def endpoint(request: HttpRequest) -> Response:
            if key or gateway.keyless:
                gateway.greet(_headers(request))
            return make(request)

        return endpoint

    def known(name: str) -> pages.Name:
        found = pages.named(gateway, name)
        if found is None:
            raise selection.unknown(name, [entry.name for entry in gateway.models()])
        return found

    async def health(_: HttpRequest) -> Response:
        return page(b'{"status":"ok"}')

    async def ready(_: HttpRequest) -> Response:
        status, body = pages.ready(gateway, draining=gateway.draining)
        return page(body, status)

    def one_model(request: HttpRequest) -> Response:
        found = pages.model(gateway, known(request.path_params["name"]).name)
        assert found is not None
        return page(found)

    async def show(request: HttpRequest) -> Response:
        gateway.greet(_headers(request))
        return page(ollama_pages.show(gateway, known(ollama_pages.asked(await _small(request)))))

    routes = [
        *(Route(path, Posted(gateway, calls(gateway)), methods=["POST"]) for path in ("/tasks/{name}", "/scatter")),
        *(Route(path, Posted(gateway, journeys(gateway, path)), methods=["POST"]) for path in MODEL_ROUTES),
        Route("/tasks", guarded(lambda _: page(task_pages.listed(gateway)), key=True)),
        Route("/", root),
        Route("/health", health),
        Route("/ready", ready),
        Route("/status", status(gateway, _headers)),
        Route("/metrics", scrape.metrics(gateway, _headers)),
        Route("/v1/models", guarded(lambda request: page(pages.models(gateway, request.query_params)), key=True)),
        Route("/v1/models/{name:path}", guarded(one_model, key=True)),
        Route("/api/version", guarded(lambda _: page(ollama_pages.version()), key=False)),
        Route("/api/tags", guarded(lambda _: page(ollama_pages.tags(gateway)), key=True)),
        Route("/api/ps", guarded(lambda _: page(ollama_pages.ps(gateway)), key=True)),
        Route("/api/show", show, methods=["POST"]),
        *(Route(path, guarded(managed, key=True), methods=methods) for path, methods in ollama_pages.REFUSED.items()),
    ]
    served = Starlette(routes=routes, exception_handlers={HomeportError: _homeport_error, HTTPException: _http_error})
    served.router.redirect_slashes = False  # its redirect would be built from the caller's Host
    return served


async def root(_: HttpRequest) -> Response:
    """`/`: somebody is there."""
    return PlainTextResponse("Homeport is running")


def managed(request: HttpRequest) -> Response:
    """Ollama's management of models. Raises Forbidden."""
    what = request.url.path.removeprefix("/api/").partition("/")[0]
    raise Forbidden(f"`{what}` is refused: models are managed where they run, not through Homeport. Use that machine's own Ollama; what it has shows here.")


def _headers(request: HttpRequest) -> dict[bytes, bytes]:
    return _read(request.scope)


def _read(scope: Scope) -> dict[bytes, bytes]:
    """The headers that Homeport reads; a list may come in several lines (RFC 9110, 5.3)."""
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in READ_HEADERS:
            headers[name] = headers[name] + b", " + value if name == b"anthropic-beta" and name in headers else value
    return headers


async def _small(request: HttpRequest) -> bytes:
    """The body of a request that only names a model. Raises TooLarge."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > SMALL:
            raise TooLarge(f"The body is larger than {SMALL // 1024} KB; it need only name a model.")
    return body


SMALL = 64 * 1024  # bytes


def _homeport_error(request: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, HomeportError)
    headers = ({"x-homeport-error": error.code} if error.code else {}) | ({"www-authenticate": "Bearer"} if isinstance(error, Unauthenticated) else {})
    return Response(told(error, request.url.path, _headers(request)), error.status, headers, media_type="application/json")


def _http_error(request: HttpRequest, error: Exception) -> Response:
    """404 and 405, in words."""
    assert isinstance(error, HTTPException)
    path = request.url.path
    known: CallerError
    if error.status_code == 405:
        known = Malformed(f"{request.method} does not work on {path[:200]}; it takes {(error.headers or {}).get('Allow', 'POST')}.", code="method_not_allowed")
    else:
        known = Malformed(f"There is nothing at {path[:200]}. The model routes are {', '.join(MODEL_ROUTES)}.", code="not_found")
    known.status = error.status_code
    return Response(told(known, path, _headers(request)), error.status_code, error.headers, media_type="application/json")
