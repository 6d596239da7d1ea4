"""The gateway of the accelerated year: all that decides is the real one, on a manual clock; its backends are simulated."""

from __future__ import annotations

import asyncio
import math
import random
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from homeport.backends.answer import Clocks
from homeport.backends.catalogue import Catalogue
from homeport.backends.deadlines import Deadlines
from homeport.backends.http import FixedEndpoint, HttpBackend
from homeport.backends.pacing import Pacing
from homeport.backends.pool import Shared
from homeport.errors import BackendError, BrokeMidStream, HomeportError, Stalled, Unreachable
from homeport.fleet.alone import Alone
from homeport.journey.choose import Choose
from homeport.journey.dispatch import Dispatch, exhausted
from homeport.journey.tally import Account, Tally
from homeport.monitor import notify
from homeport.monitor.outbox import Outbox
from homeport.monitor.transitions import Transitions
from homeport.rules import breaker
from homeport.rules.breaker import CLOSED
from homeport.settings import Settings
from homeport.testing.clock import ManualClock
from homeport.vocabulary import CHAT, Ask, Event, Finding, Receipt
from tests.dialects import ask
from tests.faults.year.world import Backend

INTERVAL_S = 15.0  # between probes
LOOK_S = 0.25  # how exact the time of a probe is
PAGE_S = 5.0  # a probe's patience
SOON_S = 90.0  # before an outage ends, every probe counts
SEND_S = 0.002  # for a refused connection to be refused


class Upstream:
    """One answer that is only said to come (port Upstream, as far as an attempt needs it)."""

    begun = False

    def __init__(self, line: Line, clocks: Clocks) -> None:
        self._line, self._clocks = line, clocks

    def finish(self) -> None:
        """Nothing to put away."""

    def close(self) -> None:
        """Nothing to put away."""

    async def arrives(self, chance: tuple[float, float], on_first: Callable[[], None]) -> None:
        """Wait as long as the answer takes. Raises what the backend's outages make of it."""
        line, clock = self._line, self._line.clock
        truth, begun = line.truth, clock.monotonic()
        state = truth.state(begun)
        if state == "dark":
            await asyncio.sleep(line.connect_timeout_s)
            raise Unreachable("no connection within its time")
        if state == "refused":
            await asyncio.sleep(SEND_S)
            raise Unreachable("the connection was refused")
        first, rest = truth.takes(begun, chance)
        for seconds, patience in ((first, self._clocks.first_token_s), (rest, self._clocks.idle_s)):
            await self._passes(seconds, patience)
            if not self.begun:
                self.begun = True
                on_first()

    async def _passes(self, seconds: float, patience: float) -> None:
        line, now = self._line, self._line.clock.monotonic()
        cut = line.truth.next_outage(now)
        if cut is not None and cut.begin < now + min(seconds, patience if not self.begun else seconds):
            await asyncio.sleep(cut.begin - now)
            if cut.state == "refused":
                error: BackendError = BrokeMidStream("the connection closed before the end of the answer")
                error.gone = True
                raise error
            await asyncio.sleep(patience)
            raise self._stalled()
        if not self.begun and seconds > patience:
            await asyncio.sleep(patience)
            raise self._stalled()
        await asyncio.sleep(seconds)

    def _stalled(self) -> Stalled:
        error = Stalled("no token within its time")
        error.frozen = True
        return error


class Line:
    """The way to a simulated backend, in place of `homeport.backends.line.Line`."""

    quiet_s = math.inf
    sockets = 0

    def __init__(self, truth: Backend, clock: ManualClock, connect_timeout_s: float) -> None:
        self.truth, self.clock, self.connect_timeout_s = truth, clock, connect_timeout_s
        self.pages = 0

    def send(self, path: str, more: bytes, body: bytes, clocks: Clocks) -> Upstream:
        return Upstream(self, clocks)

    async def page(self, path: str, body: bytes | None = None, *, timeout_s: float = PAGE_S) -> bytes:
        self.pages += 1
        state = self.truth.state(self.clock.monotonic())
        if state == "dark":
            await asyncio.sleep(self.connect_timeout_s)
        if state != "up":
            raise Unreachable("the connection was refused" if state == "refused" else "no connection within its time")
        return b'{"object":"list","data":[{"id":"m"}]}'

    def rest(self) -> None:
        """No connections."""

    def close(self) -> None:
        """No connections."""


class Watched(HttpBackend):
    """A backend as the gateway has it, on a simulated line; `poked` whenever its health changed."""

    poked: asyncio.Event | None = None

    def _changed(self) -> None:
        super()._changed()
        if self.poked is not None:
            self.poked.set()


class Nowhere:
    """A journal that keeps nothing (port Store)."""

    def started(self, ask: Ask, ts: float, key: str | None) -> None:
        """Not kept."""

    def settled(self, receipt: Receipt) -> None:
        """Not kept."""

    def after(self, send: Callable[[bytes], object], data: bytes) -> None:
        send(data)


class NoTraffic:
    """Where requests went is not simulated (port Whereabouts)."""

    def goes(self, backend: str) -> str | None:
        return None

    def went(self, backend: str, since: float, until: float) -> str | None:
        return None


class Receiver:
    """Whom the owner's events are delivered to: it fails at times, and at times has taken one although the answer never says so."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.got: list[str] = []  # ids, each time one came

    def takes(self, url: str, event: Event, ended: threading.Event | None) -> str | None:
        """Whether it took the event, as the gateway learns of it (homeport.monitor.notify.Send)."""
        chance = self.rng.random()
        if chance < 0.1:
            return "the receiver did not answer"
        self.got.append(event.id)
        return "the answer was lost" if chance < 0.15 else None


class Gateway:
    """Asks go in by `ask`; `events` is what its owner was told, with the moment each was."""

    def __init__(self, settings: Settings, world: dict[str, Backend], clock: ManualClock, folder: Path, rng: random.Random) -> None:
        self.clock, self.world = clock, world
        self.events: list[tuple[float, Event]] = []
        self.outcomes: Counter[str] = Counter()
        self.probes = 0
        self.backends = {name: self._backend(settings, name, rng) for name in settings.backends}
        self.choose = Choose(Catalogue(settings), self.backends)
        self.dispatch = Dispatch(self.backends)
        self.tally = Tally(Nowhere())
        self.outbox = Outbox(folder)
        self.outbox._connection.execute("PRAGMA synchronous = OFF")  # nobody cuts the power here
        monitor = settings.monitor
        to = notify.targets(["json://owner"])
        self.receiver = Receiver(rng)
        self.messenger = notify.Messenger(folder, to, send=self.receiver.takes, clock=clock.monotonic, chance=rng.random)
        keys, at, now = [target.key for target in to], clock.monotonic(), clock.time()
        self.transitions = Transitions(self.outbox, keys, NoTraffic(), down_after=monitor.down_after, up_after=monitor.up_after, at=at, now=now)
        self._pattern = ask(CHAT, text="hi")

    def _backend(self, settings: Settings, name: str, rng: random.Random) -> Watched:
        given = settings.backends[name]
        backend = Watched(
            given,
            FixedEndpoint("http://nowhere", None),
            Shared(Deadlines(), Pacing(), lambda call, data: call(data)),
            places=Alone().at(given.name),
            clock=self.clock,
        )
        backend.health._chance = rng.random
        line: Any = Line(self.world[name], self.clock, given.connect_timeout_s)
        backend._line = backend.probing._line = line
        return backend

    async def ask(self, number: int, chances: dict[str, tuple[float, float]], *, stream: bool) -> str:
        """One ask, as `serve` goes about it; "answered", "cut" once text was shown, or "refused"."""
        asked = msgspec.structs.replace(self._pattern, id=str(number), stream=stream)
        account = Account(asked, self.tally)
        try:
            with account:
                await self._served(asked, account, chances)
            return "answered"
        except HomeportError:
            return "cut" if account.committed else "refused"

    async def _served(self, asked: Ask, account: Account, chances: dict[str, tuple[float, float]]) -> None:
        for route in account.ways(self.choose(asked, asked.caller)):
            if account.attempts and account.gave_up(route.backend):
                continue
            with self.dispatch(asked, route, account) as attempt:
                if not attempt.take():
                    await attempt.wait()
                upstream: Any = attempt.send()
                await upstream.arrives(chances[route.backend], account.commit if asked.stream else lambda: None)
                account.settle("ok")
                return
        raise exhausted(asked, account)

    # what homeport.upstreams does, without the probes that find what is known

    async def watch(self, name: str) -> None:
        """Probe one backend in its turn, and out of it while it is left out."""
        backend, truth, clock = self.backends[name], self.world[name], self.clock
        backend.poked = asyncio.Event()
        due = clock.monotonic()
        while True:
            now = clock.monotonic()
            if self._settled(name) and truth.state(now) == "up" and due > now:
                await self._wait(backend.poked, truth.changes_at(now) - now)
                missed = math.ceil((clock.monotonic() - due) / INTERVAL_S)
                due += max(0, missed) * INTERVAL_S
                continue
            if self._stays_away(name):  # each probe would find the same, for hours
                await asyncio.sleep(truth.changes_at(now) - now - SOON_S)
                due += math.ceil((clock.monotonic() - due) / INTERVAL_S) * INTERVAL_S
                continue
            at = min(due, max(now, backend.probe_at))
            if at > now:
                await self._wait(backend.poked, math.ceil((at - now) / LOOK_S) * LOOK_S)
                continue
            watched = now >= due
            if watched:
                due = now + INTERVAL_S
            await self._attention(backend, watched=watched)

    def _settled(self, name: str) -> bool:
        """Whether a probe that finds it there would find nothing new: until the world changes, or an ask."""
        known, health, zombies = self.transitions._watched.get(name), self.backends[name].health, self.backends[name].zombies
        if known is None or known.streak or zombies:
            return False
        if health.pristine:
            return known.state == "up"
        now = self.clock.monotonic()
        for circuit in (health.whole, *health.models.values()):
            if circuit != CLOSED and not circuit.open and (circuit.wins < 0 or breaker.errors(circuit, now) >= breaker.FORGOTTEN):
                return False
        return not health.whole.open and known.state == ("down" if health.state(1)[0] == "open" else "up")

    def _stays_away(self, name: str) -> bool:
        known, health, now = self.transitions._watched.get(name), self.backends[name].health, self.clock.monotonic()
        told = known is not None and known.state == "down" and not known.streak
        longest = health.whole.open and health.whole.dark and health.whole.openings >= 8  # between two tries
        return told and longest and self.world[name].state(now) != "up" and self.world[name].changes_at(now) > now + 2 * SOON_S

    @staticmethod
    async def _wait(poked: asyncio.Event, seconds: float) -> None:
        poked.clear()
        try:
            async with asyncio.timeout(None if math.isinf(seconds) else seconds):
                await poked.wait()
        except TimeoutError:
            return

    async def _attention(self, backend: Watched, *, watched: bool) -> None:
        """As `Upstreams._attention`."""
        self.probes += 1
        backend.probe_at = math.inf
        finding = await backend.probe()
        if backend.health.whole.open:
            backend.probe_at = self.clock.monotonic() + backend.look_in_s
        if watched:
            self._saw(backend.name, finding)
        if backend.zombies:
            await backend.probing.settle()

    def _saw(self, name: str, finding: Finding) -> None:
        event = self.transitions.saw(name, finding, self.clock.monotonic(), self.clock.time())
        if event is not None:
            self.events.append((self.clock.monotonic(), event))
            self._deliver()

    def _deliver(self) -> None:
        again = self.messenger.turn(self.outbox)
        if again is not None:
            asyncio.get_running_loop().call_later(again, self._deliver)
