"""The archive: `history.sqlite`, by day what probes of each backend found (90 days), and how fast each served name was answered (7 days).

Whoever writes adds to what is there, so several processes may keep one archive, and each reads the sum. It holds pictures, not
receipts: a spoilt file is put aside and a new one begun, and a process that is killed takes its last half a minute with it.
The pictures could be drawn from the ledger, too; but that one follows the journal slowly on purpose, and reading a week of a busy
gateway's receipts at every start would cost seconds, where this costs some milliseconds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from homeport.errors import HomeportError
from homeport.monitor.counts import Counts
from homeport.rules.distribution import Spread
from homeport.rules.heartbeat import KEPT_DAYS, Beats

FILE = "history.sqlite"
VERSION = 1
SPREAD_DAYS = 7
_SPOILT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
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


class Archive:
    """One connection to the archive in `folder`, for one thread. Every method raises HomeportError where the file cannot be used."""

    def __init__(self, folder: Path, *, busy_s: float = 10.0) -> None:
        self._path = folder / FILE
        self._busy_s = busy_s
        with self._explained():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._connection = self._open()

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

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _SPOILT:
                raise
        for end in ("-wal", "-shm"):
            self._path.with_name(FILE + end).unlink(missing_ok=True)
        self._path.replace(self._path.with_name(f"{FILE}.spoilt"))
        return self._connect()

    def _connect(self) -> sqlite3.Connection:
        self._path.touch(mode=0o600)
        connection = sqlite3.connect(self._path, timeout=self._busy_s, isolation_level=None)
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, VERSION):
                raise HomeportError(f"{self._path} was made by another version of Homeport. Use that one, or remove the file: then the history begins anew.")
            if version == 0:
                connection.execute("PRAGMA journal_mode = WAL").fetchone()
                connection.executescript(_TABLES)
            connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may take the last minutes; the file stays whole
        except (sqlite3.Error, HomeportError):
            connection.close()
            raise
        return connection

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of it or nothing, alone among all processes."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Errors of SQLite and of the file system become ours."""
        try:
            yield
        except (sqlite3.Error, OSError, msgspec.MsgspecError) as error:
            reason = getattr(error, "strerror", None) or error
            raise HomeportError(f"{self._path} cannot be used: {reason}. Make the folder writable and free some space, or remove the file.") from error
