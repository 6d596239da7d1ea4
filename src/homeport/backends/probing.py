"""What a backend is asked for free, beside its asks: whether it answers, what it serves, what it still computes; and to load its model."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from homeport.backends import working
from homeport.backends.cards import Cards
from homeport.backends.health import Health
from homeport.backends.leases import Leases
from homeport.backends.line import Line, Unusable
from homeport.backends.node import ITSELF, Behinds
from homeport.backends.pool import REFUSED, Endpoint, NoDescriptor
from homeport.backends.warmth import Warmer
from homeport.errors import BackendError, Stalled, Unreachable
from homeport.ports import Clock
from homeport.runner import drive
from homeport.settings import BackendSettings
from homeport.vocabulary import Finding
from homeport.wire import node
from homeport.wire.dialects import SPOKEN

LOADING = "HTTP 503"  # what llama.cpp's server says while it loads
ZOMBIE_S = 10.0  # so long an answer that nobody waits for may go on in an engine that does not tell what it does
OWN = ("engine", "pilot")


class Probing:
    """Probes of one backend. `changed` is called when it begins to load or has loaded.

    With `discovered` nobody named the backend: it lists models only while it answers. `down_after` is how many probes in a row must go
    unanswered; that nothing can be connected to counts at once.
    """

    def __init__(
        self, settings: BackendSettings, endpoint: Endpoint, line: Line, health: Health, leases: Leases, cards: Cards, changed: Callable[[], None], clock: Clock
    ) -> None:
        self.models: list[str] = []
        self.behind: Behinds | None = None  # what it says of itself, where it is a Homeport
        self.discovered = False
        self.down_after = 2
        self._took_s: float | None = None  # to load by itself
        self._settings = settings
        self._endpoint = endpoint
        self._line = line
        self._health = health
        self._leases = leases
        self._cards = cards
        self._changed = changed
        self._clock = clock
        self._spoken = SPOKEN[settings.kind if settings.kind in SPOKEN else "openai"]
        self._unanswered = 0  # probes in a row
        self.warmer = Warmer(line, changed, clock)
        self._over = 0  # zombies whose answers seemed over at the last look
        self._good_since: float | None = None  # its probes are good, without a bad one between; time.monotonic()
        self._loads_since: float | None = None  # it said that it loads; monotonic
        self._listing = b""  # what it listed last

    @property
    def loading(self) -> bool:
        """Whether it loads its model, as far as is known."""
        if self.warmer.loading:
            return True
        return (self._loads_since is not None or (self.behind is not None and self.behind.state == "loading")) and not self._health.whole.open

    @property
    def unanswered(self) -> bool:
        """Whether the last probe was."""
        return self._unanswered > 0

    @property
    def cold_start_s(self) -> float | None:
        """How long it took to load when it did last."""
        return self.warmer.took_s or self._took_s

    async def probe(self) -> Finding:
        """Ask which models it serves, and note whether it answers at all. What was found is for the monitor."""
        if self._endpoint.state != "healthy":
            return Finding(False if self._endpoint.state == "down" else None, self._endpoint.reason)
        expected = bool(self.models) or not self.discovered
        try:
            if self._settings.kind not in OWN:
                await drive(self._list())
        except Unreachable as error:
            self._good_since = None
            if str(error) == REFUSED:  # the process is gone, and whatever it computed
                self._leases.bury(self._leases.zombies)
            self._unanswered += 1
            if self.discovered and self._unanswered >= self.down_after:
                self.models = []
            self._absent(str(error))
            return Finding(False if expected else None, str(error))
        except Unusable as error:
            self._good_since = None
            self._absent(str(error))
            return Finding(False if expected else None, str(error))
        except BackendError as error:  # it is there, and may be busy: a late probe is not *down* while it works for us, nor is one that loads
            self._good_since = None
            loads = str(error) == LOADING
            if loads:
                self._loads(True)
            excused = loads or isinstance(error, NoDescriptor) or (isinstance(error, Stalled) and self._works)
            self._unanswered += 0 if excused else 1
            if self._unanswered >= self.down_after:
                self._absent(str(error))
            return Finding(None if excused or not expected else False, str(error))
        self._unanswered = 0
        self._good_since = self._good_since or time.monotonic()
        self._loads(False)
        with contextlib.suppress(BackendError):
            await self.warmer.look()  # before it is asked again
        self._health.found(good=True)
        if self._health.condemned(max(len(self.models), 1)):  # its asks fail all the same
            return Finding(False, self._health.state(len(self.models))[1])
        if self.behind is not None and self.behind.state in ("loading", "open"):
            return Finding(None if self.behind.state == "loading" else False, self.behind.reason)
        return Finding(True)

    async def learn(self) -> None:
        """Ask what its models can do and how long a prompt may be. What cannot be had stays as it was."""
        if self._endpoint.state == "healthy" and not self._health.whole.open:
            with contextlib.suppress(BackendError):
                await drive(self._learn())

    async def settle(self) -> None:
        """Look whether it still computes what nobody waits for; what it does not, gives its place back."""
        leases = self._leases
        try:
            running = await drive(working.running(self._cards.engine, self._line.page))
        except BackendError:  # it does not answer: it may compute
            return
        if running is not None:
            over_now = leases.zombies - max(0, running - (leases.in_flight - leases.zombies))  # in flight: from all workers
            leases.bury(min(over_now, self._over))  # twice in a row: a place that is taken and not yet computing hides one
            self._over = over_now
        elif self._good_since is not None:
            over = time.monotonic() - ZOMBIE_S
            leases.bury(sum(max(since, self._good_since) < over for since in leases.lingering))
        leases.bury(sum(since < time.monotonic() - self._settings.total_timeout_s for since in leases.lingering))  # whoever else keeps it busy

    def close(self) -> None:
        """It is no longer used."""
        self.warmer.stop()

    def _loads(self, loads: bool) -> None:
        since = self._loads_since
        if loads and since is None:
            self._loads_since = self._clock.monotonic()
            self._changed()
        elif not loads and since is not None:
            self._took_s, self._loads_since = round(self._clock.monotonic() - since, 3), None
            self._health.reset()  # what was refused meanwhile says nothing
            self._changed()

    def _absent(self, reason: str) -> None:
        self._loads_since = None
        self.warmer.stop()
        self._health.found(good=False, reason=reason)

    @property
    def _works(self) -> bool:
        """Whether it works for us: an answer is awaited, and a token came lately."""
        return self._leases.mine > self._leases.zombies and self._line.quiet_s < self._settings.idle_timeout_s

    async def _list(self) -> None:
        listing = await self._line.page(self._spoken.models_path)
        other = node.gateway(listing)
        if other is not None and self.discovered:  # a Homeport that nobody named is left alone
            return
        if other is not None:
            await self._hear(other)
        elif listing:
            self.behind, self._line.spare_connections = None, False
        if (listed := self._spoken.models(listing)) or other is not None:
            self.models, self._listing = listed, listing

    async def _hear(self, other: str) -> None:
        """It is a Homeport: how it is."""
        if other == self._line.gateway:
            raise Unusable(ITSELF)
        if not self._line.spare_connections:
            self._line.spare_connections = True
            self._line.rest()  # the one by which this came as well
        behind = self.behind or Behinds()
        path, behind.wanted = node.WANTED if behind.wanted and behind.state in ("open", "degraded") else node.BRIEF, False
        report = node.report(await self._line.page(path, most=node.LARGEST))
        if report is None:  # it is of another version, and what the one before said of itself is over
            behind = Behinds()
        elif back := behind.take(report, self._leases.in_flight):
            self._health.back(back)
        self.behind = behind

    async def _learn(self) -> None:
        if self._settings.kind in OWN:  # whose models are known without asking
            self._listing = await self._line.page(self._spoken.models_path)
        await self._cards.learn(self._listing, self._line.page)
