"""One page over HTTP within a time, for looks that are made once."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from homeport.errors import Stalled, Unreachable
from homeport.settings.address import socket_path

PATIENCE_S = 5.0
MOST = 4 * 1024 * 1024  # bytes of a page that are read


class Page(Struct, frozen=True):
    """What came back. Times are seconds since the epoch on this machine's clock."""

    status: int
    headers: dict[str, str]  # lower-case names
    body: bytes
    asked_at: float
    answered_at: float

    @property
    def fields(self) -> dict[str, Any]:
        """The JSON object in the body; {} where it is none."""
        return fields(self.body)


def fields(text: bytes | str) -> dict[str, Any]:
    """The JSON object in a text; {} where it is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


class ToSocket(http.client.HTTPConnection):
    """A connection to a Unix socket."""

    def __init__(self, path: str, within_s: float) -> None:
        super().__init__("localhost", timeout=within_s)
        self._path = path

    def connect(self) -> None:
        """Raises OSError."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def connect(url: str, within_s: float = PATIENCE_S) -> http.client.HTTPConnection:
    """A connection to the host of an address. Raises Unreachable, with the reason in plain words."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    path = socket_path(url)
    connection = kind(parts.hostname or "", parts.port, timeout=within_s) if path is None else ToSocket(path, within_s)
    try:
        connection.connect()
    except (OSError, ValueError) as error:
        connection.close()
        raise Unreachable(reason(error, within_s)) from error
    return connection


def fetch(url: str, headers: Mapping[str, str] = {}, body: bytes | None = None, within_s: float = PATIENCE_S) -> Page:
    """Ask for a page: GET, or POST where there is a body. Raises Unreachable where there is no connection, Stalled where no answer comes."""
    ends = time.monotonic() + within_s
    connection = connect(url, within_s)
    try:
        sock: socket.socket = connection.sock
        sock.settimeout(max(ends - time.monotonic(), 0.1))
        asked_at = time.time()
        connection.request("POST" if body is not None else "GET", path_of(url), body, {"accept": "application/json", "connection": "close", **headers})
        response = connection.getresponse()
        answered_at = time.time()
        page = bytearray()
        while len(page) < MOST:
            sock.settimeout(max(ends - time.monotonic(), 0.001))
            piece = response.read1(65536)
            if not piece:
                break
            page += piece
        return Page(response.status, {name.lower(): value for name, value in response.getheaders()}, bytes(page), asked_at, answered_at)
    except http.client.HTTPException as error:
        raise Stalled("what answers speaks no HTTP") from error
    except OSError as error:
        raise Stalled(reason(error, within_s)) from error
    finally:
        connection.close()


def path_of(url: str) -> str:
    """The path and query of an address."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def is_here(url: str) -> bool:
    """Whether an address leads to this machine."""
    if socket_path(url) is not None:
        return True
    host = (urlsplit(url).hostname or "").lower()
    return host in ("localhost", "::1") or host.startswith("127.")


def reason(error: Exception, within_s: float) -> str:
    """Why there is no connection or no answer, in plain words."""
    if isinstance(error, TimeoutError):
        return f"no answer within {within_s:g} s"
    if isinstance(error, socket.gaierror):
        return "no such host"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not good: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "TLS fails: " + (error.reason or "no reason given").lower().replace("_", " ")
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
