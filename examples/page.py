"""The server of an example's page: its files, whether a model is there, and calls to the gateway, whose key stays here."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

STATIC = Path(__file__).parent / "static"
KINDS = {".css": "text/css", ".js": "text/javascript", ".json": "application/json"}
PORT = 8480  # unless $PORT says otherwise, or it is taken
MODEL = "default"  # the name that tasks ask
LARGEST = 64 * 1024  # bytes of a body
PATIENCE = httpx2.Timeout(10.0, read=300.0)  # seconds; how long a model may take is the gateway's to say
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
Kind = TypeVar("Kind")


def site(folder: Path, routes: Sequence[Route] = ()) -> Starlette:
    """An app with the page in `folder`: `/` is its index.html, `/own/…` its files, `/static/…` what all examples share, `/ready` whether a model is there."""

    async def index(_: Request) -> Response:
        return FileResponse(folder / "index.html")

    async def ready(_: Request) -> Response:
        return JSONResponse(await standing())

    def files(place: Path) -> Any:
        there = {path.name: path for path in place.iterdir() if path.suffix in KINDS}

        async def file(request: Request) -> Response:
            found = there.get(request.path_params["name"])
            if found is None:
                raise HTTPException(404, "There is no such file.")
            return FileResponse(found, media_type=KINDS[found.suffix])

        return file

    async def told(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return wrong(error.status_code, error.detail)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await gateway().aclose()

    ours = [Route("/", index), Route("/own/{name}", files(folder)), Route("/static/{name}", files(STATIC)), Route("/ready", ready)]
    app = Starlette(routes=[*ours, *routes], middleware=[Middleware(Guard)], exception_handlers={HTTPException: told}, lifespan=lifespan)
    app.state.name = folder.name
    return app


def serve(app: Starlette) -> None:
    """Serve it on loopback, at $PORT, until Ctrl-C; says where on the first line."""
    listening = _listen(os.environ.get("PORT", ""))
    sys.stdout.write(f"{app.state.name} runs at http://127.0.0.1:{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=2)
    uvicorn.Server(config).run(sockets=[listening])


async def read(request: Request, kind: type[Kind]) -> Kind:
    """The JSON body of a request. Raises HTTPException: 400 where it is not of that kind, 413 where it is too large."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            raise HTTPException(413, f"More than {LARGEST // 1024} KB is too much for this page.")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HTTPException(400, f"The body is not what this takes: {error}") from None


def passed(path: str, body: dict[str, Any]) -> Response:
    """What the gateway answers to `body`, handed on as it comes. Where the browser leaves, the gateway is told at once, and stops the model."""
    return Passed(path, body)


async def standing() -> dict[str, Any]:
    """Whether a model can be asked now, and if not, why: `{"ready", "reason"}`."""
    try:
        reply = await gateway().get("/status", headers={"accept": "application/json"}, timeout=5.0)
        if reply.status_code != 200:
            return {"ready": False, "reason": f"the gateway refuses to tell its status ({reply.status_code})"}
        status = reply.json()
    except (httpx2.HTTPError, ValueError) as error:
        return {"ready": False, "reason": f"the gateway does not answer ({_why(error)})"}
    behind = next((model["routes"] for model in status["models"] if model["name"] == MODEL), None)
    if behind is None:
        return {"ready": False, "reason": f"the gateway serves no model called {MODEL}"}
    names = {route["backend"] for route in behind}
    found = [backend for backend in status["backends"] if backend["name"] in names]
    if any(backend["state"] in ("healthy", "degraded") for backend in found):
        return {"ready": True, "reason": ""}
    return {"ready": False, "reason": "; ".join(map(_state, found)) or "nothing serves it"}


def wrong(status: int, message: str) -> JSONResponse:
    """An error as the gateway writes its own."""
    return JSONResponse({"error": {"message": message}}, status)


@cache
def gateway() -> httpx2.AsyncClient:
    """The gateway at $HOMEPORT_URL, the first where there are several, asked with $HOMEPORT_KEY."""
    url = os.environ["HOMEPORT_URL"].split(",")[0].strip()
    key = os.environ.get("HOMEPORT_KEY")
    headers = {"accept-encoding": "identity", **({"authorization": f"Bearer {key}"} if key else {})}
    return httpx2.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE, trust_env=False)


class Passed(Response):
    """A reply of the gateway on its way to the browser."""

    def __init__(self, path: str, body: dict[str, Any]) -> None:
        super().__init__()
        self._path, self._body = path, body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        relaying = asyncio.ensure_future(self._relay(scope, receive, send))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait((relaying, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            done = relaying.done()
            relaying.cancel()
            leaving.cancel()
            await asyncio.gather(relaying, leaving, return_exceptions=True)
        if done:
            relaying.result()  # raises what it raised

    async def _relay(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False
        try:
            async with gateway().stream("POST", self._path, json=self._body) as reply:
                kind = reply.headers.get("content-type", "application/json")
                await send({"type": "http.response.start", "status": reply.status_code, "headers": [(b"content-type", kind.encode("latin-1"))]})
                begun = True
                async for part in reply.aiter_raw():
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        except httpx2.HTTPError as error:
            if not begun:
                await wrong(502, f"The gateway does not answer ({_why(error)}).")(scope, receive, send)
                return
            cut = {"error": {"message": f"The gateway was lost in the middle of the answer ({_why(error)})."}}
            last = b"\n\nevent: error\ndata: " + msgspec.json.encode(cut) + b"\n\n"  # after whatever event was begun
            await send({"type": "http.response.body", "body": last})


class Guard:
    """Lets in what comes from the page itself, and says in every answer what the page may do."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *((name.encode(), value.encode()) for name, value in HEADERS.items())]
            await send(message)

        refusal = self._refusal(Request(scope))
        await (refusal or self._app)(scope, receive, guarded)

    def _refusal(self, request: Request) -> Response | None:
        """A page elsewhere may neither take another name for this one's address, nor send forms here."""
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        port = request.scope["server"][1]
        if host not in {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}:
            return wrong(421, "This page answers at 127.0.0.1 alone.")
        if origin is not None and origin != f"http://{host}":
            return wrong(403, "This was sent by another page.")
        if request.method == "POST" and request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return wrong(415, "This takes application/json.")
        return None


async def _left(receive: Receive) -> None:
    """Ends when the browser has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _state(backend: dict[str, Any]) -> str:
    state = {"open": "does not answer", "loading": "is loading", "drained": "takes nothing new"}.get(backend["state"], f"is {backend['state']}")
    return f"{backend['name']} {state}" + (f" ({backend['reason']})" if backend["reason"] else "")


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__


def _listen(port: str) -> socket.socket:
    """A socket at that port; at PORT or any free one where none is named. Exits where it is no port, or taken."""
    reason: Exception | None = None
    for number in [port] if port else [str(PORT), "0"]:
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", int(number)))
            listening.listen(128)
        except (OSError, ValueError, OverflowError) as error:
            listening.close()
            reason = error
        else:
            return listening
    sys.exit(f"Port {port} cannot be had ({reason}); PORT=0 takes a free one.")
