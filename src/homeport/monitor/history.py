"""What `/status` shows of days gone by: probes by day and backend, and how fast each served name was answered; the event loop never waits for it.

`saw` and `observe` count in memory. Every half a minute what was counted goes to the archive, in a thread of its own, which then
publishes what the archive holds: the counts of other processes with it. What is shown is that, and what is not there yet.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from homeport.errors import HomeportError
from homeport.monitor.counts import Counts
from homeport.rules import heartbeat
from homeport.rules.distribution import Spread, merged
from homeport.rules.heartbeat import Beats
from homeport.vocabulary import Finding, Receipt

if TYPE_CHECKING:
    from homeport.monitor.archive import Archive

log = logging.getLogger("homeport")

SAVE_S = 30.0
RETRY_S = 30.0
MAX_NAMES = 40  # served names of their own; the others are counted as one
OTHERS = "other names"
_HEARD = frozenset({"ok", "cut", "client_left"})  # outcomes after which a first token says how fast it was
_DAY_S = heartbeat.DAY_S
_OPEN = 1000  # names, whichever they count as


class _Kept(Struct, frozen=True):
    """What the archive holds. `upto`: the number of the last counts that are in it."""

    upto: int = 0
    beats: Mapping[str, Mapping[int, Beats]] = {}
    spreads: Mapping[str, Spread] = {}


class History:
    """Counts from `start` to `stop`. All but `stop` belongs to one thread, the event loop's; `save` is to be called every SAVE_S seconds.

    `now` says seconds since the epoch.
    """

    def __init__(self, folder: Path, *, now: Callable[[], float] = time.time, retry_s: float = RETRY_S) -> None:
        self._folder = folder
        self._now = now
        self._retry_s = retry_s
        self._counts = Counts()  # not handed over yet
        self._handed = Counts()  # on their way to the archive, as number `_number`
        self._open: dict[str, Spread] = {}  # by the name that was asked, on the day that began at `_midnight`
        self._midnight = 0.0
        self._number = 0
        self._kept = _Kept()  # replaced by the thread
        self._queue: queue.SimpleQueue[tuple[int, Counts] | None] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._trouble = ""
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)

    def start(self) -> None:
        """Begin; what earlier runs left is shown once it was read."""
        self._thread.start()

    def saw(self, backend: str, finding: Finding) -> None:
        """A probe found this."""
        key = (heartbeat.day(self._now()), backend)
        beats = self._counts.beats.get(key)
        if beats is None:
            beats = self._counts.beats[key] = Beats()
        beats.add(finding.good)

    def observe(self, receipt: Receipt) -> None:
        """A request was settled (journey.tally.Tally.observers)."""
        first = receipt.first_token_ms
        if first is None or receipt.outcome not in _HEARD:
            return
        if not 0.0 <= receipt.ts - self._midnight < _DAY_S:
            self._midnight = receipt.ts // _DAY_S * _DAY_S
            self._open.clear()
        spread = self._open.get(receipt.asked) or self._spread(receipt.asked)
        spread.first_token_ms.add(first)
        if receipt.tok_per_s and receipt.outcome == "ok":
            spread.tok_per_s.add(receipt.tok_per_s)

    async def save(self) -> None:
        """Hand over what was counted, unless the last counts are still on their way."""
        if self._kept.upto == self._number:
            self._number += 1
            self._handed, self._counts = self._counts, Counts()
            self._open.clear()
            self._queue.put((self._number, self._handed))

    def stop(self) -> None:
        """Write what was counted and end; from any thread, once nothing counts any more. Waits some seconds where the archive is busy."""
        self._ended.set()
        self._queue.put((self._number + 1, self._counts))
        self._queue.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    # what is shown

    def heartbeats(self) -> dict[str, dict[int, Beats]]:
        """Of each backend ever probed, its days of the last 90 that have probes."""
        kept = self._kept
        found = {backend: dict(days) for backend, days in kept.beats.items()}
        for counts in self._fresh(kept):
            for (day, backend), beats in counts.beats.items():
                days = found.setdefault(backend, {})
                total = Beats()
                total.merge(days.get(day, heartbeat.NONE))
                total.merge(beats)
                days[day] = total
        return found

    def distributions(self) -> dict[str, Spread]:
        """Of each served name that was answered in the last 7 days, its spread; the most asked first."""
        kept = self._kept
        parts = {name: [spread] for name, spread in kept.spreads.items()}
        for counts in self._fresh(kept):
            for (_, name), spread in counts.spreads.items():
                parts.setdefault(name, []).append(spread)
        found = {name: merged(spreads) for name, spreads in parts.items()}
        return dict(sorted(found.items(), key=lambda item: (item[0] == OTHERS, -item[1].first_token_ms.count, item[0])))

    def _fresh(self, kept: _Kept) -> tuple[Counts, ...]:
        """What is not in the archive yet, or was not when it was read."""
        return (self._counts,) if kept.upto == self._number else (self._handed, self._counts)

    def _spread(self, asked: str) -> Spread:
        """Where to count a name on that day: with the others, where there are too many."""
        name = asked.removesuffix(":latest")
        spreads = self._counts.spreads
        known = {*self._kept.spreads, *(named for _, named in self._handed.spreads), *(named for _, named in spreads)}
        key = (heartbeat.day(self._midnight), name if name in known or len(known) < MAX_NAMES else OTHERS)
        spread = spreads.setdefault(key, Spread())
        if len(self._open) < _OPEN:
            self._open[asked] = spread
        return spread

    # in the thread

    def _run(self) -> None:
        from homeport.monitor.archive import Archive  # sqlite3 is loaded here, off the way to the first request

        archive: Archive | None = None
        item: tuple[int, Counts] | None = (0, Counts())
        while item is not None:
            number, counts = item
            try:
                archive = archive or Archive(self._folder)
                today = heartbeat.day(self._now())
                self._kept = _kept(number, archive.add(counts, today))
                self._trouble = ""
            except HomeportError as error:
                if not self._trouble:
                    log.warning("the history of /status is not kept: %s", error)
                self._trouble = str(error)
                if not self._ended.wait(self._retry_s) and number:
                    continue
            item = self._queue.get()
        if archive is not None:
            archive.close()


def _kept(upto: int, counts: Counts) -> _Kept:
    """What the archive holds, as it is shown."""
    beats: dict[str, dict[int, Beats]] = {}
    for (day, backend), found in counts.beats.items():
        beats.setdefault(backend, {})[day] = found
    parts: dict[str, list[Spread]] = {}
    for (_, name), spread in counts.spreads.items():
        parts.setdefault(name, []).append(spread)
    return _Kept(upto, beats, {name: merged(spreads) for name, spreads in parts.items()})
