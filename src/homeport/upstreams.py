"""The backends of one gateway: made from its settings, looked after for free, and the names they serve."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from homeport.backends import discovery
from homeport.backends.catalogue import Catalogue
from homeport.backends.file_digest import FileDigest
from homeport.backends.http import FixedEndpoint, HttpBackend
from homeport.backends.pool import Shared
from homeport.backends.pulled import Pulled, PulledBackend
from homeport.backends.removed import Removed
from homeport.errors import HomeportError
from homeport.ports import Places
from homeport.rules import pinning
from homeport.settings import BackendSettings, Settings
from homeport.storage.shelf import Shelf
from homeport.vocabulary import Card, Finding, Receipt

if TYPE_CHECKING:
    from homeport.backends.borrowed import Borrowed, Borrower
    from homeport.backends.engine import Engine

log = logging.getLogger("homeport")

LOOK_S = 0.25  # how often it is looked whether a backend is to be probed
SHELF_S = 1.0  # how soon a pulled model is served
RETIRE_S = 0.05  # how often it is looked whether a backend that was replaced has ended its answers


class Backends(dict[str, HttpBackend]):
    """By name. One that a reload took away is still found by the journeys that chose it before, and answers nothing."""

    def __missing__(self, name: str) -> HttpBackend:
        return Removed(name)  # type: ignore[return-value]  # it is all that a journey needs (port Backend)


class Change(NamedTuple):
    """What a reload does to the backends, by name."""

    kept: list[str]
    changed: list[str]
    added: list[str]
    removed: list[str]


class Upstreams:
    """All backends, by name, and what stands behind each served name.

    `saw` is told what each probe in its turn found: one every `probe_interval_s`. A backend that is left out is probed more often, so that
    it is back as soon as it answers; of those probes nobody is told, or a moment's absence would look like a long one.
    """

    def __init__(
        self,
        settings: Settings,
        shared: Shared,
        saw: Callable[[str, Finding], None],
        places: Callable[[str], Places],
        borrower: Borrower | None = None,
    ) -> None:
        self.settings = settings
        self._shared = shared
        self._saw = saw
        self._places = places
        self._borrower = borrower  # where the engines are another process's
        self._engines: dict[str, Engine] = {}
        self._due: dict[str, float] = {}  # when a backend's next probe in its turn is due, monotonic
        self._attended: dict[str, asyncio.Task[None]] = {}
        self._stopped = False
        self._retiring: dict[HttpBackend, asyncio.Task[None]] = {}
        self.backends = Backends({backend.name: self._made(backend) for backend in self._told(settings)})
        self.catalogue = Catalogue(settings)
        self._shelf = Shelf(settings.server.data / "models") if settings.discover else None
        self._shelf_at = 0.0
        self._files: dict[str, FileDigest] = {}  # of our own engines that have a pin
        self.strayed: Callable[[str, str, str, str], None] = lambda _backend, _model, _digest, _why: None  # told of another model than is pinned
        self._note_pins()
        self._pulled = Pulled(shared, settings.server.data, self._soon, places, borrower)
        self._look_at_shelf()
        self._list()

    async def start(self) -> None:
        """Engines begin to load."""
        for engine in self._engines.values():
            await engine.start()

    async def stop(self) -> None:
        """End engines, and whatever is under way with backends."""
        self._stopped = True
        for task in (*self._attended.values(), *self._retiring.values()):
            task.cancel()
        for engine in self._engines.values():
            await engine.stop()
        await self._pulled.stop()
        for backend in (*self.backends.values(), *self._retiring):
            backend.close()

    async def look(self) -> None:
        """Called every LOOK_S: begin what is due; nothing is waited for."""
        now = time.monotonic()
        if now >= self._shelf_at:
            self._shelf_at = now + SHELF_S
            if self._look_at_shelf():
                self._list()
        for name, backend in list(self.backends.items()):
            watched = now >= self._due.get(name, 0.0)
            if watched or now >= backend.probe_at or backend.zombies:
                self._attend(backend, watched=watched)

    async def round(self) -> None:
        """Probe every backend in its turn, now, and wait for what comes of it."""
        for backend in list(self.backends.values()):
            self._attend(backend, watched=True)
        await asyncio.gather(*self._attended.values())

    def hinted(self, name: str, models: list[str]) -> None:
        """Another gateway has ceased to ask a backend, or models there."""
        backend = self.backends.get(name)
        if backend is not None:
            backend.hinted(models)

    def measured(self, receipt: Receipt) -> None:
        """An answer is over: how fast its backend was, where it was asked first (Tally.observers)."""
        if receipt.outcome == "ok" and len(receipt.attempts) == 1 and receipt.backend is not None:
            backend = self.backends.get(receipt.backend)
            if backend is not None:
                backend.health.measured(receipt)

    def routes(self) -> list[tuple[str, list[str]]]:
        """Each served name and its backends, in order."""
        return [(name, [route.backend for route in served.routes]) for name, served in self.catalogue.items()]

    # what a reload changes

    def compare(self, settings: Settings) -> Change:
        """What would become of the backends. A pulled model is none of these: it comes and goes with its file."""
        wanted = {told.name: told for told in self._told(settings)}
        now = {name: backend for name, backend in self.backends.items() if not isinstance(backend, PulledBackend)}
        both = [name for name in wanted if name in now]
        kept = [name for name in both if now[name].settings == wanted[name]]
        changed = [name for name in both if name not in kept]
        return Change(kept, changed, [name for name in wanted if name not in now], [name for name in now if name not in wanted])

    async def change(self, settings: Settings) -> Change:
        """Take over other settings. What did not change stays as it is; what did ends the answers it has under way, and another is in its place.

        Raises BadSettings where a backend cannot be made; then nothing has changed.
        """
        change, before, engines = self.compare(settings), self.settings, dict(self._engines)
        wanted = {told.name: told for told in self._told(settings)}
        self.settings = settings
        try:
            made = {name: self._made(wanted[name]) for name in (*change.changed, *change.added)}
        except HomeportError:
            self.settings, self._engines = before, engines
            raise
        gone = [*change.removed, *change.changed]
        if not settings.discover:
            gone += [name for name, backend in self.backends.items() if isinstance(backend, PulledBackend)]
        old = [self.backends.pop(name) for name in gone]
        for name in wanted:  # in the order of the file
            self.backends[name] = made[name] if name in made else self.backends.pop(name)
            self.backends[name].probing.discovered = settings.discover
            self.backends[name].probing.down_after = settings.monitor.down_after
        self._shelf = (self._shelf or Shelf(settings.server.data / "models")) if settings.discover else None
        self.catalogue.configure(settings)
        self._note_pins()
        self._look_at_shelf()
        self._list()
        for backend in old:
            self._forget(backend.name)
            self._retiring[backend] = asyncio.ensure_future(self._retire(backend, engines.get(backend.name)))
        for name in change.removed:
            self._engines.pop(name, None)
        for name in made:
            if name in self._engines:
                await self._engines[name].start()
        return change

    def _forget(self, name: str) -> None:
        """What was begun for the backend that had this name."""
        self._due.pop(name, None)
        task = self._attended.pop(name, None)
        if task is not None:
            task.cancel()

    async def _retire(self, backend: HttpBackend, engine: Engine | None) -> None:
        """Let it end the answers it has under way, then close it."""
        settled, patience = time.monotonic(), time.monotonic() + backend.settings.total_timeout_s
        while backend.busy:
            backend.rest()
            await asyncio.sleep(RETIRE_S)
            if backend.zombies and time.monotonic() > settled + 1.0:
                await self._guarded(backend.probing.settle, backend.name)
                settled = time.monotonic()
            if time.monotonic() > patience:  # only zombies are left by now, and nobody says whether they are computed
                backend.forget()
        backend.close()
        if engine is not None:
            await engine.stop()
        self._retiring.pop(backend, None)
        log.info("%s was taken out of the configuration, or is another now; what it had under way has ended", backend.name)

    # backends

    @staticmethod
    def _told(settings: Settings) -> list[BackendSettings]:
        """The backends of the settings; without any, whatever engine may be on loopback, and the pilot."""
        named = list(settings.backends.values())  # with discovery those that routes name without a section: bundled ones
        return [*discovery.candidates(), discovery.bundled(), *(backend for backend in named if backend.name != "pilot")] if settings.discover else named

    def _made(self, settings: BackendSettings) -> HttpBackend:
        if settings.kind not in ("engine", "pilot"):
            assert settings.url is not None
            backend = HttpBackend(settings, FixedEndpoint(settings.url, settings.api_key), self._shared, places=self._places(settings.name))
            backend.probing.discovered = self.settings.discover
            backend.probing.down_after = self.settings.monitor.down_after
            return backend
        engine = self._engine(settings)
        make = HttpBackend
        if settings.kind == "pilot":
            from homeport.skills.backend import PilotBackend  # what code does better, code does

            make = PilotBackend
        backend = make(settings, engine, self._shared, places=self._places(settings.name))
        backend.models = [settings.name]
        engine.on_change = lambda: self._soon(backend)
        return backend

    def _engine(self, settings: BackendSettings) -> Engine | Borrowed:
        if self._borrower is not None:
            return self._borrower.engine(settings.name)
        from homeport.backends.engine import Engine  # loaded only where there is one

        engine = self._engines[settings.name] = Engine(
            model=discovery.weights(settings),
            slots=settings.slots,
            context=settings.context,
            name=settings.name,
            log=self.settings.server.data / f"engine-{settings.name}.log",
            digest=discovery.digest(settings),
        )
        return engine

    def _list(self) -> None:
        pilot_last = sorted(self.backends.values(), key=lambda backend: backend.kind == "pilot") if self.settings.discover else self.backends.values()
        listed = {backend.name: backend.models for backend in pilot_last if backend.models}
        for name, backend in self.backends.items():
            if backend.settings.keep_warm:  # the first of the models that are asked of it
                routes = [route for _, served in self.catalogue.items() for route in served.routes if route.backend == name]
                warmer = backend.probing.warmer
                warmer.model, warmer.keep_alive = (routes[0].model, routes[0].options.get("keep_alive")) if routes else (None, None)
        self.catalogue.learn(listed, self._card)

    def _card(self, backend: str, model: str) -> Card | None:
        """What is known of a model; of our own engines' also its file, where that has a pin."""
        card, file = self.backends[backend].card(model), self._files.get(backend)
        if file is None:
            return card
        card = card or Card(engine="llama.cpp")
        return msgspec.structs.replace(card, weights=msgspec.structs.replace(card.weights, digest=file.value or pinning.UNREAD))

    def _note_pins(self) -> None:
        """The files of our own engines that have a pin; a new one is looked at soon."""
        pinned = {route.backend for model in self.settings.models.values() for route in model.routes if route.digest is not None}
        files = {name: discovery.weights(self.backends[name].settings) for name in pinned if self.backends[name].kind in ("engine", "pilot")}
        self._files = {name: file for name, file in self._files.items() if files.get(name) == file.path}
        for name, path in files.items():
            if name not in self._files:
                self._files[name] = FileDigest(path)
                self._due.pop(name, None)

    async def _look_at_pins(self, name: str) -> None:
        """Whether the models of a backend are still those that are pinned."""
        file = self._files.get(name)
        if file is not None:
            await asyncio.get_running_loop().run_in_executor(None, file.look)
            self._list()
        for (backend, model), digest, why in self.catalogue.strayed(self._card):
            if backend == name:
                self.strayed(backend, model, digest, why)

    def _look_at_shelf(self) -> bool:
        """Take in the pulled models, where the settings leave it to Homeport what is served. Whether anything is new."""
        if self._shelf is None:
            return False
        try:
            found = {name: (stored.path, stored.files) for name, stored in self._shelf.found().items()}
        except OSError:  # no right to read it, or a network folder that is away: what is served stays
            return False
        return self._pulled.refresh(found, self.backends)

    # looking after them

    def _soon(self, backend: HttpBackend) -> None:
        """It has just begun to answer, or ceased to."""
        backend.probe_at = 0.0
        if not self._stopped:
            self._attend(backend, watched=False)

    def _attend(self, backend: HttpBackend, *, watched: bool) -> None:
        """Probe one, and do what follows; never twice at once."""
        under_way = self._attended.get(backend.name)
        if under_way is None or under_way.done():
            self._attended[backend.name] = asyncio.ensure_future(self._guarded(functools.partial(self._attention, backend, watched=watched), backend.name))

    @staticmethod
    async def _guarded(work: Callable[[], Awaitable[None]], name: str) -> None:
        try:
            await work()
        except Exception as error:
            log.exception("looking after %s failed: %s", name, type(error).__name__)

    async def _attention(self, backend: HttpBackend, *, watched: bool) -> None:
        away = backend.health.whole.open
        if watched:
            self._due[backend.name] = time.monotonic() + self.settings.monitor.probe_interval_s
        backend.probe_at = float("inf")
        finding = await backend.probe()
        if backend.health.whole.open and not (backend.probing.discovered and not backend.models):
            backend.probe_at = time.monotonic() + backend.look_in_s
        if watched:
            self._saw(backend.name, finding)
        self._list()
        if backend.zombies:
            await backend.probing.settle()
        if watched or (away and not backend.health.whole.open):
            await backend.learn()
        self._list()
        if watched:
            await self._look_at_pins(backend.name)
