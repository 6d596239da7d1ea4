"""The monitor beside a running gateway: it takes in probes, keeps events, and has them told; the event loop never waits for it."""

from __future__ import annotations

import hashlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from homeport.errors import HomeportError
from homeport.monitor import notify, rounds
from homeport.monitor.notify import Messenger
from homeport.monitor.rounds import Rounds
from homeport.monitor.transitions import Transitions, Whereabouts
from homeport.rules import notification
from homeport.settings import MonitorSettings, minutes
from homeport.vocabulary import Event, Finding, Incident

if TYPE_CHECKING:
    from homeport.monitor.outbox import Outbox

log = logging.getLogger("homeport")


class Monitor:
    """Runs from `start` to `stop`; `incidents` are the last outages, newest first, from memory.

    `backends` are those of the settings, by name; `own` says the gateway's address once it has one; `looks` are other things to look at, by name.
    Files are touched in threads of its own only.
    """

    def __init__(
        self,
        folder: Path,
        settings: MonitorSettings,
        backends: Sequence[str],
        traffic: Whereabouts,
        own: Callable[[], str],
        looks: Mapping[str, Callable[[], Finding]] | None = None,
    ) -> None:
        self.incidents: Sequence[Incident] = ()
        self._folder = folder
        self._settings = settings
        self._names = [*backends, *map(rounds.name, settings.watch), *(looks or ())]
        self._goes_round = bool(settings.watch or settings.dead_man_url or looks)
        self._traffic = traffic
        self._targets = notify.targets(settings.notify)
        self._window = minutes(settings.quiet_hours) if settings.quiet_hours else None
        self._messenger = Messenger(folder, self._targets, quiet=self._quiet)
        self._rounds = Rounds(settings.watch, settings.dead_man_url, own, self.saw, period_s=settings.probe_interval_s, looks=looks)
        self._inbox: queue.SimpleQueue[tuple[str, Finding, float, float] | Event | None] = queue.SimpleQueue()
        self._strayed: set[str] = set()  # ids of drifts that are on record
        self._trouble = ""
        self._thread = threading.Thread(target=self._run, name="monitor", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()
        if self._goes_round:
            self._rounds.start()

    def saw(self, backend: str, finding: Finding) -> None:
        """A probe found this. From any thread; never waits."""
        self._inbox.put((backend, finding, time.monotonic(), time.time()))

    def strayed(self, backend: str, model: str, digest: str, why: str) -> None:
        """Another model is there than its owner pinned: told once. From any thread; never waits."""
        id = "evt-" + hashlib.sha256("\0".join((backend, model, digest, why)).encode()).hexdigest()[:16]
        if id not in self._strayed:
            self._strayed.add(id)
            self._inbox.put(Event(id, "drift", backend, round(time.time(), 3), f"{model} at {backend} is another model: {why}", None, None))

    def stop(self) -> None:
        """End; what is not delivered yet waits on disk. Waits some seconds for a delivery under way."""
        self._rounds.stop()
        self._inbox.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    def _quiet(self) -> bool:
        now = time.localtime()
        return notification.quiet(now.tm_hour * 60 + now.tm_min, self._window)

    def _run(self) -> None:
        from homeport.monitor.outbox import Outbox  # sqlite3 is loaded here, off the way to the first request

        outbox: Outbox | None = None
        transitions: Transitions | None = None
        while True:
            try:
                if outbox is None or transitions is None:
                    outbox = outbox or Outbox(self._folder)
                    transitions = self._begin(outbox)
                item = self._inbox.get()
                if item is None:
                    break
                if isinstance(item, Event):
                    if outbox.once(item, [target.key for target in self._targets], item.since):
                        self._messenger.wake()
                elif transitions.saw(*item) is not None:
                    self._messenger.wake()
                    self.incidents = outbox.incidents()
                    outbox.prune(item[3], [target.key for target in self._targets])
                self._trouble = ""
            except HomeportError as error:
                if not self._trouble:
                    log.warning("changes of backends are not told: %s", error)
                self._trouble = str(error)
                if transitions is None and self._inbox.get() is None:  # try again with the next probe
                    break
        if outbox is not None:
            outbox.close()
        self._messenger.stop()

    def _begin(self, outbox: Outbox) -> Transitions:
        """Take up what the run before left. Raises HomeportError."""
        now = time.time()
        keys = [target.key for target in self._targets]
        outbox.keep(self._names, now)
        outbox.prune(now, keys)
        self.incidents = outbox.incidents()
        settings = self._settings
        begun = Transitions(outbox, keys, self._traffic, down_after=settings.down_after, up_after=settings.up_after, at=time.monotonic(), now=now)
        if keys:
            self._messenger.start()
        return begun
