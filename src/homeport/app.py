"""The composition root: settings → adapters → steps → server; it owns start, drain and stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from homeport import __version__, reloading
from homeport.backends.deadlines import Deadlines
from homeport.backends.pacing import Pacing
from homeport.backends.pool import Shared
from homeport.errors import BadSettings, HomeportError, Stopping
from homeport.fleet.alone import Alone, Crew
from homeport.fleet.identity import identity
from homeport.fleet.joining import together_with
from homeport.front.gateway import After, Live
from homeport.front.pages import Name, Place
from homeport.front.protocol import Front
from homeport.front.together import Together
from homeport.journey.accept import Accept
from homeport.journey.admit import admission
from homeport.journey.answer import Answers
from homeport.journey.cache import NoCache
from homeport.journey.choose import Choose
from homeport.journey.dispatch import Dispatch
from homeport.journey.limits import Limits
from homeport.journey.relay import Relay
from homeport.journey.review import Review
from homeport.journey.tally import Tally
from homeport.monitor.history import SAVE_S, History
from homeport.monitor.measures import Figure, Measures
from homeport.monitor.monitor import Monitor
from homeport.monitor.prometheus import Exporter
from homeport.monitor.readings import of_fleet, of_gateway
from homeport.monitor.siblings import NoSiblings
from homeport.monitor.telemetry import telemetry
from homeport.monitor.traffic import Traffic
from homeport.ports import Out, Pair, Siblings
from homeport.rules.canned import Canned
from homeport.serve import Steps, serve
from homeport.settings import Settings, address, is_loopback
from homeport.settings.answers import contents
from homeport.storage import locks
from homeport.storage.answered import Answered
from homeport.storage.commit import GroupCommit
from homeport.storage.journal import Journal
from homeport.storage.keeper import LedgerKeeper
from homeport.storage.keys import Keys
from homeport.tunnel import state as tunnel
from homeport.upstreams import LOOK_S, Change, Upstreams
from homeport.vocabulary import Caller, Finding, FleetStanding, Incident, Request, Standing

if TYPE_CHECKING:
    from homeport.backends.borrowed import Borrower
    from homeport.front.handover import Pages
    from homeport.tasks.served import Served

log = logging.getLogger("homeport")

KEYS_S = 0.2  # how soon a new or revoked key counts
SWEEP_S = 1.0  # how often quiet connections are looked for


class App:
    """One gateway: everything that a running Homeport is made of."""

    version = __version__

    def __init__(self, settings: Settings, siblings: Siblings | None = None, crew: Crew | None = None, borrower: Borrower | None = None) -> None:
        self.settings = settings
        self._crew = crew or Alone()
        self.siblings = siblings or NoSiblings()
        self.started_at = time.time()
        self._skew = self.started_at - time.monotonic()  # of the wall clock
        self.id = identity(self.siblings.folder)
        self.max_body = settings.server.max_body_mb * 1024 * 1024
        self.draining = False
        self.connections: set[Live] = set()
        self.url = ""
        self.public = not is_loopback(settings.server.listen)
        self._keys = Keys(settings.server.data)
        if self.public and not self._keys.exist:
            raise BadSettings(
                f'listen = "{settings.server.listen}" can be reached from other machines, and there is no key yet. '
                "Make one with `homeport keys add NAME`, or listen on 127.0.0.1."
            )
        self._journal = Journal(settings.server.data)
        self._commit = GroupCommit(self._journal)
        self.after: After = self._commit.after
        self._keeper = LedgerKeeper(settings.server.data)
        self._deadlines = self.clock = Deadlines()
        self.fleet = together_with(self._crew, settings.fleet, data=settings.server.data, gateway=self.id, workers=self.siblings.folder is not None)
        self._shared = Shared(self._deadlines, Pacing(), self._commit.after, self.id, self.fleet.hint, self.fleet.once)
        self.upstreams = Upstreams(settings, self._shared, self._saw, self.fleet.at, borrower)
        self.fleet.hinted = self.upstreams.hinted
        self._backends, self._catalogue = self.upstreams.backends, self.upstreams.catalogue
        self._monitor = self._watch(settings)
        self._watching: Callable[[str, Finding], None] = lambda _backend, _finding: None  # the monitor's, once this process leads
        self._telemetry = telemetry(settings.telemetry.otlp_url, __version__)
        self._tally = Tally(self._telemetry.over(self._commit))
        self._tally.observers.append(self.upstreams.measured)
        self.upstreams.strayed = self._strayed
        self._measures = Measures(self._catalogue)
        self._tally.observers.append(self._measures.observe)
        self.history = History(settings.server.data)
        self._tally.observers.append(self.history.observe)
        self._limits = self._counted(settings)
        self._admit = admission(self._keys, self._limits, self._tally.observers, public=self.public)
        self._steps = Steps(
            accept=Accept(self.id),
            admit=self._admit,
            answer=Answers(self._catalogue, self._backends, canned(settings)),
            cache=NoCache(),
            choose=Choose(self._catalogue, self._backends),
            dispatch=Dispatch(self._backends),
            relay=Relay(),
            review=Review(),
            tally=self._tally,
        )
        self._exporter = Exporter(
            self._measures, self._readings, self.siblings, settings.server.data / "outbox.sqlite", lambda: tunnel.is_up(self.settings, locks.held)
        )
        Together.answers(self)
        self._server: asyncio.Server | None = None
        self._patience_s = float("inf")  # of a drain, where somebody is in a hurry
        self._tasks: list[asyncio.Task[None]] = []
        self._pages: Pages | None = None
        self._served = served(settings) if settings.tasks.paths else None

    # start and stop

    async def start(self) -> None:
        """Listen; engines load and backends are asked meanwhile. Raises OSError where the address cannot be had."""
        loop = asyncio.get_running_loop()
        self._deadlines.start()
        self._commit.bind(loop)
        host, port = address(self.settings.server.listen)
        where: dict[str, Any] = {"sock": self._crew.socket} if self._crew.socket is not None else {"host": host or None, "port": port}
        self._server = await loop.create_server(lambda: Front(self), backlog=2048, **where)
        bound = self._server.sockets[0].getsockname()
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        self.url = f"http://{shown}:{bound[1]}"
        await self.fleet.start()
        await self._crew.join(self._lead)
        self.history.start()
        self._telemetry.start()
        await self.upstreams.start()
        self._tasks = [
            asyncio.ensure_future(every(period, work))
            for period, work in (
                (KEYS_S, self._refresh_keys),
                (SWEEP_S, self._sweep),
                (SAVE_S, self.history.save),
                (LOOK_S, self.upstreams.look),
            )
        ]

    def _counted(self, settings: Settings) -> Limits:
        """The limits of keys, counted with the other workers and gateways where there are any."""
        own: Callable[[str], Pair] | None = None
        if self.siblings.folder is not None:
            from homeport.fleet.levels import Levels

            own = Levels(self.siblings.folder).at
        return Limits(settings.limits, levels=lambda key: self.fleet.level(key, own(key) if own else [0.0, 0.0]), places=self.fleet.key)

    async def _lead(self) -> None:
        """What is done once for all workers of a gateway is done here from now on."""
        self._watching = self._monitor.saw
        self._keeper.start()
        self._monitor.start()

    async def reload(self, settings: Settings) -> Change:
        """Go on with other settings; what is under way ends as it began. Raises BadSettings where they cannot be run; then nothing has changed."""
        reloading.refuse(self.settings, settings)
        tasks = served(settings) if settings.tasks.paths else None
        answer = Answers(self._catalogue, self._backends, canned(settings))
        change = await self.upstreams.change(settings)
        before, self.settings, self._served = self.settings, settings, tasks
        self.max_body = settings.server.max_body_mb * 1024 * 1024
        if settings.limits != before.limits:
            self._limits.apply(settings.limits)
            self._admit = admission(self._keys, self._limits, self._tally.observers, public=self.public)
        self._steps = msgspec.structs.replace(self._steps, admit=self._admit, answer=answer, relay=Relay())  # a relay knows heads of backends that were
        if settings.monitor != before.monitor or settings.tunnel != before.tunnel or change.added or change.removed:
            old, self._monitor = self._monitor, self._watch(settings)
            self._monitor.incidents = old.incidents
            if self._watching == old.saw:
                self._watching = self._monitor.saw
                await asyncio.get_running_loop().run_in_executor(None, old.stop)
                self._monitor.start()
        return change

    def hurry(self) -> None:
        """The drain's deadline is now."""
        self._patience_s = 0.0

    async def stop(self, *, linger_s: float = 0.0) -> None:
        """Refuse new connections, let answers end until the drain's deadline, then end the rest, and put everything away.

        Where others accept in its place, connections that are open may ask once more for `linger_s` seconds; they are closed after that answer.
        """
        self.draining = True
        begun = time.monotonic()
        if self._server is not None:
            self._server.close()
        while self.connections and time.monotonic() < begun + min(linger_s, self._patience_s):
            await asyncio.sleep(0.05)
        for connection in list(self.connections):
            connection.drain()
        if self._pages is not None:
            self._pages.drain()
        while (self.connections or (self._pages is not None and self._pages.open)) and time.monotonic() < begun + min(
            self._patience_s, self.settings.server.drain_timeout_s
        ):
            await asyncio.sleep(0.05)
        for connection in list(self.connections):
            connection.leave(Stopping("This gateway is stopping, and the answer was not done in time. Ask again in a moment."))
        for task in self._tasks:
            task.cancel()
        await self.upstreams.stop()
        await self.fleet.stop()
        self._deadlines.stop()
        self._commit.flush()
        await asyncio.get_running_loop().run_in_executor(None, self._put_books_away)

    def discard(self) -> None:
        """It could not start: leave nothing behind."""
        self._journal.close()

    def _put_books_away(self) -> None:
        from homeport.storage.ledger import Ledger

        self._exporter.leave()
        self._telemetry.stop()
        self._monitor.stop()
        self.history.stop()
        self._keeper.stop()
        self._crew.leave()
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

    def wanted(self) -> None:
        """Somebody would like to ask what is away: it is woken where it can be."""
        for name in {served.routes[0].backend for _, served in self._catalogue.items()}:
            self._backends[name].wanted()

    @property
    def tasks(self) -> Served:
        """What `/tasks` serves; loaded when it is first asked for, unless the settings name files of tasks."""
        if self._served is None:
            self._served = served(self.settings)
        return self._served

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

    @property
    def fleet_standing(self) -> FleetStanding | None:
        return self.fleet.standing

    async def totals(self) -> Mapping[str, int]:
        """Settled Asks by outcome, of all workers."""
        return self.counts if self.siblings.folder is None else await self._exporter.outcomes()

    def _readings(self) -> Iterator[Figure]:
        yield from of_gateway(__version__, self.standings(), self.started_at, self._journal, self._steps.dispatch.held_back)
        yield from of_fleet(self.fleet.standing)

    async def metrics(self, accept: str, names: Sequence[str]) -> tuple[bytes, str]:
        """`/metrics`, and its content type."""
        return await self._exporter.page(accept, names)

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

    def _watch(self, settings: Settings) -> Monitor:
        traffic = Traffic(self.upstreams.routes, Answered(settings.server.data))
        looks = {tunnel.NAME: lambda: tunnel.finding(settings, locks.held)} if settings.tunnel is not None else {}
        return Monitor(settings.server.data, settings.monitor, list(self._backends), traffic, lambda: self.url, looks)

    def _saw(self, backend: str, finding: Finding) -> None:
        """A probe in its turn found this."""
        self._watching(backend, finding)
        self.history.saw(backend, finding)
        self._measures.probed(backend, finding.good)

    def _strayed(self, backend: str, model: str, digest: str, why: str) -> None:
        """Another model answers at a backend than its owner pinned."""
        if self._watching == self._monitor.saw:  # this process leads
            self._monitor.strayed(backend, model, digest, why)

    async def _refresh_keys(self) -> None:
        if self._keys.refresh():
            names = set(self._keys.names())
            for connection in list(self.connections):
                connection.revoke(names)
            self._admit.keep(names)
        if self._journal.waiting:  # a full disk may have room again
            self._journal.flush()

    async def _sweep(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self.connections):
            connection.sweep(now)
        if self._pages is not None:
            self._pages.sweep()
        moved = round(time.time() - time.monotonic() - self._skew)
        if moved:  # somebody set the clock: that makes the gateway no older
            self.started_at += moved
            self._skew += moved


LAST_ROWS = 200_000  # receipts the ledger is brought up to date with at the end; whoever reads it next does the rest


async def every(seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Do `work` now and then every so many seconds, until cancelled; a failure is logged and does not end it."""
    while True:
        try:
            await work()
        except Exception as error:
            log.exception("background work %s failed: %s", work.__name__, type(error).__name__)
        await asyncio.sleep(seconds)


def canned(settings: Settings) -> Canned:
    """What is answered without a model, with the files that the answers look things up in as they are now. Raises BadSettings."""
    return Canned(settings.answers.values(), contents(settings.answers))


def served(settings: Settings) -> Served:
    """The tasks that ship and those of the settings' files, which are run. Raises BadSettings."""
    from homeport.tasks.served import Served

    return Served(settings.tasks.paths)
