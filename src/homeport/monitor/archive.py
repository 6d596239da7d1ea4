"""The archive: `history.sqlite`, by day what probes of each backend found (90 days), and how fast each served name was answered (7 days).

Whoever writes adds to what is there, so several processes may keep one archive, and each reads the sum. It holds pictures, not
receipts: a spoilt file is put aside and a new one begun, and a process that is killed takes its last half a minute with it.
The pictures could be drawn from the ledger, too; but that one follows the journal slowly on purpose, and reading a week of a busy
gateway's receipts at every start would cost seconds, where this costs some milliseconds.
"""

from __future__ import annotations

import msgspec

from homeport.monitor.counts import Counts
from homeport.monitor.database import Database
from homeport.rules.distribution import Spread
from homeport.rules.heartbeat import KEPT_DAYS, Beats

FILE = "history.sqlite"
VERSION = 1
SPREAD_DAYS = 7
_TABLES = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS beats (
    day INTEGER, backend TEXT, good INTEGER NOT NULL, bad INTEGER NOT NULL, neither INTEGER NOT NULL, PRIMARY KEY (day, backend)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spreads (day INTEGER, name TEXT, spread TEXT NOT NULL, PRIMARY KEY (day, name)) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
COMMIT;
"""
_ADD = """INSERT INTO beats VALUES (?, ?, ?, ?, ?) ON CONFLICT (day, backend)
DO UPDATE SET good = good + excluded.good, bad = bad + excluded.bad, neither = neither + excluded.neither"""
_decode = msgspec.json.Decoder(Spread).decode


class Archive(Database):
    """One connection to the archive in `folder`, for one thread. Every method raises HomeportError where the file cannot be used."""

    FILE, VERSION, TABLES, SYNCHRONOUS = FILE, VERSION, _TABLES, "NORMAL"
    ANEW = "the history begins anew"
    REMEDY = "Make the folder writable and free some space, or remove the file."

    def add(self, counts: Counts, today: int) -> Counts:
        """Add what was counted, drop what is too old, and give all that is kept; all of it or nothing."""
        with self._explained(), self._transaction():
            execute = self._connection.execute
            rows = [(day, backend, beats.good, beats.bad, beats.neither) for (day, backend), beats in counts.beats.items()]
            self._connection.executemany(_ADD, rows)
            for (day, name), spread in counts.spreads.items():
                found = execute("SELECT spread FROM spreads WHERE day = ? AND name = ?", (day, name)).fetchone()
                total = _decode(found[0]) if found else Spread()
                total.merge(spread)
                execute("INSERT OR REPLACE INTO spreads VALUES (?, ?, ?)", (day, name, msgspec.json.encode(total).decode()))
            execute("DELETE FROM beats WHERE day <= ?", (today - KEPT_DAYS,))
            execute("DELETE FROM spreads WHERE day <= ?", (today - SPREAD_DAYS,))
            return Counts(
                {(day, backend): Beats(*told) for day, backend, *told in execute("SELECT day, backend, good, bad, neither FROM beats")},
                {(day, name): _decode(text) for day, name, text in execute("SELECT day, name, spread FROM spreads")},
            )
