"""Group commit: the lines of one turn of the event loop go to the journal in one write, then out goes what waited for them.

A write costs more than the line it writes. Under load many Asks start and settle in one turn of the loop; what they
may send only once it is on record (the request to a backend, the last bytes of an answer) waits for the turn's end.
With few Asks under way there is nothing to wait for, so their lines are written at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from homeport.storage.journal import Journal
from homeport.vocabulary import Ask, Receipt

FEW = 4  # Asks under way up to which nothing is gained by waiting


class GroupCommit:
    """Fulfils ports.Store for the event loop that runs it."""

    __slots__ = ("_journal", "_loop", "_pending", "_under_way", "_waiting")

    def __init__(self, journal: Journal) -> None:
        journal.hold = True
        self._journal = journal
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[tuple[Callable[[bytes], object], bytes]] = []
        self._pending = False
        self._under_way: set[str] = set()  # started and not settled

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop whose turns count."""
        self._loop = loop

    def started(self, ask: Ask, ts: float, key: str | None) -> None:
        self._journal.started(ask, ts, key)
        self._under_way.add(ask.id)

    def settled(self, receipt: Receipt) -> None:
        self._journal.settled(receipt)
        self._under_way.discard(receipt.id)
        if receipt.outcome == "client_left" and not self._pending:  # nothing is sent after it
            self._schedule()

    def after(self, send: Callable[[bytes], object], data: bytes) -> None:
        """Call `send(data)` once everything recorded so far is on file, in the order of these calls."""
        if self._pending:
            self._waiting.append((send, data))
        elif len(self._under_way) > FEW:
            self._waiting.append((send, data))
            self._schedule()
        else:
            self._journal.flush()
            send(data)

    def flush(self) -> None:
        """Write the lines, then let go of what waits for them."""
        self._pending = False
        self._journal.flush()
        waiting, self._waiting = self._waiting, []
        for send, data in waiting:
            send(data)

    def _schedule(self) -> None:
        if self._loop is None:  # before the start, and in tests: at once
            self.flush()
        else:
            self._pending = True
            self._loop.call_soon(self.flush)
