"""The engines of a gateway of several workers: one child process each, run by the parent, and used by all workers."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from homeport.backends import discovery
from homeport.backends.engine import Engine
from homeport.backends.pulled import LOAD_S, Sleeper, Turns
from homeport.errors import HomeportError
from homeport.settings import BackendSettings, Settings


class Loan(Struct, frozen=True):
    """How an engine is, for who uses it (pool.Endpoint)."""

    url: str
    state: str
    reason: str
    since: float
    asleep: bool = False  # a pulled model, and not its turn


class Lender:
    """Runs the engines; `changed` is called after each change. `in_use` says how many places are taken at a backend, by name."""

    def __init__(self, settings: Settings, in_use: Callable[[str], int], changed: Callable[[], None]) -> None:
        self._settings = settings
        self._in_use = in_use
        self._changed = changed
        self._engines: dict[str, tuple[BackendSettings, Engine]] = {}
        self._turns = Turns()
        self.key = secrets.token_urlsafe(32)  # of all of them, so that a worker knows it before one is there
        self._sleepers: dict[str, tuple[Path, Sleeper]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Let them load."""
        await self.change(self._settings)

    async def change(self, settings: Settings) -> None:
        """Run those of other settings; one whose settings did not change goes on. Raises HomeportError."""
        self._settings = settings
        told = {"pilot": discovery.bundled(), **settings.backends}.values() if settings.discover else settings.backends.values()
        wanted = {backend.name: backend for backend in told if backend.kind in ("engine", "pilot")}
        for name, (before, engine) in list(self._engines.items()):
            if wanted.get(name) != before:
                del self._engines[name]
                self._end_later(name, engine)
        for name, backend in wanted.items():
            if name not in self._engines:
                engine = self._engine(discovery.weights(backend), backend)
                self._engines[name] = (backend, engine)
                await engine.start()
        self._changed()

    async def stop(self) -> None:
        """End them all."""
        for task in self._ending:
            task.cancel()
        for _, engine in self._engines.values():
            await engine.stop()
        await self._turns.stop()

    def loans(self) -> Mapping[str, Loan]:
        """How each engine is now, by the name of its backend."""
        lent = {name: Loan(one.url, one.state, one.reason, one.since) for name, (_, one) in self._engines.items()}
        for name, (_, sleeper) in self._sleepers.items():
            lent[name] = Loan(sleeper.url, sleeper.state, sleeper.reason, sleeper.since, sleeper.asleep)
        return lent

    async def wake(self, name: str, timeout_s: float, path: Path) -> str | None:
        """Let a pulled model have its turn and load; None, or why that did not happen in time."""
        known = self._sleepers.get(name)
        if known is None or known[0] != path:
            known = self._sleepers[name] = (path, self._sleeper(name, path))
        try:
            await known[1].ready(timeout_s)
        except HomeportError as error:
            return str(error)
        finally:
            self._changed()
        return None

    def _sleeper(self, name: str, path: Path) -> Sleeper:
        engine = self._engine(path, BackendSettings(name=name, kind="engine", model=path), load_timeout_s=LOAD_S)
        sleeper = Sleeper(engine, self._turns)
        sleeper.in_flight = lambda: self._in_use(name)
        return sleeper

    def _engine(self, model: Path, backend: BackendSettings, load_timeout_s: float = LOAD_S) -> Engine:
        log = self._settings.server.data / f"engine-{backend.name}.log"
        digest = discovery.digest(backend)
        made = Engine(
            model=model, slots=backend.slots, context=backend.context, name=backend.name, log=log, load_timeout_s=load_timeout_s, key=self.key, digest=digest
        )
        made.on_change = self._changed
        return made

    def _end_later(self, name: str, engine: Engine) -> None:
        """Once nobody uses it any more, or a while has passed."""

        async def end() -> None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.server.drain_timeout_s):
                    while self._in_use(name):
                        await asyncio.sleep(0.1)
            await engine.stop()

        task = asyncio.ensure_future(end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
