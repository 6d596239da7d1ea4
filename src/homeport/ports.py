"""The ports: what the steps need of the world, as Protocols that adapters and their fakes fulfil."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from msgspec import Struct

from homeport.vocabulary import Ask, Caller, Errand, Receipt, Route, Said, Standing


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
    begun: bool  # a token came
    streamed: bool  # it was asked for as a stream
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

    def linger(self) -> None:
        """Nobody waits for the answer any more, but it may still be computed: the place is free once the backend is seen idle."""


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
    def in_flight(self) -> int:
        """Leases taken."""

    def load(self, model: str) -> float:
        """Leases taken, and more where asks for this model fail."""

    def rank(self, model: str) -> int:
        """How well it could take an ask for this model now (rules/selection)."""

    def wanted(self) -> None:
        """An ask would have liked to come here, and was sent elsewhere."""

    def standing(self) -> Standing:
        """How it is right now, from memory."""

    def take(self, model: str) -> Lease | None:
        """A place now for an ask of this model, or None."""

    async def wait(self, model: str, key: str | None, *, only: bool) -> Lease:
        """A place from the bounded queue, in turn with other keys; `only`: the ask has no other way.

        Raises Refused: outcome "full" where none comes free in time, "open" where it is left out for now.
        """

    def seen(self, model: str, error: BaseException | None, upstream: Upstream | None) -> bool:
        """An ask for this model is over, answered or failed; `upstream`: what was sent, if anything was. Whether it may still be computed."""

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

    @property
    def barred(self) -> Mapping[tuple[str, str], str]:
        """Where a model is not known to be the one that its owner pinned, by (backend, model), and why."""


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


class Siblings(Protocol):
    """The other worker processes of this gateway; a gateway of one process has none."""

    @property
    def folder(self) -> Path | None:
        """Shared by the workers of this run: empty when the run begins, gone when it ends. None where there is one process only."""

    async def gather(self, topic: str) -> list[bytes]:
        """What each living sibling answers to a topic now; one that does not answer within a second is left out. Never raises."""

    def answer(self, topic: str, give: Callable[[], bytes]) -> None:
        """Answer siblings who ask for a topic. `give` is called on the event loop, and is quick."""


class Pair(Protocol):
    """Two numbers in memory that others may share: what a key has used of its requests and of its tokens, as levels of rules.rates."""

    def __getitem__(self, index: int, /) -> float:
        """One of them."""

    def __setitem__(self, index: int, value: float, /) -> None:
        """Put another in its place."""


class Places(Protocol):
    """Places at one backend, counted over all who share it: the workers of this gateway, or only this process."""

    @property
    def in_use(self) -> int:
        """Places taken, by anybody."""

    @property
    def waiting(self) -> int:
        """How many wait for one, anywhere."""

    def take(self, limit: int) -> bool:
        """Take one where fewer than `limit` are in use and nobody else waits for it; or the one that was put aside for those who wait here."""

    def give_back(self) -> None:
        """Give one back: it goes to whoever has waited longest, here or elsewhere."""

    def want(self, waiting: int, since: float, limit: int) -> None:
        """Say that so many wait here (0: nobody any more), the oldest `since` (time.monotonic()); `limit` as for `take`.

        Say it again whenever one of the three changes. A place that is free is put aside for them at once: call `take` after it.
        """

    def subscribe(self, free: Callable[[], None]) -> None:
        """Call `free` in the loop's thread when a place was put aside for those who wait here: `take` now succeeds."""

    def close(self) -> None:
        """This one is no longer used; its subscriber is forgotten, its places stay taken until given back."""


class Asker(Protocol):
    """A gateway as tasks ask it: the one they live in, or one over HTTP."""

    blocking: bool
    """Whether its caller waits for it, with no event loop between."""

    async def ask(self, path: str, body: Mapping[str, Any], errand: Errand, hear: Callable[[str], None] | None = None) -> Said:
        """Post `body` to a model route of OpenAI's, such as `/v1/chat/completions`, and wait for all of the answer.

        With `hear` it comes as a stream, and each piece of its text is handed over. Raises HomeportError: what the gateway said.
        """

    async def places(self, model: str, *, private: bool = False) -> Sequence[tuple[str | None, str]]:
        """The engine ("llama.cpp" "vllm" "ollama" …, None where it is not known) and the location of each backend behind a name; empty for none.

        What was so some seconds ago will do. Before a `private` ask it must be as it is now, and of those that keep such asks on local
        backends; nobody else is asked then. Raises HomeportError where nobody says that.
        """


class Heard(Struct, frozen=True):
    """What a tunnel's child process said. `reason` is for people.

    connected: the way stands, as far as the child knows. unreachable: the other side is not there. lost: it was, and is gone.
    held: the place on the other side is taken. refused: the other side, or this one, will not have it, and trying again will not help by itself.
    """

    event: Literal["connected", "unreachable", "lost", "held", "refused"]
    reason: str


class Tunnel(Protocol):
    """A way into this home from elsewhere, held open by a child process."""

    @property
    def kind(self) -> str:
        """ssh | cloudflared"""

    @property
    def url(self) -> str | None:
        """Where this home can be asked from here by way of the tunnel; None where only the other end can."""

    @property
    def environment(self) -> Mapping[str, str]:
        """What the child's environment has beside this process's own; secrets are here, never in its command line."""

    @property
    def asks(self) -> str:
        """Who should be asking through it, for people."""

    def command(self, relay: str) -> list[str]:
        """The child's command line; where the kind relays, what comes in goes to `relay`, HOST:PORT. Raises HomeportError, OSError."""

    def hear(self, line: str) -> Heard | None:
        """What a line of the child's says, or None where that is nothing of note."""
