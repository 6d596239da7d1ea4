"""A gateway in the foreground: its signals, orders from the command line, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeport.errors import HomeportError
from homeport.fleet.control import Control
from homeport.front import descriptors
from homeport.service.readiness import Readiness
from homeport.settings import Settings
from homeport.vocabulary import Standing

if TYPE_CHECKING:
    from homeport.app import App

log = logging.getLogger("homeport")

Ready = Callable[[str, Sequence[Standing]], None]
Reread = Callable[[], Settings]
"""Reads the settings again, as they were read at the start. Raises BadSettings."""

NO_WORKERS = "a process alone cannot be replaced while it serves: start the gateway with `homeport up --workers 1`, or more"


def run(settings: Settings, *, ready: Ready, reread: Reread) -> int:
    """Run a gateway in the foreground until SIGINT or SIGTERM; `ready` is called once it accepts requests.

    Raises:
        BadSettings: what is configured cannot be run.
        OSError: the address cannot be had.
    """
    from homeport.app import App  # the parent of workers does without

    descriptors.allow_more()
    readiness = Readiness.found()
    app = App(settings)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_foreground(app, ready, reread, readiness))
    return 0


async def _foreground(app: App, ready: Ready, reread: Reread, readiness: Readiness) -> None:
    ended = asyncio.Event()

    def end() -> None:
        if ended.is_set():
            app.hurry()
        ended.set()

    async def reload(_: dict[str, Any]) -> dict[str, Any]:
        return await reloaded(app, reread)

    orders = Orders(lambda: app.settings, reload)
    on_signals({"SIGINT": end, "SIGTERM": end, "SIGHUP": orders.reload_soon, "SIGUSR2": lambda: log.warning(NO_WORKERS)})
    try:
        await app.start()
    except OSError:
        app.discard()
        raise
    control = Control(app.settings.server.data, orders.obey)
    gc.freeze()  # what is there now stays: no collection need look at it again
    try:
        await control.start()
        ready(app.url, app.standings())
        readiness.ready(app.url)
        await ended.wait()
    finally:
        readiness.stopping(app.settings.server.drain_timeout_s)
        await control.stop()
        await app.stop()
        await readiness.leave()


async def reloaded(app: App, reread: Reread) -> dict[str, Any]:
    """Have a gateway take over what its file says now; what came of it. Never raises for a bad file."""
    try:
        settings = await asyncio.get_running_loop().run_in_executor(None, reread)
        change = await app.reload(settings)
    except HomeportError as error:
        return refused(error)
    return taken(settings, change.added, change.changed, change.removed)


def refused(error: HomeportError) -> dict[str, Any]:
    """What is told, and logged, of a file that is not taken over."""
    problems = str(error).splitlines()
    log.error("the configuration was not reloaded, and the gateway goes on with the one it had: %s", "; ".join(problems))
    return {"ok": False, "problems": problems}


def taken(settings: Settings, added: list[str], changed: list[str], removed: list[str]) -> dict[str, Any]:
    """What is told, and logged, of one that is."""
    words = [f"{what}: {', '.join(names)}" for what, names in (("added", added), ("changed", changed), ("removed", removed)) if names]
    log.info("the configuration was reloaded; backends %s", "; ".join(words) or "as before")
    found = {"added": added, "changed": changed, "removed": removed}
    return {"ok": True, "file": str(settings.path) if settings.path else None, "backends": found, "notices": list(settings.notices)}


class Orders:
    """What a running gateway can be told to do, one at a time."""

    def __init__(self, settings: Callable[[], Settings], reload: Callable[[dict[str, Any]], Any]) -> None:
        self._settings = settings
        self._reload = reload
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[dict[str, Any]]] = set()

    def reload_soon(self) -> None:
        """As SIGHUP asks for."""
        task = asyncio.ensure_future(self.obey({"do": "reload"}))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """Carry out what `homeport config reload` asks for."""
        if order.get("do") != "reload":
            return {"ok": False, "problems": ["this gateway does not know that order; it may be of another version"]}
        path, wanted = self._settings().path, order.get("config")
        if wanted is not None and (path is None or Path(str(wanted)) != path):
            return {"ok": False, "problems": [f"the gateway reads {path or 'no file'}, not {wanted}; leave --config out, or restart it with that file"]}
        async with self._turn:
            found: dict[str, Any] = await self._reload(order)
            return found


def on_signals(actions: dict[str, Callable[[], None]]) -> None:
    """Call these in the running loop when signals of these names come; a name that the system lacks is passed over."""
    loop = asyncio.get_running_loop()
    for name, action in actions.items():
        number = getattr(signal, name, None)
        if number is None:
            continue
        try:
            loop.add_signal_handler(number, action)
        except NotImplementedError:  # Windows
            with contextlib.suppress(ValueError):
                signal.signal(number, lambda *_, action=action: loop.call_soon_threadsafe(action))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where there is one (not on Windows), else asyncio's own."""
    with contextlib.suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop
    return None
