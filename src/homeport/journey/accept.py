"""Bytes in → Ask; and whatever goes wrong from there on, told to the caller in the caller's own dialect."""

from __future__ import annotations

import functools
import itertools
import logging
import secrets
import traceback
from types import TracebackType
from urllib.parse import unquote

from homeport.errors import ClientLeft, HomeportError
from homeport.ports import Out
from homeport.rules import hops
from homeport.vocabulary import Ask, Errand, Request
from homeport.wire.dialects import HEARD

log = logging.getLogger("homeport")


class Reception:
    """One request being served: gives its Ask, and answers with an error where the journey raised one."""

    __slots__ = ("_gateway", "_id", "_out", "_request")

    def __init__(self, request: Request, out: Out, id: str, gateway: bytes) -> None:
        self._request = request
        self._out = out
        self._id = id
        self._gateway = gateway

    def ask(self) -> Ask:
        """Read the request. Raises Malformed, naming the field; Looped where other Homeports send it in a circle."""
        request = self._request
        dialect, headers = request.dialect, request.headers
        fields, model, stream, wants_usage, prompt_chars = HEARD[dialect].read(request.body, request.surface)
        return Ask(
            self._id,
            dialect,
            request.surface,
            model,
            fields,
            stream,
            wants_usage,
            prompt_chars,
            request.caller,
            request.arrived,
            headers.get(b"traceparent"),
            _app(headers.get(b"user-agent")),
            _versions(headers) if dialect == "anthropic" else b"",
            _errand(headers) if b"homeport-task" in headers or b"homeport-private" in headers else None,
            hops.through(headers[b"homeport-via"], self._gateway) if b"homeport-via" in headers else b"",
        )

    def __enter__(self) -> Reception:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        if error is None or isinstance(error, ClientLeft):
            return True
        if not isinstance(error, HomeportError):
            if not isinstance(error, Exception):
                return False
            # its text may quote the request, so only its kind and its place are logged
            log.error("request %s failed in Homeport itself: %s\n%s", self._id, type(error).__name__, "".join(traceback.format_tb(trace)))
            error = HomeportError(f"Homeport itself failed on this request ({type(error).__name__}). Its log has the details under {self._id}.")
        self._tell(error)
        return True

    def _tell(self, error: HomeportError) -> None:
        out, heard = self._out, HEARD[self._request.dialect]
        if out.begun:
            out.abort(heard.error_event(error, self._id))
            return
        head = f"content-type: application/json\r\nx-request-id: {self._id}\r\n"
        if self._request.dialect == "anthropic":
            head += f"request-id: {self._id}\r\n"  # where its SDK looks for it
        head += error_head(error)
        out.whole(error.status, head.encode("latin-1"), heard.error_body(error, self._id))


def error_head(error: HomeportError) -> str:
    """The header lines that go with an error: its code, and whether and when to ask again (docs/http.md)."""
    head = ""
    if error.code is not None and error.code.isascii() and error.code.isidentifier():  # an engine's may be anything
        head += f"x-homeport-error: {error.code}\r\n"
    if error.retry_after_s is not None:
        head += f"retry-after: {error.retry_after_s}\r\n"
    if error.should_retry is not None:
        head += f"x-should-retry: {str(error.should_retry).lower()}\r\n"
    if error.status == 401:
        head += "www-authenticate: Bearer\r\n"
    return head


class Accept:
    """Gives every request its id and its Reception (step `accept`)."""

    def __init__(self, gateway: str = "") -> None:
        """`gateway`: the id of this run, by which a request is known that came back."""
        self._prefix = f"req-{secrets.token_hex(6)}"
        self._numbers = itertools.count()
        self._gateway = gateway.encode()

    def __call__(self, request: Request, out: Out) -> Reception:
        id = f"{self._prefix}{next(self._numbers):07x}"
        if b"homeport-via" in request.headers:
            id = hops.request_id(request.headers.get(b"x-request-id"), id)
        return Reception(request, out, id, self._gateway)


def _versions(headers: dict[bytes, bytes]) -> bytes:
    """What a caller of Anthropic's dialect says about its version, as header lines."""
    return b"".join(b"%b: %b\r\n" % (name, headers[name]) for name in (b"anthropic-version", b"anthropic-beta") if name in headers)


def _errand(headers: dict[bytes, bytes]) -> Errand:
    """What a task says of its request; names only, so that no text of an answer comes into a receipt."""
    checks = [_name(check) for check in headers.get(b"homeport-checks", b"").split(b",")]
    return Errand(_name(headers.get(b"homeport-task", b"")), tuple(check for check in checks if check)[:16], _private(headers.get(b"homeport-private", b"")))


def _private(said: bytes) -> bool:
    """`true`; and whatever else is not plainly no, for a request that goes to a cloud cannot be called back."""
    return said.strip().lower() not in (b"", b"false", b"0", b"no")


def _name(given: bytes) -> str:
    """A name as Python's are, without anything else; its signs beyond ASCII come percent-encoded."""
    said = unquote(given[:256].decode("ascii", "ignore"), errors="ignore")
    return "".join(sign for sign in said[:64] if sign.isalnum() or sign in "_-.")


@functools.lru_cache(maxsize=256)
def _app(agent: bytes | None) -> str | None:
    """What the caller calls itself: the first word of its User-Agent."""
    return agent[:80].decode("latin-1").partition(" ")[0] or None if agent else None
