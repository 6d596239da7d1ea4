"""A backend reached over HTTP, in whatever dialect it speaks: vLLM, llama.cpp, Ollama, a cloud, or our own engine."""

from __future__ import annotations

import time

from homeport.backends.answer import Clocks
from homeport.backends.cards import Cards
from homeport.backends.health import PATIENCE_S, Health
from homeport.backends.leases import Lease, Leases, LeftOut, QueueFull
from homeport.backends.line import ANTHROPIC_VERSION, Line
from homeport.backends.node import REPORT_S
from homeport.backends.pool import Endpoint, Shared
from homeport.backends.probing import Probing
from homeport.backends.wake import waker
from homeport.errors import BackendError, CallerError, ClientLeft, Refused, Stalled, Stopping, Unauthenticated
from homeport.ports import Clock, Places, Upstream
from homeport.rules import selection
from homeport.rules.breaker import UNSTEADY
from homeport.settings import BackendSettings
from homeport.vocabulary import Ask, Card, Finding, Route, Standing
from homeport.wire.bridge import BRIDGES
from homeport.wire.dialects import SPOKEN
from homeport.wire.fitting import fitted

LOOK_AGAIN_S = 1.0  # at most, between two probes of a backend of one's own that is left out


class FixedEndpoint:
    """An address from the settings, taken to be there until an attempt shows otherwise."""

    state = "healthy"
    reason = ""

    def __init__(self, url: str, key: str | None) -> None:
        self.url = url
        self.key = key
        self.since = time.time()

    async def ready(self, timeout_s: float) -> None:
        """Always."""


class SystemClock:
    """The machine's clocks (port Clock)."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)


SYSTEM = SystemClock()


class HttpBackend:
    """One backend (port Backend): its places, its health, and how it is asked. `places` counts over all who share it."""

    def __init__(self, settings: BackendSettings, endpoint: Endpoint, shared: Shared, *, places: Places, clock: Clock = SYSTEM) -> None:
        self.settings = settings
        self.name = settings.name
        self.kind = settings.kind
        self.location = settings.location
        self.dialect = settings.kind if settings.kind in SPOKEN else "openai"
        self._endpoint = endpoint
        self._clock = clock
        self._bridges = BRIDGES[self.dialect]
        self._versioned = self.dialect == "anthropic"
        self._stream_clocks = Clocks(settings.first_token_timeout_s, settings.idle_timeout_s, settings.total_timeout_s)
        self._whole_clocks = Clocks(settings.total_timeout_s, settings.total_timeout_s, settings.total_timeout_s)
        self._shown = self._stood = ""  # its state, and its endpoint's, as they were noted last
        self._since = endpoint.since  # seconds since the epoch
        self._left_out: set[str] = set()  # as Health's, when it changed last
        self._opened = shared.opened
        self.probe_at = float("inf")  # when it is to be probed out of its turn; monotonic
        self._cards = Cards(self.name, self.kind)
        self._leases = Leases(settings.max_in_flight, settings.queue, settings.queue_timeout_s, places)
        self.health = Health(clock, settings.max_in_flight, self._changed, drained=settings.drained)
        self._line = Line(settings, endpoint, shared, self.dialect)
        self.probing = Probing(settings, endpoint, self._line, self.health, self._leases, self._cards, self._changed, clock)
        self._gateway = shared.gateway.encode()
        told = bool(shared.gateway) and self.kind in SPOKEN and self.location == "local"
        self._via = b"homeport-via: %b\r\n" % self._gateway if told else b""  # it may be a Homeport, and send it back; a cloud is told once it says so
        self.probing.warmer.once = lambda what, for_s: shared.once(f"{settings.name} {what}", for_s)
        self._waker = waker(settings.name, settings.wake, settings.url)

    @property
    def models(self) -> list[str]:
        """What it serves, by the names there."""
        return self.probing.models

    @models.setter
    def models(self, names: list[str]) -> None:
        self.probing.models = names

    # how it could take an ask

    @property
    def in_flight(self) -> int:
        return self._leases.in_flight

    def load(self, model: str) -> float:
        """Leases taken; and as many more as it has places, in the measure that asks for this model failed lately: one that fails fast does not look idle."""
        leases, health, behind = self._leases, self.health, self.probing.behind
        taken = leases.in_flight if behind is None else behind.load(model, leases.in_flight)
        return taken if health.pristine else taken + leases.limit * health.errors(model)

    def rank(self, model: str) -> int:
        """How well it could take an ask for this model now (rules/selection)."""
        leases, health = self._leases, self.health
        if self.settings.drained:
            return selection.GONE
        if self._endpoint.state == "down" or self.probing.loading:
            return selection.OPEN
        if not health.pristine:
            circuit = health.circuit(model)
            if circuit.open and (circuit.kind == "unreachable" or not health.may_try(model)):  # where nothing can be reached probes find out, not asks
                return selection.OPEN
        if leases.in_flight >= leases.open:
            return selection.FULL
        if self.probing.behind is not None and (told := self.probing.behind.rank(model, leases.in_flight, self._clock.monotonic())) != selection.WELL:
            return told
        return selection.UNSTEADY if self._endpoint.state != "healthy" or (not health.pristine and health.errors(model) >= UNSTEADY) else selection.WELL

    def wanted(self) -> None:
        """An ask would have liked to come here, and was sent elsewhere."""
        if self.health.whole.open:
            self._waker.call(self._clock.monotonic())
        elif self.probing.behind is not None:
            self.probing.behind.wanted = True

    @property
    def look_in_s(self) -> float:
        """How soon it is probed again while it is left out: asks stay away for longer and longer, but what is ours is back as soon as it is there."""
        wait = self.health.opens_in("")
        expected = self.location == "local" and not (self.probing.discovered and not self.models)
        return min(wait, LOOK_AGAIN_S) if expected else wait

    def standing(self) -> Standing:
        """How it is right now, from memory."""
        leases, health = self._leases, self.health
        state, reason = self._state()
        return Standing(
            self.name,
            self.kind,
            self.location,
            state,
            reason,
            self._since,
            leases.in_flight,
            leases.limit,
            leases.queued,
            self.models,
            health.ttft_ms,
            health.tok_per_s,
            health.retry_at if state == "open" else None,
            self.probing.cold_start_s,
            leases.zombies,
            self.probing.behind.shown() if self.probing.behind is not None else None,
        )

    def _state(self) -> tuple[str, str]:
        """Its state, and why; since when it is in it is noted."""
        endpoint = self._endpoint
        if self.settings.drained:
            state, reason = "drained", "its settings say drained = true"
        elif endpoint.state != "healthy":
            state, reason = ("open" if endpoint.state == "down" else endpoint.state), endpoint.reason
        elif self.probing.loading:
            state, reason = "loading", self.probing.behind.reason if self.probing.behind is not None else "it loads its model"
        else:
            state, reason = self.health.state(len(self.models))
            if state == "healthy" and self.probing.behind is not None:
                state, reason = self.probing.behind.state, self.probing.behind.reason
            reason = reason or endpoint.reason
        if state != self._shown:
            self._since = endpoint.since if endpoint.state != self._stood else self._clock.time()
            self._shown, self._stood = state, endpoint.state
        return state, reason

    # the way of an ask

    def take(self, model: str = "") -> Lease | None:
        """A place now for an ask of this model, or None."""
        if self.health.pristine:
            return self._leases.take()
        if not self.health.may_try(model):
            return None
        lease = self._leases.take()
        if lease is not None:
            self.health.enter(model)
        return lease

    async def wait(self, model: str = "", key: str | None = None, *, only: bool = True) -> Lease:
        """A place from the bounded queue, in turn with the other keys. Raises QueueFull, or LeftOut where it is not asked for now.

        Where its next try is near, that is waited for; but who is in the queue as it is left out, and has other ways (not `only`), is sent there.
        """
        health, leases = self.health, self._leases
        deadline = self._clock.monotonic() + self.settings.queue_timeout_s
        while True:
            while not health.may_try(model):
                left = health.opens_in(model)
                if left > PATIENCE_S or self._clock.monotonic() >= deadline:
                    self.wanted()
                    raise LeftOut(f"it is left out for now: {self._state()[1]}", retry_in_s=left)
                if health.watchers >= leases.queue:
                    raise QueueFull(f"it is tried by another ask just now, and its queue of {leases.queue} is full")
                await health.change(left or max(deadline - self._clock.monotonic(), 0.01))
            lease = self.take(model)
            if lease is not None:
                return lease
            try:
                hasty = leases.queue == 0 or (not only and leases.in_flight < leases.open)  # it looked free; who counts elsewhere may say otherwise
                lease = await leases.wait(key, max(deadline - self._clock.monotonic(), 0.01), hasty=hasty)
            except LeftOut:
                if not only:
                    raise
                continue
            if health.enter(model):
                return lease
            lease.release()

    def send(self, ask: Ask, route: Route) -> Upstream:
        """Send the ask, as a stream where its caller wants one or whole replies are assembled here; what comes back comes by `head`.

        Raises Uncarried where the backend's dialect cannot say what is asked.
        """
        if self._cards.fits and (fit := self._cards.fits.get(route.model)) is not None:
            ask = fitted(ask, fit)
        bridge = self._bridges[ask.surface]
        stream = ask.stream or (self.settings.assemble and bridge.streamable(ask))
        path, body = bridge.request(ask, route, stream=stream)
        more = self._via if self.probing.behind is None and not ask.via else self._hop(ask)
        if ask.trace:
            more += b"traceparent: " + ask.trace + b"\r\n"
        if route.private or (ask.errand is not None and ask.errand.private):  # another Homeport behind this one keeps to it
            more += b"homeport-private: true\r\n"
        if self._versioned:
            more += ask.versions if b"anthropic-version" in ask.versions else ask.versions + ANTHROPIC_VERSION
        answer = self._line.send(path, more, body, self._stream_clocks if stream else self._whole_clocks)
        answer.streamed = stream
        return answer

    def _hop(self, ask: Ask) -> bytes:
        """The way that an ask has come, and its id, as header lines for a Homeport behind this one."""
        if self.kind not in SPOKEN or not self._gateway:
            return b""
        via = b"homeport-via: %b%b\r\n" % (ask.via + b", " if ask.via else b"", self._gateway)
        if self.probing.behind is None:
            return via if self._via else b""
        self.probe_at = min(self.probe_at, self._clock.monotonic() + REPORT_S)
        return b"%bx-request-id: %b\r\n" % (via, ask.id.encode())

    def seen(self, model: str, error: BaseException | None, upstream: Upstream | None = None) -> bool:
        """An ask for this model is over: answered, or what it failed with. Whether it may still be computing.

        An engine that was silent may be. Where its caller left, or it was ended here, an Ollama does not notice during the prompt (ollama #11889),
        and neither it nor llama.cpp's server at all where the answer was to come whole.
        """
        if error is None and self.health.pristine:
            return False
        if self.probing.loading and isinstance(error, Refused):
            self.health.left(model)  # it was asked while it loads: no failure
            return False
        if isinstance(error, CallerError) and upstream is not None and upstream.status >= 400:
            error = None  # to refuse what is the caller's fault is an answer
        self.health.seen(model, error)
        if self.health.whole.open:
            self.wanted()
        if self.probing.behind is not None and isinstance(error, BackendError):
            self.probe_at = 0.0  # what it says of itself is out of date; or it is off, and only a tunnel's end takes connections
            if error.outcome == "full" and error.retry_in_s is not None:
                self.probing.behind.hold(model, self._clock.monotonic() + error.retry_in_s)
        if isinstance(error, Stalled):
            self.probe_at = 0.0  # whether it is gone altogether is found out now
            return True
        if upstream is None or not isinstance(error, ClientLeft | Unauthenticated | Stopping):
            return False
        unnoticed = not upstream.streamed or (self._cards.engine == "ollama" and not upstream.begun)
        return unnoticed and self._cards.engine in ("ollama", "llama.cpp")

    def _changed(self) -> None:
        """Its health is another: as many places as it is good for; and where it is left out, nobody waits for it."""
        self._state()
        health = self.health
        self._leases.limit_to(health.places)
        if health.whole.open:
            self.probe_at = min(self.probe_at, self._clock.monotonic() + self.look_in_s)
        if not health.left_out <= self._left_out:  # newly so: who waits decides anew
            self._leases.dismiss(lambda: LeftOut("it is left out for now", retry_in_s=health.opens_in("")))
            self._opened(self.name, health.left_out - self._left_out)
        self._left_out = set(health.left_out)

    def hinted(self, models: list[str]) -> None:
        """Another gateway has ceased to ask it, or these models: look for oneself, soon."""
        self.health.hinted(models)
        self.probe_at = 0.0

    # what is asked of it for free

    async def probe(self) -> Finding:
        """Whether it answers at all, and what it serves."""
        found = await self.probing.probe()
        if self.probing.behind is not None:
            self.probe_at = min(self.probe_at, self._clock.monotonic() + self.probing.behind.soon_s(busy=self._leases.mine > 0 or self.probing.unanswered))
        return found

    async def learn(self) -> None:
        """What its models can do."""
        await self.probing.learn()

    def card(self, model: str) -> Card | None:
        """What is known of a model, by its name in a route."""
        return self._cards.find(model)

    @property
    def zombies(self) -> int:
        """Places of answers that nobody waits for, and that it may still compute."""
        return self._leases.zombies

    def close(self) -> None:
        """Close every connection; what is taken stays taken until it is given back."""
        self.probing.close()
        self._line.close(for_good=True)
        self._leases.close()

    @property
    def busy(self) -> bool:
        """Whether asks of this process have a place here, zombies included, or wait for one."""
        return self._leases.mine > 0 or self._leases.queued > 0

    def rest(self) -> None:
        """Close the idle connections."""
        self._line.rest()

    def forget(self) -> None:
        """Give the places of zombies back, whether it still computes for them or not."""
        self._leases.bury(self._leases.zombies)

    @property
    def sockets(self) -> int:
        """Open connections, idle ones included."""
        return self._line.sockets
