"""The keeper: a thread that makes ledger rows beside a running gateway, for a fixed small share of one core."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from homeport.errors import HomeportError

_ROWS = 100  # a turn: about 1 ms with the interpreter's lock, so the event loop never waits longer for it
_IDLE_S = 1.0


class LedgerKeeper:
    """Keeps the ledger in `folder` close to the journal, from `start` to `stop`.

    It works off the journal in turns of 100 rows, about 1 ms each, and rests after each for as long as keeps it at
    `share` of a core: some 500 rows/s at 0.005. A busier gateway gets ahead of it, which costs nothing: whoever reads
    the ledger catches up first, and the keeper follows when traffic eases. `trouble` says why it cannot work, or is None.
    """

    def __init__(self, folder: Path, *, share: float = 0.005) -> None:
        self.trouble: str | None = None
        self._folder = folder
        self._share = share
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """End, within a turn; what is left over is made by whoever reads next."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        from homeport.storage.ledger import Ledger  # sqlite3 is loaded here, off the way to the first request

        ledger: Ledger | None = None
        rest = 0.0
        while not self._ended.wait(rest):
            begun = time.thread_time()
            try:
                if ledger is None:
                    ledger = Ledger(self._folder)
                made = ledger.catch_up(_ROWS)
                self.trouble = None
            except HomeportError as error:
                made, self.trouble = 0, str(error)
            rest = _IDLE_S if made < _ROWS else (time.thread_time() - begun) / self._share
        if ledger is not None:
            ledger.close()
