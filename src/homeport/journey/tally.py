"""Exactly one Receipt for each Ask, whatever happened."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType

from homeport.errors import CallerError, ClientLeft, Unauthenticated, Uncarried
from homeport.journey.resume import Resumption
from homeport.ports import Backend, Store
from homeport.rules import pricing
from homeport.vocabulary import NOTHING, Ask, Attempt, Receipt, Reply, Route, Usage
from homeport.wire.crossing import Bridge, Streaming

LONGEST_NAME = 256  # of a model
AT_ONCE_S = 0.001  # an answer that came within this was read at once: its speed is not the engine's


class Account:
    """What is known so far of one Ask; settled once, into its Receipt."""

    __slots__ = (
        "_begun",
        "_started",
        "_tally",
        "answered",
        "ask",
        "attempts",
        "backend",
        "caller",
        "choices",
        "committed",
        "dialect",
        "first_token_at",
        "queue_s",
        "resumption",
        "retry_in_s",
        "route",
        "sends",
        "settled",
        "shut",
        "tries",
        "ts",
        "uncarried",
        "usage",
    )

    def __init__(self, ask: Ask, tally: Tally) -> None:
        self.ask = ask
        self._tally = tally
        self._started = False
        self._begun: float | None = None  # when the open attempt began
        self.tries = 0
        self.choices = 1  # routes it may take
        self.sends = 0  # of them, those that came to a backend
        self.retry_in_s = math.inf  # when one that was left out may be asked again
        self.settled = False
        self.committed = False  # content has reached the caller
        self.caller = ask.caller
        self.route: Route | None = None
        self.backend: Backend | None = None
        self.answered: tuple[str, str] | None = None  # the model and its location, where a Homeport behind says which it was
        self.dialect = ask.dialect  # of the backend under way, once there is one
        self.attempts: list[Attempt] = []
        self.usage = NOTHING
        self.first_token_at: float | None = None
        self.queue_s = 0.0
        self.shut: tuple[str, ...] = ()  # backends that were not to be reached, or had no room, whichever model is asked there
        self.uncarried: Uncarried | None = None  # why a route could not be asked
        self.resumption: Resumption | None = None  # where a cut answer may be continued
        self.ts = time.time()

    def __enter__(self) -> Account:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.settled:
            return
        if self._started or not isinstance(error, Unauthenticated):  # strangers do not fill the disk
            self.settle(_outcome(error, self.committed))

    def started(self) -> None:
        """About to be dispatched: on record before the first byte goes to a backend."""
        self.sends += 1
        if not self._started:
            self._started = True
            self._tally.store.started(self.ask, self.ts, self.caller.key)

    def begin(self, route: Route, backend: Backend) -> None:
        """An attempt at a backend begins."""
        self.route = route
        self.backend = backend
        self.answered = None
        self.dialect = backend.dialect
        if not self.committed:
            self.first_token_at = None
        self.tries += 1
        self._begun = time.perf_counter()

    def end(self, outcome: str, reason: str) -> None:
        """The attempt is over; a second call does nothing."""
        if self._begun is not None and self.route is not None:
            spent = ms(time.perf_counter() - self._begun)
            self.attempts.append(Attempt(self.route.backend, self.route.model, outcome, reason, spent))
            self._begun = None

    def gave_up(self, backend: str) -> bool:
        """Whether this Ask found a backend not to be reached, or without room: another model of it would be no different."""
        return backend in self.shut

    def ways(self, routes: Sequence[Route]) -> Iterable[Route]:
        """The routes in their order; where a cut answer may be continued, then those that go on with it."""
        self.choices = len(routes)
        if routes[0].on_break == "error":
            return routes
        self.resumption = Resumption(routes)
        return self.resumption.ways()

    def resume(self, bridge: Bridge) -> Streaming:
        """For the stream of the attempt under way, which may be gone on with, or goes on with another one's."""
        assert self.resumption is not None
        assert self.route is not None
        return self.resumption.stream(self.ask, bridge, self.route, self.dialect, int(self.ts))

    def may_continue(self, error: BaseException) -> bool:
        """Whether the text that the caller has may be gone on with after this failure."""
        return self.resumption is not None and self.resumption.after(error)

    def hear(self, headers: Mapping[bytes, bytes]) -> None:
        """A Homeport behind says which of its models answers, and where that is. What counts as cloud here stays so."""
        assert self.backend is not None
        model = "".join(sign for sign in headers[b"x-homeport-model"][:LONGEST_NAME].decode("latin-1") if sign.isprintable())
        self.answered = (model, "cloud" if headers.get(b"x-homeport-location") == b"cloud" else self.backend.location)

    def commit(self) -> None:
        """Content is about to reach the caller: from here on there is no other route, but to go on with the same text."""
        self.committed = True
        self.first_token_at = time.perf_counter()

    def generation_s(self) -> float:
        """Seconds since the first token of the open attempt; since the attempt began where all of it came at once."""
        now = time.perf_counter()
        seconds = now - self.first_token_at if self.first_token_at is not None else 0.0
        return seconds if seconds > AT_ONCE_S or self._begun is None else now - self._begun

    def figures(self, usage: Usage, generation_s: float) -> dict[str, object]:
        """The `homeport` object of a stream's last record."""
        first = self.first_token_at
        model, location = self._where()
        more = {"continued": self.resumption.times} if self.resumption is not None and self.resumption.times else {}
        return {
            "backend": self.backend.name if self.backend is not None else None,
            "model": model,
            "location": location,
            "attempts": self.tries,
            "tok_per_s": rate(usage.completion, generation_s),
            "gen_time": round(generation_s, 4),
            "tokens": usage.completion,
            "first_token_ms": ms(first - self.ask.arrived) if first is not None else None,
            **more,
        }

    def settle(self, outcome: str, reply: Reply | None = None) -> float:
        """Write the Receipt; called before the last byte goes out, or when it never will. Tokens per second."""
        self.settled = True
        ask, route, first = self.ask, self.route, self.first_token_at
        now = time.perf_counter()
        if self._begun is not None and route is not None:
            reason = "" if route.begun is None else "it went on with the answer"
            self.attempts.append(Attempt(route.backend, route.model, outcome, reason, ms(now - self._begun)))
            self._begun = None
        if reply is not None:
            usage, generation_s = reply.usage, reply.generation_s
        else:
            usage, generation_s = self.usage, now - first if first is not None else 0.0
        backend = self.backend
        model, location = self._where()
        arrived, tokens, errand = ask.arrived, usage.completion, ask.errand
        speed = rate(tokens, generation_s)
        self._tally.settled(
            Receipt(
                ask.id,
                self.ts,
                self.caller.key,
                ask.app,
                (errand.task or None) if errand is not None else None,
                ask.dialect,
                ask.model,
                model,
                backend.name if backend is not None else None,
                backend.kind if backend is not None else None,
                location,
                ask.stream,
                outcome,
                self.attempts,
                usage.prompt,
                tokens,
                usage.cached,
                usage.reasoning,
                ask.prompt_chars,
                ms(self.queue_s) if self.queue_s else 0.0,
                ms(first - arrived) if first is not None else None,
                int((now - arrived) * 100_000) / 100,  # ms(), in place
                speed,
                pricing.cost_usd(location),
                None,
                None,
                list(errand.checks) if errand is not None else [],
            )
        )
        return speed

    def _where(self) -> tuple[str | None, str | None]:
        """The model that answers, and its location; None where none was asked."""
        if self.answered is not None:
            return self.answered
        return self.route.model if self.route is not None else None, self.backend.location if self.backend is not None else None


def ms(seconds: float) -> float:
    """Milliseconds with two decimals."""
    return int(seconds * 100_000) / 100


def rate(tokens: int, seconds: float) -> float:
    """Tokens per second; 0 where nothing was generated or no time passed."""
    return int(tokens / seconds * 100) / 100 if tokens and seconds > 0 else 0.0


def _outcome(error: BaseException | None, committed: bool) -> str:
    if isinstance(error, ClientLeft):
        return "client_left"
    if committed:
        return "cut"
    if isinstance(error, CallerError):
        return "refused"
    return "failed"


class Tally:
    """Opens an Account for each Ask, and counts what they came to (step `tally`)."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.counts: dict[str, int] = {}  # settled Asks by outcome, since the start
        self.observers: list[Callable[[Receipt], None]] = []  # told of each receipt; they must be quick

    def __call__(self, ask: Ask) -> Account:
        return Account(ask, self)

    def settled(self, receipt: Receipt) -> None:
        """Count a receipt and put it on record."""
        self.counts[receipt.outcome] = self.counts.get(receipt.outcome, 0) + 1
        for observe in self.observers:
            observe(receipt)
        self.store.settled(receipt)
