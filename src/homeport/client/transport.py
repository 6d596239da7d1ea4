"""A transport of httpx2 (or httpx) that sends each request to one of several gateways, and to the next where one fails."""

from __future__ import annotations

import contextlib
import functools
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2

from homeport.client.addresses import Key, Urls, endpoints
from homeport.client.attempts import Attempts, Timeouts, held, response, tls
from homeport.client.lines import Line, Lines
from homeport.client.probe import Pulse, pulse
from homeport.client.roster import Endpoint, Roster
from homeport.client.watch import Watch


class Transport(httpx2.BaseTransport):
    """For the SDKs of OpenAI and Anthropic, and for `httpx2.Client` or `httpx.Client`. Thread-safe.

        client = openai.OpenAI(base_url="http://homeport/v1", api_key="none", http_client=httpx2.Client(transport=Transport(urls=[…], key="hp_…")))

    The host of the client's base URL does not matter; its path is kept. The next gateway is asked where one refuses the connection,
    stands still, breaks off before the first byte of a stream's body or before the end of a whole answer, or answers 502, 503 or 504
    without `x-should-retry: false`. So a POST may be computed twice; it is never shown twice. Where every gateway that lives is busy,
    its refusal is handed out, after `retries` more rounds that heed Retry-After (0: SDKs have retries of their own).

    `urls` and `key`: see `addresses.endpoints`; a key given replaces what the SDK sends. `context` checks the certificates of https
    addresses. Raises BadSettings.
    """

    def __init__(
        self, urls: Urls = None, key: Key = None, *, timeouts: Timeouts | None = None, retries: int = 0, context: ssl.SSLContext | None = None
    ) -> None:
        self.roster = Roster(endpoints(urls, key))
        self._timeouts = timeouts or Timeouts()
        self._retries = retries
        self._context = context or tls(self.roster.endpoints)
        self._lines = Lines(self._context)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send; the response is of the request's own library. Raises that library's TransportError."""
        attempts = Attempts(request, self.roster, self._timeouts, self._retries)
        request.read()
        self._look_again()
        while True:
            for endpoint in attempts.round():
                answer = self._ask(endpoint, attempts)
                if answer is not None:
                    return answer
            pause_s = attempts.pause()
            if pause_s is None:
                refusal: httpx2.Response = attempts.end()
                return refusal
            time.sleep(pause_s)

    def close(self) -> None:
        """Close the idle connections."""
        self._lines.close()

    def _ask(self, endpoint: Endpoint, attempts: Attempts, *, new: bool = False) -> httpx2.Response | None:
        """One gateway's answer; None where the next is to be asked."""
        library = attempts.kit
        line = self._lines.take(library, endpoint.url, new=new)
        with contextlib.ExitStack() as undo:
            undo.callback(line.close)
            watch = Watch(line.break_off, functools.partial(self._frozen, endpoint), self._timeouts.silence_s, attempts.deadline)
            undo.callback(watch.end)
            try:
                watch.wait()
                inner = line.send(attempts.addressed(endpoint, {"trace": line.note}))
                body = Body(inner, library, watch, line, functools.partial(self._lines.give, library, endpoint.url))
                if held(inner):
                    answer = response(library, inner, library.ByteStream(b"".join(body)), endpoint)
                else:
                    body.begin()
                    answer = response(library, inner, _stream(library)(body), endpoint)
                undo.pop_all()
            except library.TransportError as error:
                watch.end()
                if watch.verdict == "late":
                    raise attempts.late() from error
                if new or not line.reused or watch.verdict is not None or not attempts.broke(error):
                    attempts.lost(endpoint, error, watch.verdict == "frozen" or (attempts.silent(error) and self._frozen(endpoint)))
                    return None
            else:
                return answer if attempts.took(endpoint, answer) else None
        return self._ask(endpoint, attempts, new=True)  # a kept connection that was closed just when it was used again

    def _frozen(self, endpoint: Endpoint) -> bool:
        """Whether the gateway stands still; if so it is put aside."""
        if pulse(endpoint.url, self._context, self._timeouts.health_s) is not Pulse.SILENT:
            return False
        self.roster.failed(endpoint, time.monotonic())
        return True

    def _look_again(self) -> None:
        """Find out, beside the request, whether a preferred gateway that failed is back."""
        for endpoint in self.roster.due(time.monotonic()):
            threading.Thread(target=self._look, args=(endpoint,), name="homeport look", daemon=True).start()

    def _look(self, endpoint: Endpoint) -> None:
        alive = False
        try:
            alive = pulse(endpoint.url, self._context, self._timeouts.health_s) is Pulse.ANSWERS
        finally:
            self.roster.looked(endpoint, alive, time.monotonic())


class Body:
    """A response's bytes on their way from one gateway. Its connection is kept if it was read to its end, else closed, so that the gateway stops."""

    def __init__(self, inner: Any, library: Any, watch: Watch, line: Line, give: Callable[[Line], None]) -> None:
        self._inner = inner
        self._library = library
        self._chunks: Iterator[bytes] = iter(inner.stream)
        self._watch = watch
        self._line = line
        self._give = give
        self._first: bytes | None = None
        self._ended = False
        self._closed = False

    def begin(self) -> None:
        """Wait for the first byte. Raises the library's TransportError."""
        self._first = self._next()
        self._watch.begun()

    def __iter__(self) -> Iterator[bytes]:
        try:
            if self._first:
                yield self._first
            while not self._ended and (chunk := self._next()):
                yield chunk
        finally:
            self.close()

    def close(self) -> None:
        """Give the connection back, or close it. May be called twice."""
        if self._closed:
            return
        self._closed = True
        self._watch.end()
        self._inner.close()
        if self._ended:
            self._give(self._line)
        else:
            self._line.close()

    def _next(self) -> bytes:
        """The next bytes; none at the end. Raises the library's TransportError."""
        self._watch.wait()
        try:
            for chunk in self._chunks:
                if chunk:
                    return chunk
        except self._library.TransportError as error:
            if self._watch.verdict == "frozen":
                raise self._library.ReadTimeout("the gateway stands still") from error
            raise
        finally:
            self._watch.rest()
        self._ended = True
        return b""


@functools.cache
def _stream(library: Any) -> Any:
    """The class of a body that the library takes for a stream of its own."""

    class Stream(library.SyncByteStream):  # type: ignore[misc]  # known at run time only
        def __init__(self, body: Body) -> None:
            self._body = body

        def __iter__(self) -> Iterator[bytes]:
            return iter(self._body)

        def close(self) -> None:
            self._body.close()

        def __del__(self) -> None:
            self._body.close()  # dropped without being read: the connection must not wait for ever

    return Stream
