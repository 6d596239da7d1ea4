"""Asks the hub and other servers over HTTP: redirects, the hub's token, and what each refusal means, in words.

The token of $HF_TOKEN goes to the hub's own origin and nowhere else: redirects are followed here, hop by hop, and what a hop
sends is decided by where it leads. No message holds a query of an address, for those of storage hosts are signed.
"""

from __future__ import annotations

import contextlib
import email.utils
import ssl
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2

from homeport import __version__
from homeport.pull.failure import Again, CannotPull

REDIRECTS = (301, 302, 303, 307, 308)
MOST_HOPS = 8
BUSY = (408, 425, 429, 500, 502, 503, 504)
TIMEOUTS = httpx2.Timeout(connect=15.0, read=30.0, write=30.0, pool=None)  # seconds; read: of silence
LARGEST_PAGE = 64 * 2**20  # bytes of a JSON answer
PLAIN_HOSTS = ("127.0.0.1", "::1", "localhost")


class Reply:
    """One answer, its body not read yet. `linked` are the headers of the first hop, where the hub tells what it redirects to."""

    def __init__(self, response: httpx2.Response, linked: Mapping[str, str]) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.linked = linked
        self._response = response

    @property
    def length(self) -> int | None:
        """Bytes of the whole file: of Content-Range, else Content-Length."""
        told = self.headers.get("content-range", "").rpartition("/")[2] if self.status in (206, 416) else self.headers.get("content-length", "")
        return int(told) if told.isascii() and told.isdigit() else None

    @property
    def start(self) -> int:
        """The first byte it sends."""
        told = self.headers.get("content-range", "").removeprefix("bytes ").partition("-")[0] if self.status == 206 else "0"
        return int(told) if told.isascii() and told.isdigit() else -1

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes. Raises Again where it is cut."""
        if self.headers.get("content-encoding", "identity") not in ("", "identity"):
            raise CannotPull("the server sends the file compressed, though it was asked not to, so it cannot be resumed or checked")
        yield from self._read(self._response.iter_raw())

    def decoded(self) -> Iterator[bytes]:
        """The body as it comes, unpacked where it was sent compressed. Raises Again where it is cut."""
        yield from self._read(self._response.iter_bytes())

    @staticmethod
    def _read(pieces: Iterator[bytes]) -> Iterator[bytes]:
        try:
            yield from pieces
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise Again(_reason(error)) from None


class Web:
    """Connections to the hub and to where it leads. A context manager.

    `hub` is the hub's address; `token`, where there is one, is sent to it, over https or to this machine only.
    """

    def __init__(self, hub: str, token: str | None = None) -> None:
        self.hub = hub.rstrip("/")
        self.token = token
        try:
            self._client = httpx2.Client(
                timeout=TIMEOUTS, follow_redirects=False, headers={"user-agent": f"homeport/{__version__}", "accept-encoding": "identity"}
            )
        except (ImportError, ValueError) as error:  # a proxy of the environment that httpx2 cannot use
            raise CannotPull(f"the proxy that the environment names cannot be used: {error}") from None

    def __enter__(self) -> Web:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    @contextlib.contextmanager
    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Iterator[Reply]:
        """The answer at `url`: status 200, 206 or 416. Raises Again where a later attempt may do, else CannotPull."""
        linked: Mapping[str, str] | None = None
        for _ in range(MOST_HOPS):
            with self._send(url, headers or {}) as response:
                linked = response.headers if linked is None else linked
                if response.status_code not in REDIRECTS:
                    if response.status_code not in (200, 206, 416):
                        self._refuse(url, response)
                    yield Reply(response, linked)
                    return
                url = _onwards(url, response.headers.get("location", ""))
        raise CannotPull(f"{place(url)} redirects in circles")

    def json(self, url: str) -> tuple[Any, str | None]:
        """The JSON at `url`, and the address of the page after it, if the hub has one. Raises Again, CannotPull."""
        body = bytearray()
        with self.get(url, {"accept": "application/json"}) as reply:
            for piece in reply.decoded():
                body += piece
                if len(body) > LARGEST_PAGE:
                    raise CannotPull(f"{place(url)} sends a list without end")
            following = reply.headers.get("link", "")
        import json

        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            raise CannotPull(f"{place(url)} answers with something that is no JSON; is that the hub, or a page that asks to log in?") from None
        address = following.partition("<")[2].partition(">")[0] if 'rel="next"' in following else ""
        return value, urljoin(url, address) if address else None

    @contextlib.contextmanager
    def _send(self, url: str, headers: Mapping[str, str]) -> Iterator[httpx2.Response]:
        sent = dict(headers)
        if self.token and _origin(url) == _origin(self.hub) and _guarded(url):
            sent["authorization"] = f"Bearer {self.token}"
        try:
            request = self._client.build_request("GET", url, headers=sent)
            response = self._client.send(request, stream=True)
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, ValueError):
            raise CannotPull(f"{place(url)} is no address that can be asked") from None
        except httpx2.TransportError as error:
            cause = _untrusted(error)
            if cause is not None:
                raise CannotPull(f"the TLS certificate of {place(url)} is not trusted: {cause}") from None
            raise Again(f"{place(url)}: {_reason(error)}") from None
        try:
            yield response
        finally:
            response.close()

    def _refuse(self, url: str, response: httpx2.Response) -> None:
        """Raises what a refusal means."""
        status, where = response.status_code, place(url)
        if status in BUSY:
            raise Again(f"{where} is busy (status {status})", _retry_after(response.headers.get("retry-after", "")))
        ours = _origin(url) == _origin(self.hub)
        code = response.headers.get("X-Error-Code", "")
        if status in (401, 403) and ours:
            raise CannotPull(self._denied(url, code))
        if status in (401, 403):
            raise CannotPull(f"{where} does not allow it (status {status}): the file is not public, or the link has expired")
        if status in (404, 410) and ours:
            what = {"RevisionNotFound": "no such revision", "EntryNotFound": "no such file in the repository"}.get(code, "no such repository or file")
            raise CannotPull(f"{what} at {where}{urlsplit(url).path}; check the spelling, capital letters too")
        if status in (404, 410):
            raise CannotPull(f"there is nothing at {where}{urlsplit(url).path} (status {status})")
        raise CannotPull(f"{where} answers with status {status}")

    def _denied(self, url: str, code: str) -> str:
        parts = urlsplit(url).path.removeprefix("/api/models/").strip("/").split("/")
        name = "/".join(parts[:2])
        if code == "GatedRepo":
            todo = "with the account of HF_TOKEN" if self.token else "then set HF_TOKEN to a token of your account"
            return f"{name} is gated: accept its terms at {self.hub}/{name}, {todo}"
        if self.token and not _guarded(self.hub):
            return f"{name} is not public, and HF_TOKEN is not sent to {place(self.hub)}, for that is no https address"
        if self.token:
            return (
                f"the hub does not give {name} to the account of HF_TOKEN: the token has expired or lacks the right to read it, or there is no such repository"
            )
        return f"the hub knows no public repository {name}; check the spelling, or, where it is private, set HF_TOKEN to a token that may read it"


def place(url: str) -> str:
    """The host of an address, as people read it, with its port where that is unusual."""
    return urlsplit(url).netloc.rpartition("@")[2] or "that address"


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _guarded(url: str) -> bool:
    """Whether nobody on the way can read what is sent."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in PLAIN_HOSTS


def _onwards(url: str, location: str) -> str:
    """Where a redirect leads. Raises CannotPull where that is nowhere, or from https to http."""
    target = urljoin(url, location)
    if not location or urlsplit(target).scheme not in ("http", "https"):
        raise CannotPull(f"{place(url)} redirects to nowhere")
    if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
        raise CannotPull(f"{place(url)} redirects to {place(target)} without https, where anybody on the way could change the file")
    return target


def _retry_after(told: str) -> float | None:
    """Seconds, from a number of them or a date."""
    if told.isascii() and told.isdigit():
        return float(told)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(told).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def _untrusted(error: BaseException) -> str | None:
    """Why a certificate was not trusted, where that is what lies below an error."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return seen.verify_message or "no reason given"
        seen = seen.__cause__ or seen.__context__
    return None


def _reason(error: Exception) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return "no connection in time" if isinstance(error, httpx2.ConnectTimeout) else "nothing came for 30 s"
    if isinstance(error, httpx2.ProxyError):
        return "the proxy refused"
    if isinstance(error, httpx2.ConnectError):
        return f"no connection ({str(error) or 'no reason given'})"
    return "the connection broke"
