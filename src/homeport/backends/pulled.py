"""Pulled models: one backend each, of which at most one is in memory; it is loaded when it is asked, in the place of the one before.

A model that is not in memory counts as healthy: it answers, after the seconds that loading takes. Who asks for another than the
one in memory waits for its turn: from then on the one in memory gets no new request, ends those under way, and makes room.
Turns go round in the order in which models were asked for, so no model keeps another out for longer than its answers last.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from homeport.backends.engine import Engine
from homeport.backends.http import HttpBackend
from homeport.backends.pool import Shared
from homeport.errors import Unreachable
from homeport.ports import Places, Upstream
from homeport.settings import BackendSettings
from homeport.vocabulary import Ask, Finding, Route, Standing

LOAD_S = 300.0  # a large file on a slow disk
LOOK_S = 0.05  # how often it is looked whether the answers under way have ended

if TYPE_CHECKING:
    from homeport.backends.borrowed import BorrowedSleeper, Borrower

log = logging.getLogger("homeport")


class Sleeper:
    """The endpoint of a pulled model: its engine, which is there only in its turn (pool.Endpoint)."""

    def __init__(self, engine: Engine, turns: Turns) -> None:
        self.engine = engine
        self.key = engine.key
        self._slept = time.time()
        self.waiting: deque[asyncio.Future[None]] = deque()  # who waits for the turn; each has a place at the backend
        self.in_flight: Callable[[], int] = int  # places taken at the backend
        self.close: Callable[[], None] = lambda: None  # its connections
        self._turns = turns

    @property
    def asleep(self) -> bool:
        """Whether it is not its turn."""
        return self._turns.resident is not self

    @property
    def url(self) -> str:
        """The engine's, while it is there."""
        return "" if self.asleep else self.engine.url

    @property
    def state(self) -> str:
        """The engine's; "loading" where a request has to wait for the turn."""
        return self.engine.state if self._turns.has(self) else "loading"

    @property
    def reason(self) -> str:
        """Why."""
        if self.asleep:
            return "loads when it is asked"
        return self.engine.reason if self._turns.has(self) else "makes room for another model"

    @property
    def since(self) -> float:
        """Since when."""
        return self._slept if self.asleep else self.engine.since

    def sleep(self) -> None:
        """Its turn is over."""
        self._slept = time.time()

    async def ready(self, timeout_s: float) -> None:
        """Wait for the turn, and until the model is loaded. Raises Unreachable."""
        deadline = time.monotonic() + timeout_s
        if not self._turns.has(self):
            place = asyncio.get_running_loop().create_future()
            self.waiting.append(place)
            self._turns.ask(self)
            try:
                async with asyncio.timeout(timeout_s):
                    await place
            except TimeoutError:
                raise Unreachable(f"another pulled model was busy for {timeout_s:g} s, and one at a time is in memory") from None
            finally:
                with contextlib.suppress(ValueError):
                    self.waiting.remove(place)
        await self.engine.ready(max(deadline - time.monotonic(), 0.1))

    def admit(self) -> None:
        """Its turn has come: those who wait for it go on."""
        while self.waiting:
            place = self.waiting.popleft()
            if not place.done():
                place.set_result(None)

    @property
    def quiet(self) -> bool:
        """Whether nobody is served, though some may wait."""
        return self.in_flight() <= len(self.waiting)


class Turns:
    """Which of the pulled models is in memory, and which are next."""

    def __init__(self) -> None:
        self.resident: Sleeper | None = None
        self._next: deque[Sleeper | None] = deque()  # None: only make room
        self._task: asyncio.Task[None] | None = None

    def has(self, sleeper: Sleeper) -> bool:
        """Whether it is its turn, and nobody else's next."""
        return self.resident is sleeper and not self._next

    def ask(self, sleeper: Sleeper | None) -> None:
        """Put it in the row; None makes room, and nothing comes in its place."""
        if sleeper is None or sleeper not in self._next:
            self._next.append(sleeper)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._go_round(), name="turns of pulled models")

    async def stop(self) -> None:
        """End the engine that runs."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._next.clear()
        if self.resident is not None:
            await self._leave(self.resident)

    async def _go_round(self) -> None:
        while self._next:
            wanted = self._next[0]
            if wanted is not None and not any(not place.done() for place in wanted.waiting):  # all of them have left
                self._next.popleft()
            elif wanted is not None and wanted is self.resident:
                self._next.popleft()
                wanted.admit()
            elif self.resident is not None and not self.resident.quiet:
                await asyncio.sleep(LOOK_S)
            elif self.resident is not None:
                await self._leave(self.resident)
            else:
                self._next.popleft()
                if wanted is not None:
                    self.resident = wanted
                    await wanted.engine.start()
                    wanted.admit()

    async def _leave(self, sleeper: Sleeper) -> None:
        sleeper.close()
        await sleeper.engine.stop()
        self.resident = None
        sleeper.sleep()


class PulledBackend(HttpBackend):
    """One pulled model."""

    def __init__(self, settings: BackendSettings, sleeper: Sleeper | BorrowedSleeper, shared: Shared, places: Places) -> None:
        super().__init__(settings, sleeper, shared, places=places)
        self.sleeper = sleeper
        self.models = [settings.name]
        sleeper.in_flight = lambda: self._leases.mine  # not what its successor of the same name has taken
        sleeper.close = self._line.close

    def standing(self) -> Standing:
        """As it is; one that is not in memory is well."""
        found = super().standing()
        return msgspec.structs.replace(found, state="healthy") if self.sleeper.asleep else found

    def send(self, ask: Ask, route: Route) -> Upstream:
        """As any backend; but while another model is next, each request waits for a turn, and takes no idle connection."""
        if self.sleeper.state != "healthy":
            self._line.rest()
        return super().send(ask, route)

    async def probe(self) -> Finding:
        """As any engine; asleep it is well, and put away it is nothing."""
        if self.sleeper.asleep:
            return Finding(True if self.models else None)
        return await super().probe()


class Pulled:
    """The backends of the models on the shelf, kept in step with what lies there."""

    def __init__(
        self,
        shared: Shared,
        logs: Path,
        changed: Callable[[HttpBackend], None],
        places: Callable[[str], Places],
        borrower: Borrower | None = None,
    ) -> None:
        self._shared = shared
        self._places = places  # at each, by name
        self._borrower = borrower  # where the engines are another process's
        self._logs = logs  # the folder of the engines' logs
        self._changed = changed  # called in the loop when one begins to answer, or ceases to
        self._turns = Turns()
        self._files: dict[str, object] = {}  # what each was when it was seen, by name

    def refresh(self, shelf: Mapping[str, tuple[Path, object]], backends: dict[str, HttpBackend]) -> bool:
        """Take in what lies on the shelf: by name the file, and what changes with its content. Whether anything is new.

        A new one is added to `backends`; one that is gone stays there and lists no models. A name that a backend of another kind
        has is passed over.
        """
        seen = {name: stored for name, stored in shelf.items() if isinstance(backends.get(name), PulledBackend | None)}
        if seen == self._files:
            return False
        for name, before in list(self._files.items()):
            backend = backends[name]
            if seen.get(name) != before and isinstance(backend, PulledBackend):
                backend.models = []
                if self._turns.resident is backend.sleeper:
                    self._turns.ask(None)
        for name, stored in seen.items():
            if self._files.get(name) != stored:
                before = backends.get(name)
                if before is not None and not before.busy:  # else its places stay in the count until the end
                    before.close()
                backends[name] = self._backend(name, stored[0])
                log.info("the model %s is served now", name)
        self._files = dict(seen)
        return True

    async def stop(self) -> None:
        """End the engine that runs."""
        await self._turns.stop()

    def _backend(self, name: str, path: Path) -> PulledBackend:
        settings = BackendSettings(name=name, kind="engine", model=path, first_token_timeout_s=LOAD_S)
        if self._borrower is not None:
            lent = self._borrower.sleeper(name, path)
            backend = PulledBackend(settings, lent, self._shared, self._places(name))
            lent.on_change = lambda: self._changed(backend)
            return backend
        engine = Engine(model=path, slots=settings.slots, context=settings.context, name=name, log=self._logs / f"engine-{name}.log", load_timeout_s=LOAD_S)
        backend = PulledBackend(settings, Sleeper(engine, self._turns), self._shared, self._places(name))
        engine.on_change = lambda: self._changed(backend)
        return backend
