"""Who answered while something was down: counted from the receipts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import closing
from pathlib import Path

_ROWS = 100  # a turn, as the keeper's
_LONGEST_S = 20.0  # to make rows that are not there yet


class Answered:
    """Counts receipts in `folder`, from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, names: Collection[str], since: float, until: float) -> Mapping[str | None, int]:
        """Answers by backend to asks for one of the `names` that came between two times, seconds since the epoch; None: what failed or was cut.

        A name counts with and without Ollama's `:latest`. Raises HomeportError where the ledger cannot be used.
        """
        from homeport.storage.ledger import Ledger  # sqlite3 is loaded here, off the way to the first request

        wanted = {form for name in names for form in (name, name.removesuffix(":latest"))}
        found: Counter[str | None] = Counter()
        with closing(Ledger(self._folder)) as ledger:
            deadline = time.monotonic() + _LONGEST_S
            while ledger.catch_up(_ROWS) == _ROWS and time.monotonic() < deadline:
                time.sleep(0.002)  # the event loop's turn
            for asked, backend, outcome, number in ledger.answers(since, until):
                if asked in wanted and outcome == "ok":
                    found[backend] += number
                elif asked in wanted and outcome in ("failed", "cut"):
                    found[None] += number
        return found
