"""The composition root: settings → adapters → steps → server; it owns start, drain and stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from homeport import __version__
from homeport.backends import discovery
from homeport.backends.catalogue import Catalogue
from homeport.backends.deadlines import Deadlines
from homeport.backends.http import FixedEndpoint, HttpBackend
from homeport.backends.pacing import Pacing
from homeport.backends.pool import Shared
from homeport.backends.pulled import Pulled
from homeport.errors import BadSettings, HomeportError, Stopping
from homeport.front.gateway import After, Live
from homeport.front.pages import Name, Place
from homeport.front.protocol import Front
from homeport.journey.accept import Accept
from homeport.journey.admit import Admit
from homeport.journey.answer import Answers
from homeport.journey.cache import NoCache
from homeport.journey.choose import Choose
from homeport.journey.dispatch import Dispatch
from homeport.journey.relay import Relay
from homeport.journey.review import Review
from homeport.journey.tally import Tally
from homeport.monitor.monitor import Monitor
from homeport.monitor.traffic import Traffic
from homeport.ports import Out
from homeport.serve import Steps, serve
from homeport.settings import BackendSettings, Settings, address, is_loopback
from homeport.storage.answered import Answered
from homeport.storage.commit import GroupCommit
from homeport.storage.journal import Journal
from homeport.storage.keeper import LedgerKeeper
from homeport.storage.keys import Keys
from homeport.storage.shelf import Shelf
from homeport.vocabulary import Caller, Incident, Request, Standing

if TYPE_CHECKING:
    from homeport.backends.engine import Engine
    from homeport.front.handover import Pages

log = logging.getLogger("homeport")

KEYS_S = 0.2  # how soon a new or revoked key counts
SHELF_S = 1.0  # how soon a pulled model is served
SWEEP_S = 1.0  # how often quiet connections are looked for


class App:
    """One gateway: everything that a running Homeport is made of."""

    version = __version__

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.started_at = time.time()
        self.max_body = settings.server.max_body_mb * 1024 * 1024
        self.draining = False
        self.connections: set[Live] = set()
        self.url = ""
        self._public = not is_loopback(settings.server.listen)
        self._keys = Keys(settings.server.data)
        if self._public and not self._keys.exist:
            raise BadSettings(
                f'listen = "{settings.server.listen}" can be reached from other machines, and there is no key yet. '
                "Make one with `homeport keys add NAME`, or listen on 127.0.0.1."
            )
        self._journal = Journal(settings.server.data)
        self._commit = GroupCommit(self._journal)
        self.after: After = self._commit.after
        self._keeper = LedgerKeeper(settings.server.data)
        self._deadlines = self.clock = Deadlines()
        self._shared = Shared(self._deadlines, Pacing(), self._commit.after)
        self._engines: list[Engine] = []
        self._backends = {backend.name: self._backend(backend) for backend in self._told()}
        self._shelf = Shelf(settings.server.data / "models") if settings.discover else None
        self._pulled = Pulled(self._shared, settings.server.data, self._learn_soon)
        self._catalogue = Catalogue(settings)
        self._look_at_shelf()
        self._list_models()
        traffic = Traffic(
            lambda: [(name, [route.backend for route in served.routes]) for name, served in self._catalogue.items()], Answered(settings.server.data)
        )
        self._monitor = Monitor(settings.server.data, settings.monitor, list(self._backends), traffic, lambda: self.url)
        self._admit = Admit(self._keys, public=self._public)
        self._tally = Tally(self._commit)
        self._steps = Steps(
            accept=Accept(),
            admit=self._admit,
            answer=Answers(self._catalogue, self._backends),
            cache=NoCache(),
            choose=Choose(self._catalogue, self._backends),
            dispatch=Dispatch(self._backends),
            relay=Relay(),
            review=Review(),
            tally=self._tally,
        )
        self._server: asyncio.Server | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._learning: set[asyncio.Task[None]] = set()
        self._pages: Pages | None = None

    # start and stop

    async def start(self) -> None:
        """Listen; engines load and backends are asked meanwhile. Raises OSError where the address cannot be had."""
        loop = asyncio.get_running_loop()
        self._deadlines.start()
        self._commit.bind(loop)
        host, port = address(self.settings.server.listen)
        self._server = await loop.create_server(lambda: Front(self, loop), host or None, port, backlog=2048)
        bound = self._server.sockets[0].getsockname()
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        self.url = f"http://{shown}:{bound[1]}"
        self._keeper.start()
        self._monitor.start()
        for engine in self._engines:
            await engine.start()
        self._tasks = [
            asyncio.ensure_future(every(period, work))
            for period, work in (
                (KEYS_S, self._refresh_keys),
                (SWEEP_S, self._sweep),
                (SHELF_S, self._watch_shelf),
                (self.settings.monitor.probe_interval_s, self._probe),
            )
        ]

    async def stop(self) -> None:
        """Refuse new connections, let answers end until the drain's deadline, then end the rest, and put everything away."""
        self.draining = True
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.drain()
        if self._pages is not None:
            self._pages.drain()
        deadline = time.monotonic() + self.settings.server.drain_timeout_s
        while (self.connections or (self._pages is not None and self._pages.open)) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        for connection in list(self.connections):
            connection.leave(Stopping("This gateway is stopping, and the answer was not done in time. Ask again in a moment."))
        for task in (*self._tasks, *self._learning):
            task.cancel()
        for engine in self._engines:
            await engine.stop()
        await self._pulled.stop()
        for backend in self._backends.values():
            backend.close()
        self._deadlines.stop()
        self._commit.flush()
        await asyncio.get_running_loop().run_in_executor(None, self._put_books_away)

    def discard(self) -> None:
        """It could not start: leave nothing behind."""
        self._journal.close()

    def _put_books_away(self) -> None:
        from homeport.storage.ledger import Ledger

        self._monitor.stop()
        self._keeper.stop()
        self._journal.close()
        try:
            with contextlib.closing(Ledger(self.settings.server.data)) as ledger:
                ledger.catch_up(LAST_ROWS)
        except HomeportError as error:
            log.warning("the ledger was not brought up to date: %s", error)

    # what the front needs (front.protocol.Gateway, front.asgi.Gateway)

    def serve(self, request: Request, out: Out) -> Coroutine[Any, Any, None]:
        """The journey of one request."""
        return serve(request, out, self._steps)

    @property
    def keyless(self) -> bool:
        """Whether no key exists, so that only this machine may ask."""
        return self._admit.keyless

    def greet(self, headers: dict[bytes, bytes]) -> Caller:
        """Check who asks before anything is read of the body. Raises Unauthenticated or Forbidden."""
        return self._admit.greet(headers)

    def other(self) -> asyncio.Protocol:
        """A protocol that serves every other page: uvicorn's, with the ASGI app; loaded when it is first needed."""
        if self._pages is None:
            from homeport.front.handover import Pages

            self._pages = Pages(self)
        return self._pages.connection()

    # what the pages show (front.pages.Overview)

    @property
    def trouble(self) -> str | None:
        """What the owner should see to, or None."""
        return self._journal.trouble or self._keys.trouble

    @property
    def counts(self) -> dict[str, int]:
        return self._tally.counts

    @property
    def incidents(self) -> Sequence[Incident]:
        return self._monitor.incidents

    def standings(self) -> Sequence[Standing]:
        """Every backend as it is now; with discovery, those that were found."""
        hidden = self.settings.discover
        return [backend.standing() for backend in self._backends.values() if not (hidden and backend.kind != "pilot" and not backend.models)]

    def models(self) -> Iterable[Name]:
        """Each served name, and what stands behind it."""
        states = {backend.name: backend.standing().state for backend in self._backends.values()}
        for name, served in self._catalogue.items():
            locations = {self._backends[route.backend].location for route in served.routes}
            places = [Place(route.backend, route.model, states[route.backend], self._backends[route.backend].card(route.model)) for route in served.routes]
            yield Name(name, places, "local" if locations == {"local"} else "mixed" if "local" in locations else "cloud")

    # backends

    def _told(self) -> list[BackendSettings]:
        """The backends of the settings; without any, whatever engine may be on loopback, and the pilot."""
        return [*discovery.candidates(), discovery.bundled()] if self.settings.discover else list(self.settings.backends.values())

    def _backend(self, settings: BackendSettings) -> HttpBackend:
        if settings.kind not in ("engine", "pilot"):
            assert settings.url is not None
            return HttpBackend(
                settings,
                FixedEndpoint(settings.url, settings.api_key),
                self._shared,
                discovered=self.settings.discover,
                down_after=self.settings.monitor.down_after,
            )
        from homeport.backends.engine import Engine  # loaded only where there is one

        engine = Engine(
            model=discovery.weights(settings),
            slots=settings.slots,
            context=settings.context,
            name=settings.name,
            log=self.settings.server.data / f"engine-{settings.name}.log",
        )
        self._engines.append(engine)
        backend = HttpBackend(settings, engine, self._shared)
        backend.models = [settings.name]
        engine.on_change = lambda: self._learn_soon(backend)
        return backend

    def _list_models(self) -> None:
        pilot_last = sorted(self._backends.values(), key=lambda backend: backend.kind == "pilot") if self.settings.discover else self._backends.values()
        listed = {backend.name: backend.models for backend in pilot_last if backend.models}
        self._catalogue.learn(listed, lambda backend, model: self._backends[backend].card(model))

    async def _watch_shelf(self) -> None:
        if self._look_at_shelf():
            self._list_models()

    def _look_at_shelf(self) -> bool:
        """Take in the pulled models, where the settings leave it to Homeport what is served. Whether anything is new."""
        if self._shelf is None:
            return False
        try:
            found = {name: (stored.path, stored.files) for name, stored in self._shelf.found().items()}
        except OSError:  # no right to read it, or a network folder that is away: what is served stays
            return False
        return self._pulled.refresh(found, self._backends)

    def _learn_soon(self, backend: HttpBackend) -> None:
        """It has just begun to answer, or ceased to."""
        if self.draining:
            return
        task = asyncio.ensure_future(self._probe_one(backend))
        self._learning.add(task)
        task.add_done_callback(self._learning.discard)

    async def _probe(self) -> None:
        """Ask every backend what it serves; free for them, and never waited for by a request."""
        await asyncio.gather(*(self._probe_one(backend, watched=True) for backend in self._backends.values()))

    async def _probe_one(self, backend: HttpBackend, *, watched: bool = False) -> None:
        finding = await backend.probe()
        if watched:  # in its turn: a change that was just heard of is no second failed probe
            self._monitor.saw(backend.name, finding)
        self._list_models()
        await backend.learn()
        self._list_models()

    async def _refresh_keys(self) -> None:
        if self._keys.refresh():
            names = set(self._keys.names())
            for connection in list(self.connections):
                connection.revoke(names)
        if self._journal.waiting:  # a full disk may have room again
            self._journal.flush()

    async def _sweep(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self.connections):
            connection.sweep(now)
        if self._pages is not None:
            self._pages.sweep()


LAST_ROWS = 200_000  # receipts the ledger is brought up to date with at the end; whoever reads it next does the rest


async def every(seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Do `work` now and then every so many seconds, until cancelled; a failure is logged and does not end it."""
    while True:
        try:
            await work()
        except Exception as error:
            log.exception("background work %s failed: %s", work.__name__, type(error).__name__)
        await asyncio.sleep(seconds)


def run(settings: Settings, *, ready: Callable[[str, Sequence[Standing]], None]) -> int:
    """Run a gateway in the foreground until SIGINT or SIGTERM; `ready` is called once it accepts requests.

    Raises:
        BadSettings: what is configured cannot be run.
        OSError: the address cannot be had.
    """
    app = App(settings)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_foreground(app, ready))
    return 0


async def _foreground(app: App, ready: Callable[[str, Sequence[Standing]], None]) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, ended.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(ended.set))
    try:
        await app.start()
    except OSError:
        app.discard()
        raise
    gc.freeze()  # what is there now stays: no collection need look at it again
    try:
        ready(app.url, app.standings())
        await ended.wait()
    finally:
        await app.stop()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where there is one (not on Windows), else asyncio's own."""
    with contextlib.suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop
    return None
