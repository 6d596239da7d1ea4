"""One request's way over the gateways, for both transports: who is asked next, what an outcome means, and when it is over."""

from __future__ import annotations

import logging
import re
import ssl
import sys
import time
from collections.abc import Iterator
from typing import Any

import anyio
import httpx2
from msgspec import Struct

from homeport.client.failure import HOW_TO, retry_after
from homeport.client.roster import UNIFORM, Endpoint, Roster

LEAKED = (ssl.SSLError, anyio.EndOfStream)  # what httpx2 lets through where a TLS connection breaks

log = logging.getLogger("homeport")

ONLY = "homeport_only"  # an extension of a request: the addresses of the gateways that may have it
BUSY = (502, 503, 504)  # this gateway cannot now; another may
LEAST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 60.0
PAUSE_S = 1.0  # where a busy gateway does not say for how long


class Timeouts(Struct, frozen=True, kw_only=True):
    """How long is waited for what, in seconds. Where an SDK sends timeouts of its own, the shorter `connect_s` and the SDK's `read_s` count."""

    connect_s: float = 3.0
    silence_s: float = 10.0  # without a byte, before the gateway is asked on the side whether it lives; one that does is waited for
    health_s: float = 5.0  # for it to say so
    read_s: float = 600.0  # without a byte, although it lives
    total_s: float = 600.0  # over all gateways, until a stream begins or a whole answer is there


class Refusal(Struct):
    """A gateway's 502, 503 or 504 with its body, kept in case no other gateway does better."""

    response: Any
    endpoint: Endpoint
    wait_s: float


class Attempts:
    """Decides for one request; touches no socket. `library` is the one the request was made with: httpx2, or httpx."""

    def __init__(self, request: Any, roster: Roster, timeouts: Timeouts, retries: int) -> None:
        self.kit = library_of(request)
        self.request = request
        self.timeouts = timeouts
        self.deadline = time.monotonic() + timeouts.total_s
        self._roster = roster
        self._retries = retries
        self._refusal: Refusal | None = None
        self._met: dict[str, str] = {}  # by address: why not

    def round(self) -> Iterator[Endpoint]:
        """The gateways that may be asked, each once, while there is time. Raises the library's ReadTimeout where there is none left."""
        only = self.request.extensions.get(ONLY)
        for endpoint in self._roster.order():
            if only is not None and endpoint.url not in only:
                continue
            if time.monotonic() >= self.deadline:
                raise self.late()
            yield endpoint

    def addressed(self, endpoint: Endpoint, extensions: dict[str, Any]) -> Any:
        """The request as it goes to one gateway: its address, its key, our timeouts. The request's body must have been read."""
        library, request = self.kit, self.request
        url = library.URL(endpoint.url)
        url = url.copy_with(raw_path=url.raw_path.rstrip(b"/") + request.url.raw_path)
        headers = request.headers.copy()
        headers["host"] = url.netloc.decode("ascii")
        if endpoint.key is not None:
            headers.pop("x-api-key", None)
            headers["authorization"] = f"Bearer {endpoint.key}"
        given = request.extensions.get("timeout") or {}
        left = max(0.001, self.deadline - time.monotonic())
        timeout = {
            "connect": min(given.get("connect") or self.timeouts.connect_s, self.timeouts.connect_s, left),
            "read": given.get("read") or self.timeouts.read_s,
            "write": given.get("write") or self.timeouts.read_s,
            "pool": given.get("pool"),
        }
        # As a stream, so that the headers stay those that tell how the body is framed.
        body = library.ByteStream(request.content)
        return library.Request(request.method, url, headers=headers, stream=body, extensions={**request.extensions, **extensions, "timeout": timeout})

    def took(self, endpoint: Endpoint, response: Any) -> bool:
        """Whether this answer, its body read where it is `busy`, is the one to hand out; else the next gateway is asked."""
        if not busy(response):
            self._roster.good(endpoint)
            return True
        wait_s = retry_after(response.headers)
        self._roster.failed(endpoint, time.monotonic(), wait_s)
        refusal = Refusal(response, endpoint, PAUSE_S if wait_s is None else wait_s)
        if self._refusal is None or refusal.wait_s <= self._refusal.wait_s:
            self._refusal = refusal
        self._note(endpoint, f"status {response.status_code}")
        return False

    def broke(self, error: Exception) -> bool:
        """Whether a connection that stood broke."""
        library = self.kit
        return isinstance(error, (library.ReadError, library.WriteError, library.CloseError, library.RemoteProtocolError, *LEAKED))

    def silent(self, error: Exception) -> bool:
        """Whether a connection that stood was silent longer than whoever asked wants to wait."""
        return isinstance(error, self.kit.TimeoutException) and not isinstance(error, self.kit.ConnectTimeout)

    def lost(self, endpoint: Endpoint, error: Exception, frozen: bool) -> None:
        """The gateway gave no answer; the next is asked. Raises the error itself where that is not the gateway's fault.

        A timeout is the gateway's fault only where it stands still (`frozen`, then it has been put aside already): a model that is slow is
        slow behind the next gateway too.
        """
        library = self.kit
        if isinstance(error, (library.LocalProtocolError, library.UnsupportedProtocol, library.ProxyError)):
            raise error
        if self.silent(error) and not frozen:
            raise error
        if frozen:
            self._note(endpoint, "stands still")
            return
        self._roster.failed(endpoint, time.monotonic())
        if isinstance(error, library.ConnectTimeout):
            self._note(endpoint, "no connection in time")
        elif isinstance(error, library.ConnectError):
            self._note(endpoint, re.sub(r"^\[Errno -?\d+\] ", "", str(error)).lower() or "no connection")
        else:
            self._note(endpoint, "broke off before it answered")

    def pause(self) -> float | None:
        """Seconds to wait before all are asked again, since one that lives is only busy; None where that is not to be."""
        if self._refusal is None or self._retries <= 0:
            return None
        pause_s = max(LEAST_PAUSE_S, self._refusal.wait_s * UNIFORM(1.0, 1.25))  # so that not all who wait come back at once
        if self._refusal.wait_s > LONGEST_PAUSE_S or time.monotonic() + pause_s >= self.deadline:
            return None
        self._retries -= 1
        self._refusal = None
        return pause_s

    def end(self) -> Any:
        """What is handed out when no gateway did better: the refusal of one that lives. Raises the library's ConnectError where none does."""
        if self._refusal is not None:
            return self._refusal.response
        met = [f"{url} ({reason})" for url, reason in self._met.items()]
        raise self.kit.ConnectError(f"no gateway answers at {', nor at '.join(met)}. {HOW_TO}", request=self.request)

    def late(self) -> Exception:
        """The error for a deadline that has passed."""
        error: Exception = self.kit.ReadTimeout(f"no answer within {self.timeouts.total_s:g} s", request=self.request)
        return error

    def _note(self, endpoint: Endpoint, reason: str) -> None:
        self._met[endpoint.url] = reason
        log.info("gateway %s: %s", endpoint.url, reason)


def busy(response: Any) -> bool:
    """Whether another gateway may do better than this answer."""
    return response.status_code in BUSY and response.headers.get("x-should-retry") != "false"


def held(response: Any) -> bool:
    """Whether an answer is read to its end before it is handed out, so that until then another gateway can take over: all but streams."""
    return busy(response) or str(response.headers.get("content-type", "")).partition(";")[0].strip() == "application/json"


def response(library: Any, inner: Any, stream: Any, endpoint: Endpoint) -> Any:
    """A gateway's response with another body. Its extension `homeport_gateway` is the gateway's address."""
    kept = {name: value for name, value in inner.extensions.items() if name != "network_stream"}
    return library.Response(inner.status_code, headers=inner.headers, stream=stream, extensions={**kept, "homeport_gateway": endpoint.url})


def library_of(request: Any) -> Any:
    """The module a request's class comes from: httpx2, or the older httpx that some SDKs still use."""
    for kind in type(request).__mro__:
        root = kind.__module__.partition(".")[0]
        if root in ("httpx", "httpx2"):
            return sys.modules[root]
    raise TypeError(f"a request of httpx2 or httpx is needed, not {type(request).__module__}.{type(request).__name__}")


def tls(endpoints: tuple[Endpoint, ...]) -> ssl.SSLContext:
    """How certificates are checked: as httpx2 does. Without an https address nothing is loaded, and nothing would be trusted."""
    if any(endpoint.url.startswith("https:") for endpoint in endpoints):
        return httpx2.create_ssl_context()
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
