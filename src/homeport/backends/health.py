"""How one backend fares: what its asks and probes showed, and whether it is asked now (rules/breaker decides)."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Collection, Iterable

from homeport.errors import BackendError
from homeport.ports import Clock
from homeport.rules import breaker
from homeport.rules.breaker import CLOSED, Circuit, Failure
from homeport.vocabulary import Receipt

WEIGHT = 0.2  # of the last answer in the moving averages
PATIENCE_S = 1.0  # an ask with nowhere else to go waits this long for a backend that is open


class Health:
    """The circuits of one backend, its own and each model's; `changed` is called when one opens, closes, or has more places.

    `pristine` is True while there is nothing to look at: then no ask pays for any of this. With `drained` no ask may go there.
    """

    def __init__(self, clock: Clock, limit: int, changed: Callable[[], None], *, drained: bool = False, chance: Callable[[], float] = random.random) -> None:
        self.pristine = not drained
        self._drained = drained
        self.whole: Circuit = CLOSED
        self.models: dict[str, Circuit] = {}  # those that are not as new
        self.ttft_ms: float | None = None  # moving average
        self.tok_per_s: float | None = None
        self._clock = clock
        self._limit = limit
        self._changed = changed
        self._chance = chance
        self.left_out: set[str] = set()  # models whose circuit is open; "": the whole
        self._trials: set[str] = set()  # models by which an open circuit is tried just now
        self._watchers: list[asyncio.Future[None]] = []

    def reset(self) -> None:
        """Forget what was."""
        self.whole, self.models = CLOSED, {}
        self._trials.clear()
        self._note()

    # what is asked of it

    def circuit(self, model: str) -> Circuit:
        """The one that stands in a model's way, or that would; the backend's own first."""
        return self.whole if self.whole.open else self.models.get(model, CLOSED)

    def enter(self, model: str) -> bool:
        """Whether an ask may go to this model now; it is noted as the one that tries it, where its circuit is open."""
        if self.pristine or not (self._drained or self._open_ones(model)):
            return True
        if not self.may_try(model):
            return False
        self._trials.add(model)
        return True

    def may_try(self, model: str) -> bool:
        """Whether `enter` would say yes."""
        if self._drained:
            return False
        now = self._clock.monotonic()
        open_ones = self._open_ones(model)
        if not all(breaker.admits(circuit, now) for circuit in open_ones):
            return False
        return not open_ones or (model not in self._trials and not (self.whole.open and self._trials))

    def opens_in(self, model: str) -> float:
        """Seconds until the circuits in this model's way may be tried; 0 where that is now, infinite where it is drained."""
        if self._drained:
            return math.inf
        now = self._clock.monotonic()
        return max([0.0, *(circuit.retry_at - now for circuit in self._open_ones(model))])

    def errors(self, model: str | None = None) -> float:
        """The share of asks that failed lately, 0 to 1: of a model, or of the one that fares worst."""
        now = self._clock.monotonic()
        circuits = self.models.values() if model is None else [self.models.get(model, CLOSED)]
        return max(breaker.errors(circuit, now) for circuit in (self.whole, *circuits))

    def condemned(self, models: int) -> bool:
        """Whether it is left out, and not for a single silence: what its owner should hear of. `models` as for `state`."""
        return breaker.confirmed(self.whole) or (bool(self.models) and sum(map(breaker.confirmed, self.models.values())) >= models)

    def state(self, models: int) -> tuple[str, str]:
        """healthy | degraded | open, and why, in words for people. `models` is how many it serves: where all are left out, it is."""
        opened = {model: circuit for model, circuit in self.models.items() if circuit.open}
        if self.whole.open:
            return "open", self.whole.reason
        if opened and len(opened) >= models:
            return "open", next(iter(opened.values())).reason
        if opened:
            return "degraded", "; ".join(f"{model} is left out: {circuit.reason}" for model, circuit in opened.items())
        if self.whole.wins >= 0:
            return "degraded", f"it has just come back, and gets {self.places} of its {self._limit} places"
        if self.errors() >= breaker.UNSTEADY:
            worst = max((self.whole, *self.models.values()), key=lambda circuit: circuit.errors)
            return "degraded", f"{self.errors():.0%} of its asks failed lately: {worst.reason}"
        return "healthy", ""

    @property
    def places(self) -> int:
        """How many asks may be under way."""
        return breaker.places(self.whole, self._limit)

    @property
    def retry_at(self) -> float | None:
        """When an open backend is tried again, seconds since the epoch; None where it is not open."""
        open_ones = [circuit for circuit in (self.whole, *self.models.values()) if circuit.open]
        if not open_ones:
            return None
        return self._clock.time() + max(0.0, open_ones[0].retry_at - self._clock.monotonic())

    async def change(self, timeout_s: float) -> None:
        """Wait until something changed, or for so long."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(timeout_s, _wake, turn)
        self._watchers.append(turn)
        try:
            await turn
        finally:
            timer.cancel()
            if turn in self._watchers:
                self._watchers.remove(turn)

    @property
    def watchers(self) -> int:
        """How many wait for a change."""
        return len(self._watchers)

    # what it is told

    def seen(self, model: str, error: BaseException | None) -> None:
        """An ask to this model is over: answered, or failed by `error`. Who left, or never came there, says nothing."""
        if self.pristine and error is None:
            return
        tried = model in self._trials
        self._trials.discard(model)
        now = self._clock.monotonic()
        if error is None:
            self.whole = breaker.settled(breaker.succeeded(self.whole, now), self._limit)
            self._keep(model, breaker.settled(breaker.succeeded(self.models.get(model, CLOSED), now), self._limit))
        elif isinstance(error, BackendError) and error.outcome in ("unreachable", "stalled", "broke", "refused"):
            gone = error.outcome == "unreachable" or error.gone
            failure = Failure(error.outcome, str(error), error.frozen)
            if gone or (tried and self.whole.open):
                self.whole = breaker.failed(self.whole, Failure("unreachable", str(error)), now, self._chance(), tried=tried)
            if not gone:
                self._keep(model, breaker.failed(self.models.get(model, CLOSED), failure, now, self._chance(), tried=tried))
        elif not tried:
            return
        self._note()

    def left(self, model: str) -> None:
        """An ask to this model is over, and says nothing of it; the next one may try it, where that is due."""
        if model in self._trials:
            self._trials.discard(model)
            self._note()

    def found(self, *, good: bool, reason: str = "") -> None:
        """A free probe found it well, or not."""
        if good and self.pristine:
            return
        now, chance = self._clock.monotonic(), self._chance()
        dark = self.whole.open and self.whole.dark
        self.whole = breaker.probed(self.whole, good=good, reason=reason, now=now, chance=chance)
        if good and dark:  # whatever held its models up may be over as well: it was as good as off
            for model, circuit in list(self.models.items()):
                self._keep(model, breaker.back(circuit, now))
        if good:
            self.whole = breaker.rested(self.whole, self._limit, now)
            for model, circuit in list(self.models.items()):
                self._keep(model, breaker.rested(circuit, self._limit, now))
        self._note()

    def hinted(self, models: Iterable[str]) -> None:
        """Another gateway has ceased to ask these ("": the whole, which a probe looks at): the next failure here is enough."""
        now = self._clock.monotonic()
        for model in models:
            if model:
                self._keep(model, breaker.hinted(self.models.get(model, CLOSED), now))
        self._note()

    def back(self, models: Collection[str]) -> None:
        """A Homeport that has them says that these answer again: that asks for them failed meanwhile says nothing any more."""
        now = self._clock.monotonic()
        for model, circuit in list(self.models.items()):
            if not {model, f"{model}:latest", model.removesuffix(":latest")}.isdisjoint(models):
                self._keep(model, breaker.back(circuit, now))
        self._note()

    def measured(self, receipt: Receipt) -> None:
        """An answer came from here at the first attempt: what its receipt says of the backend's speed."""
        if receipt.first_token_ms is not None:
            self.ttft_ms = _averaged(self.ttft_ms, max(0.0, receipt.first_token_ms - receipt.queue_ms))
        if receipt.tok_per_s:
            self.tok_per_s = _averaged(self.tok_per_s, receipt.tok_per_s)

    def _open_ones(self, model: str) -> list[Circuit]:
        return [circuit for circuit in (self.whole, self.models.get(model, CLOSED)) if circuit.open]

    def _keep(self, model: str, circuit: Circuit) -> None:
        if circuit == CLOSED:
            self.models.pop(model, None)
        else:
            self.models[model] = circuit

    def _note(self) -> None:
        if not self.whole.open:
            self._trials = {model for model in self._trials if self.models.get(model, CLOSED).open}
        self.pristine = not (self._drained or self.models or self.whole != CLOSED)
        self.left_out = {model for model, circuit in self.models.items() if circuit.open} | ({""} if self.whole.open else set())
        self._changed()
        watchers, self._watchers = self._watchers, []
        for turn in watchers:
            _wake(turn)


def _averaged(before: float | None, last: float) -> float:
    return last if before is None else before + WEIGHT * (last - before)


def _wake(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)
