"""The gateway that a task lives in, asked without a socket (port Asker)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import msgspec

from homeport.client import failure
from homeport.client.events import Reader
from homeport.errors import ClientLeft, HomeportError
from homeport.ports import Out
from homeport.runner import Runner
from homeport.tasks import replies
from homeport.vocabulary import Caller, Errand, Request, Said, Surface

Serve = Callable[[Request, Out], Coroutine[Any, Any, None]]
Places = Callable[[str], Sequence[tuple[str | None, str]]]
After = Callable[[Callable[[bytes], object], bytes], None]
_decode = msgspec.json.Decoder(dict[str, Any]).decode  # made once: a type of several parts is read anew each time it is given


class InProcess:
    """Asks on behalf of one caller, whose key the receipts name. `after` holds an answer back until its receipt is on record.

    `heads`: the caller's own headers, of which its name, its trace and its word that this is private go along.
    """

    blocking = False

    def __init__(self, serve: Serve, after: After, places: Places, caller: Caller, heads: Mapping[bytes, bytes]) -> None:
        self._serve = serve
        self._after = after
        self._places = places
        self._caller = caller
        self._heads = {name: heads[name] for name in (b"user-agent", b"traceparent", replies.PRIVATE.encode()) if name in heads}
        self.why: HomeportError = ClientLeft("the caller hung up")  # an ask is given up, where it is

    async def ask(self, path: str, body: Mapping[str, Any], errand: Errand, hear: Callable[[str], None] | None = None) -> Said:
        heads = self._heads | {name.encode(): value.encode("ascii") for name, value in replies.headers(errand).items()}
        asked = body if hear is None else {**body, "stream": True, **replies.STREAMED}
        request = Request("openai", Surface(path), heads, msgspec.json.encode(asked), time.perf_counter(), self._caller)
        out = _Kept(self._after, hear)
        runner = Runner(self._serve(request, out), out.over)
        runner.resume()
        try:
            return await out.said
        finally:
            out.said.cancel()  # nobody waits for it any more
            if not runner.finished:  # whoever called the task has left, or may ask no more
                runner.leave(self.why)

    async def places(self, model: str, *, private: bool = False) -> Sequence[tuple[str | None, str]]:
        return self._places(model)


class _Kept:
    """The caller's side of one ask (port Out): what is written is read here."""

    def __init__(self, after: After, hear: Callable[[str], None] | None) -> None:
        self.caller: Caller | None = None
        self.begun = False
        self.paused = False
        self.said: asyncio.Future[Said] = asyncio.get_running_loop().create_future()
        self._after = after
        self._reader = Reader("text/event-stream")
        self._gathered = replies.Gathered(hear or (lambda _: None))
        self._heads: dict[str, str] = {}

    def whole(self, status: int, head: bytes, body: bytes) -> None:
        heads = _headers(head)
        if status != 200:
            self._after(lambda _: self._fail(failure.told(status, body, heads, "this gateway")), b"")
            return
        try:
            said = replies.whole(_decode(body), heads)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._after(lambda _: self._fail(failure.Cut("the answer is no JSON object")), b"")
        else:
            self._after(lambda _: self._done(said), b"")

    def begin(self, status: int, head: bytes) -> None:
        self.begun = True
        self._heads = _headers(head)

    def write(self, data: bytes) -> None:
        try:
            for event in self._reader.feed(data):
                self._gathered.take(event)
        except HomeportError as error:
            self._fail(error)

    def end(self, data: bytes = b"") -> None:
        self.write(data)
        self._after(lambda _: self._done(self._gathered.said(self._heads)), b"")

    def abort(self, data: bytes = b"") -> None:
        self.write(data)
        self._fail(failure.Cut("the answer broke off; it is not complete"))

    async def drained(self) -> None:
        """It is never paused."""

    def over(self, error: BaseException | None) -> None:
        """The journey is over; what it sent last may still wait for its receipt."""
        self._after(lambda _: self._fail(error if isinstance(error, HomeportError) else ClientLeft("the answer was given up")), b"")

    def _done(self, said: Said) -> None:
        if not self.said.done():
            self.said.set_result(said)

    def _fail(self, error: HomeportError) -> None:
        if not self.said.done():
            self.said.set_exception(error)


def _headers(head: bytes) -> dict[str, str]:
    lines = (line.partition(": ") for line in head.decode("latin-1").split("\r\n") if line)
    return {name.lower(): value for name, _, value in lines}
