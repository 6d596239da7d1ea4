"""A backend without sockets (port Backend): what its answers hold, and where they fail, is given as values."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from msgspec import Struct

from homeport.errors import BackendError, BrokeMidStream, Refused, Stalled
from homeport.rules import selection
from homeport.vocabulary import Ask, Route, Standing

SSE = b"text/event-stream"


class Said(Struct, frozen=True, kw_only=True):
    """One answer: its status, the reads it gives, and what comes after them (None: the proper end)."""

    reads: tuple[bytes, ...] = ()
    status: int = 200
    content_type: bytes = SSE
    fails: BackendError | None = None  # raised in place of the end
    freezes_s: float | None = None  # silence in place of the end; then Stalled


class MemoryLease:
    """A place at a MemoryBackend."""

    def __init__(self, backend: MemoryBackend) -> None:
        self._backend: MemoryBackend | None = backend

    def release(self) -> None:
        """Give it back; a second call does nothing."""
        backend, self._backend = self._backend, None
        if backend is not None:
            backend.give_back()

    def linger(self) -> None:
        """As `release`: it computes nothing."""
        self.release()


class MemoryUpstream:
    """One answer of a MemoryBackend, read by read; or the error that stands in its place."""

    def __init__(self, said: Said | BackendError) -> None:
        self._error = said if isinstance(said, BackendError) else None
        said = said if isinstance(said, Said) else Said()
        self.status = said.status
        self.headers = {b"content-type": said.content_type}
        self.closed = False
        self.finished = False
        self.tokens = 0  # calls of progress
        self.begun = False
        self.streamed = True
        self._said = said
        self._reads = deque(said.reads)

    async def head(self) -> None:
        """There at once. Raises what stands in the answer's place."""
        if self._error is not None:
            raise self._error

    async def whole(self) -> bytes:
        """All of the reads. Raises as `pump`."""
        said = bytearray()

        def take(data: bytes) -> bool:
            said.extend(data)
            return False

        await self.pump(take)
        return bytes(said)

    async def pump(self, take: Callable[[bytes], bool]) -> bool:
        """Hand the reads to `take`, one by one, until it has enough. Raises what the script says."""
        while self._reads:
            if self.closed:
                raise BrokeMidStream("it was closed")
            if take(self._reads.popleft()):
                return True
        if self._said.freezes_s is not None:
            await asyncio.sleep(self._said.freezes_s)
            raise Stalled(f"no token for {self._said.freezes_s:g} s")
        if self._said.fails is not None:
            raise self._said.fails
        return False

    def wait(self) -> None:
        """The caller is slow."""

    def progress(self) -> None:
        """A token came."""
        self.tokens += 1
        self.begun = True

    def finish(self) -> None:
        """Done with it."""
        self.finished = True

    def close(self) -> None:
        """Given up."""
        self.closed = True


class MemoryBackend:
    """Answers each send with the next of `script`: a Said, or a BackendError that its `head` raises."""

    def __init__(
        self,
        name: str = "memory",
        script: Iterable[Said | BackendError] = (),
        *,
        max_in_flight: int = 4,
        queue: int = 64,
        queue_timeout_s: float = 10.0,
        location: str = "local",
    ) -> None:
        self.name = name
        self.kind = "openai"
        self.location = location
        self.script = deque(script)
        self.sent: list[tuple[Ask, Route]] = []
        self.upstreams: list[MemoryUpstream] = []
        self.over: list[tuple[str, BaseException | None]] = []  # what `seen` was told
        self.in_flight = 0
        self.state = "healthy"
        self._limit = max_in_flight
        self._queue = queue
        self._queue_timeout_s = queue_timeout_s
        self._waiting: deque[asyncio.Future[MemoryLease]] = deque()

    def load(self, model: str) -> float:
        """Leases taken."""
        return self.in_flight

    def rank(self, model: str) -> int:
        """How well it could take an ask now, by its state and its places."""
        if self.state == "open":
            return selection.OPEN
        return selection.WELL if self.in_flight < self._limit else selection.FULL

    def wanted(self) -> None:
        """It has nobody to wake."""

    def seen(self, model: str, error: BaseException | None, upstream: object = None) -> bool:
        """It computes nothing."""
        self.over.append((model, error))
        return False

    def standing(self) -> Standing:
        """How it is right now."""
        return Standing(self.name, self.kind, self.location, self.state, "", 0.0, self.in_flight, self._limit, len(self._waiting), [])

    def take(self, model: str = "") -> MemoryLease | None:
        """A place now, or None."""
        if self.in_flight >= self._limit or self._waiting:
            return None
        self.in_flight += 1
        return MemoryLease(self)

    async def wait(self, model: str = "", key: str | None = None, *, only: bool = True) -> MemoryLease:
        """A place as soon as one is free, first come first served. Raises Refused with outcome "full"."""
        if len(self._waiting) >= self._queue:
            raise self._full("its queue is full")
        turn: asyncio.Future[MemoryLease] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await asyncio.wait_for(asyncio.shield(turn), self._queue_timeout_s)
        except TimeoutError:
            raise self._full("no place in time") from None
        finally:
            if turn in self._waiting:
                self._waiting.remove(turn)

    def give_back(self) -> None:
        """A place is free: the next in the queue has it."""
        if self._waiting:
            self._waiting.popleft().set_result(MemoryLease(self))
        else:
            self.in_flight -= 1

    def send(self, ask: Ask, route: Route) -> MemoryUpstream:
        """The next answer of the script. Raises IndexError where it is used up."""
        self.sent.append((ask, route))
        upstream = MemoryUpstream(self.script.popleft())
        self.upstreams.append(upstream)
        return upstream

    @staticmethod
    def _full(why: str) -> Refused:
        refused = Refused(why)
        refused.outcome = "full"
        return refused
