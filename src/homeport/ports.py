"""The ports: what the steps need of the world, as Protocols that adapters and their fakes fulfil."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from homeport.vocabulary import Ask, Caller, Receipt, Route, Standing


class Clock(Protocol):
    """Time, so that tests can hold it."""

    def monotonic(self) -> float:
        """Seconds, for durations."""

    def time(self) -> float:
        """Seconds since the epoch, for what people read."""


class Out(Protocol):
    """The caller's side of one request: what the journey may send, and whether it is still wanted."""

    caller: Caller | None  # who it is for, once known: revoking the key ends it
    begun: bool  # the head of a stream was sent
    paused: bool  # the caller reads slower than we write: await `drained()` before more

    def whole(self, status: int, head: bytes, body: bytes) -> None:
        """Send a complete answer. `head` is header lines, each ended by CRLF, without content-length."""

    def begin(self, status: int, head: bytes) -> None:
        """Send the head of a stream."""

    def write(self, data: bytes) -> None:
        """Send the next bytes of a stream."""

    def end(self, data: bytes = b"") -> None:
        """Send the last bytes of a stream and end it properly."""

    def abort(self, data: bytes = b"") -> None:
        """Send the last bytes of a cut stream, then break the connection without a proper end."""

    async def drained(self) -> None:
        """Wait until the caller has read enough."""


class Upstream(Protocol):
    """One answer on its way from a backend."""

    status: int
    headers: dict[bytes, bytes]  # lower-case names; those Homeport reads

    async def head(self) -> bytes | None:
        """Wait for the status and the headers. The body, where all of it is there with them, else None. Raises BackendError."""

    async def pump(self, take: Callable[[bytes], bool]) -> bool:
        """Hand what comes to `take` as it comes: False at the proper end, True once `take` returned True.

        Raises BrokeMidStream where the body is cut, Stalled where a clock ran out, and what `take` raises.
        """

    def progress(self) -> None:
        """A token came: the idle clock starts anew."""

    def wait(self) -> None:
        """The caller reads slower than the backend writes: until `progress`, only the total clock counts."""

    async def whole(self) -> bytes:
        """All of the body; only the total clock counts. Raises as `read`."""

    def finish(self) -> None:
        """Done with it, its terminal event came: the connection may live on."""

    def close(self) -> None:
        """Done with it. Before the proper end this closes the connection at once."""


class Lease(Protocol):
    """A place at a backend, held until the last byte."""

    def release(self) -> None:
        """Give it back; a second call does nothing."""


class Backend(Protocol):
    """Somewhere that answers."""

    @property
    def name(self) -> str:
        """As in the settings."""

    @property
    def kind(self) -> str:
        """openai | ollama | anthropic | engine | pilot"""

    @property
    def dialect(self) -> str:
        """openai | ollama | anthropic: what it speaks"""

    @property
    def location(self) -> str:
        """local | cloud"""

    @property
    def available(self) -> bool:
        """Not known to be down, and not full."""

    @property
    def in_flight(self) -> int:
        """Leases taken."""

    def standing(self) -> Standing:
        """How it is right now, from memory."""

    def take(self) -> Lease | None:
        """A place now, or None."""

    async def wait(self) -> Lease:
        """A place from the bounded queue. Raises Refused with outcome "full" where none comes free in time."""

    def send(self, ask: Ask, route: Route) -> Upstream:
        """Send the ask; the head of its answer, or what went wrong, comes by its `head`."""


class Served(Protocol):
    """A name that apps ask for."""

    @property
    def routes(self) -> tuple[Route, ...]:
        """What may answer it, in order."""

    @property
    def private(self) -> bool:
        """Whether it never leaves local backends."""

    @property
    def lacks(self) -> Mapping[tuple[str, str], frozenset[str]]:
        """What models are known not to do, by (backend, model): capabilities, and "format"; those that lack nothing are left out."""


class Catalogue(Protocol):
    """The models that are served, by name."""

    def find(self, name: str) -> Served | None:
        """What stands behind a name, or None."""

    def names(self) -> list[str]:
        """All of them, in order."""


class KeyRing(Protocol):
    """The keys of this gateway."""

    exist: bool  # once there is one, every model route needs one

    def find(self, secret: str) -> str | None:
        """The name of a key, or None where it is not ours."""


class Store(Protocol):
    """Where receipts are kept: the journal."""

    def started(self, ask: Ask, ts: float, key: str | None) -> None:
        """Record that an Ask is about to be dispatched. `ts` seconds since the epoch; `key` the key's name."""

    def settled(self, receipt: Receipt) -> None:
        """Record what it came to."""

    def after(self, send: Callable[[bytes], object], data: bytes) -> None:
        """Call `send(data)` once everything recorded so far is on file."""
