"""One answer on its way from a backend: its head, its body as it comes, and the clocks that watch it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from homeport.backends.deadlines import Deadlines
from homeport.errors import BackendError, BrokeMidStream, Stalled, Unreachable
from homeport.runner import Signal

NO_HEADERS: dict[bytes, bytes] = {}  # of an answer whose head is not there yet
HIGH_WATER = 256 * 1024  # bytes unread by the journey at which the backend is made to wait
MAX_REPLY = 256 * 1024 * 1024  # bytes of a whole reply that are held
STALE_S = 1.0  # a kept connection that closes later than this after the request was not stale: the backend broke
GONE_S = 0.25  # how long is looked whether a backend that closed a connection is still there
STEADY_S = 0.05  # … and for how long it must keep a new one
LINGER_S = 1.0  # how long a terminal event may be ahead of the end of its body


Take = Callable[[bytes], bool]  # takes what came; True: enough for now


class Wire(Protocol):
    """The connection an answer comes over."""

    def send(self, request: bytes, answer: Answer) -> None:
        """Send one request; `answer` gets what comes back."""

    def release(self, *, reusable: bool) -> None:
        """The answer is done with."""

    @property
    def usable(self) -> bool:
        """Whether it is open."""

    def pause(self) -> None:
        """Read no more for now."""

    def resume(self) -> None:
        """Read on."""


class Source(Protocol):
    """Where connections come from."""

    moved_at: float  # Deadlines.now when anything came from there last

    @property
    def ready(self) -> bool:
        """Whether what stands behind it is said to be there."""

    def keep(self, connection: Any) -> None:
        """Take back a connection that is good for another answer."""

    def take(self) -> Wire | None:
        """An idle connection still good to use, or None."""

    async def connect(self) -> Wire:
        """A new connection; needs a task to run in. Raises Unreachable."""


class Clocks(NamedTuple):
    """How long an answer may take, in seconds: to its first token, between two tokens, in all."""

    first_token_s: float
    idle_s: float
    total_s: float


class Closed(BrokeMidStream):
    """The connection closed before the end of the answer: the backend may have gone with it."""


class ClosedUnanswered(Closed):
    """The connection closed before any byte of the answer; on a kept connection it was probably stale."""


class Answer(Signal):
    """One answer on its way (port Upstream): its head, then its body by `pump` as it comes, or all of it by `whole`."""

    __slots__ = (
        "_clocks",
        "_connection",
        "_deadlines",
        "_enough",
        "_failure",
        "_lingers",
        "_opening",
        "_parts",
        "_pending",
        "_pool",
        "_request",
        "_sent_at",
        "_stale",
        "_take",
        "_total_at",
        "_unbounded",
        "begun",
        "deadline",
        "ended",
        "error",
        "headed",
        "headers",
        "started",
        "status",
        "streamed",
    )

    def __init__(self, pool: Source, request: bytes, clocks: Clocks, deadlines: Deadlines) -> None:
        """Send `request` over a kept connection of the pool, else over a new one."""
        self._waiter = None
        self._fired = False
        self._pool = pool
        self._request = request
        self._clocks = clocks
        self._deadlines = deadlines
        self._parts: list[bytes] = []
        self._pending = 0
        self._lingers = self._unbounded = self._enough = False
        self._failure: Exception | None = None
        self._take: Take | None = None
        self._opening: asyncio.Task[None] | None = None
        self.begun = False  # a token came
        self.streamed = True  # it was asked for as a stream
        self.status = 0
        self.headers = NO_HEADERS
        self.headed = False  # the head is complete
        self.started = False  # any byte of the answer came
        self.ended = False
        self.error: BackendError | None = None
        now = self._sent_at = deadlines.now
        first_token_s, _, total_s = clocks
        self._total_at = total_at = now + total_s
        self._connection = connection = pool.take()
        self._stale = connection is not None  # it may be: the backend can have closed it while it lay idle
        if connection is not None:
            self.deadline = now + first_token_s if first_token_s < total_s else total_at
            connection.send(request, self)
        else:
            self.deadline = total_at
            self._open()
        deadlines.add(self)

    async def head(self) -> bytes | None:
        """Wait for the status and the headers. The body, where all of it is there with them, else None. Raises BackendError."""
        while not self.headed:
            if self.error is not None:
                raise self.error
            await self
        return self._parts[0] if self.ended and len(self._parts) == 1 else None

    async def pump(self, take: Take) -> bool:
        """Hand what comes to `take`, straight from the socket's callback: False at the proper end, True once `take` returned True.

        Raises BrokeMidStream, Stalled, and whatever BackendError `take` raises.
        """
        while True:
            if self._parts:
                parts, self._parts = self._parts, []
                if self._pending > HIGH_WATER and self._connection is not None:
                    self.progress()
                    self._connection.resume()
                self._pending = 0
                if take(parts[0] if len(parts) == 1 else b"".join(parts)):
                    return True
            elif self.error is not None:
                raise self.error
            elif self.ended:
                return False
            else:
                self._take = take
                try:
                    await self
                finally:
                    self._take = None
                if self._enough:
                    self._enough = False
                    if self._failure is not None:
                        raise self._failure
                    return True

    async def whole(self) -> bytes:
        """All of the body. There are no tokens to watch, so only the total clock counts. Raises BrokeMidStream or Stalled."""
        if not self.ended:
            self.deadline = self._total_at
            self._unbounded = self.begun = True
            if self._pending > HIGH_WATER and self._connection is not None:
                self._connection.resume()
            while not self.ended:
                if self.error is not None:
                    raise self.error
                await self
        parts = self._parts
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def progress(self) -> None:
        """A token came: from here on the idle clock counts."""
        self.begun = True
        now = self._pool.moved_at = self._deadlines.now
        self.deadline = min(now + self._clocks.idle_s, self._total_at)

    def wait(self) -> None:
        """The caller reads slower than the backend writes: until `progress`, only the total clock counts."""
        self.deadline = self._total_at

    def close(self) -> None:
        """Done with it: to the pool after the proper end, else the connection is closed at once."""
        connection, self._connection = self._connection, None
        self._deadlines.discard(self)
        if connection is not None:
            connection.release(reusable=self.ended)
        elif self._opening is not None:
            self._opening.cancel()

    def finish(self) -> None:
        """Its terminal event came, so it is done with; the end of its framing may follow within LINGER_S, then the connection is kept."""
        if self.ended or self.error is not None or self._connection is None:
            self.close()
        else:
            self._lingers = True
            self.deadline = self._deadlines.now + LINGER_S

    def expire(self) -> None:
        """A clock ran out (Deadlines)."""
        deadline, self.deadline = self.deadline, float("inf")
        clocks = self._clocks
        if self._deadlines.now >= self._total_at:
            error = Stalled(f"not done within {clocks.total_s:g} s")
            error.overdue = True
        else:
            waited = clocks.idle_s if self.begun else clocks.first_token_s
            error = Stalled(f"no token for {waited:g} s" if self.begun else f"no first token within {waited:g} s")
            error.frozen = self._pool.moved_at <= deadline - waited
        self.fail(error)

    def fail(self, error: BackendError) -> None:
        """It will not come. A kept connection that was closed before any answer is tried once more, on a new one."""
        if self._stale and isinstance(error, ClosedUnanswered) and self._deadlines.now - self._sent_at < STALE_S:
            self._stale = False
            self._connection = None
            self._open(again=True)
        elif isinstance(error, Closed) and not self._lingers and self.error is None and self._connection is not None:
            self._connection = None
            self._opening = asyncio.ensure_future(self._see_whether_it_is_gone(error))
        elif self.error is None and not self.ended:
            self.error = error
            if self._lingers:
                self.close()
            else:
                self.fire()

    def came_whole(self, status: int, headers: dict[bytes, bytes], body: bytes) -> None:
        """All of it came in one read; nothing of it had come before."""
        self.status = status
        self.headers = headers
        self.started = self.headed = self.ended = True
        self._parts.append(body)
        self.fire()

    def arrived(self, parts: list[bytes], ended: bool) -> None:
        """What one read of the socket held."""
        self.ended = ended
        if self._lingers:
            self.close()
            return
        if parts:
            if self._take is not None:
                self._hand(self._take, parts)
                return
            self._parts += parts
            self._pending += len(parts[0]) if len(parts) == 1 else sum(map(len, parts))
            if self._unbounded:
                if self._pending > MAX_REPLY:
                    self.fail(BrokeMidStream(f"an answer of more than {MAX_REPLY >> 20} MB"))
            elif self._pending > HIGH_WATER and self._connection is not None:
                self.deadline = self._total_at  # we are the ones who wait now
                self._connection.pause()
        waiter = self._waiter
        if waiter is None:
            self._fired = True
        else:
            self._waiter = None
            waiter.resume()

    def _hand(self, take: Take, parts: list[bytes]) -> None:
        try:
            self._enough = take(parts[0] if len(parts) == 1 else b"".join(parts))
        except BackendError as error:
            self.error = error
        except Exception as failure:  # of ours: raised where it is waited for, since the loop would only log it
            self._failure, self._enough = failure, True
        if self._enough or self.ended or self.error is not None:
            self.fire()

    def _open(self, *, again: bool = False) -> None:
        self._opening = asyncio.ensure_future(self._connect(again=again))

    async def _connect(self, *, again: bool) -> None:
        try:
            connection = await self._pool.connect()
        except BackendError as error:
            error.gone = again and isinstance(error, Unreachable)
            self.fail(error)
            return
        self._opening = None
        self._connection = connection
        self.deadline = min(self._deadlines.now + self._clocks.first_token_s, self._total_at)
        connection.send(self._request, self)

    async def _see_whether_it_is_gone(self, error: Closed) -> None:
        """A connection that closes is one failed ask; a backend that then takes no other has gone with it.

        A process that dies may close its connections a moment before it closes the door, so a new connection must live for a moment.
        """
        try:
            async with asyncio.timeout(GONE_S):
                connection = await self._pool.connect()
            try:
                await asyncio.sleep(STEADY_S)
                error.gone = not connection.usable
            finally:
                self._pool.keep(connection)
        except Unreachable:
            error.gone = True
        except BackendError:  # it could not be found out
            pass
        except TimeoutError:
            error.gone = not self._pool.ready
        self._opening = None
        self.fail(error)
