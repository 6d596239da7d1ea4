"""The ledger: `ledger.sqlite`, table `receipts`, a view of the journal that SQL can ask.

Any number of processes may catch up, read and rebuild at once. A rebuild fills a database of its own and then lays its
pages over `ledger.sqlite` in one transaction (SQLite's backup): whoever reads meanwhile sees the old rows or the new
ones. Putting another file in its place would not do: open connections would go on with the old one, and its
write-ahead log would be taken for the new one's.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from homeport.errors import HomeportError
from homeport.storage import locks, migrations
from homeport.storage.lines import COLUMNS
from homeport.storage.view import View

_LAST = f"SELECT {', '.join(COLUMNS)} FROM receipts ORDER BY ts DESC, id DESC LIMIT ?"  # noqa: S608 - our own names
_SPOILT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_decode = msgspec.json.decode


class Ledger:
    """One connection to the ledger in `folder`, for one thread. Every method raises HomeportError where the ledger cannot be used.

    A ledger of another version, or a spoilt one, is made anew from the journal when it is opened.
    `busy_s`: how long to wait for another process that is writing, seconds.
    """

    def __init__(self, folder: Path, *, busy_s: float = 30.0) -> None:
        self._folder = folder
        self._path = folder / "ledger.sqlite"
        self._busy_s = busy_s
        with self._explained():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._open()

    def catch_up(self, limit: int | None = None) -> int:
        """Make rows of the journal's new lines, `limit` at most; returns how many. Fewer than `limit`: nothing is left."""
        with self._explained():
            self._reopen_if_replaced()
            if not migrations.current(self._connection):
                raise HomeportError(f"{self._path} was rebuilt by another version of Homeport. Restart this one, or use one version only.")
            return self._view.catch_up(limit)

    def rebuild(self) -> int:
        """Make the ledger anew from the journal, and return its rows' number. The old rows stand until all new ones are there."""
        with self._explained():
            self._reopen_if_replaced()
            with self._alone():
                self._fill()
        self.catch_up()
        return self.count()

    def last(self, n: int) -> list[dict[str, Any]]:
        """The last `n` receipts by arrival, oldest first: a dict each, in the contract's order of fields."""
        with self._explained():
            rows = self._connection.execute(_LAST, (n,)).fetchall()
        receipts = [dict(zip(COLUMNS, row, strict=True)) for row in reversed(rows)]
        for receipt in receipts:
            receipt["stream"] = bool(receipt["stream"])
            receipt["attempts"], receipt["checks"] = _decode(receipt["attempts"]), _decode(receipt["checks"])
        return receipts

    def count(self) -> int:
        """How many receipts there are."""
        with self._explained():
            (rows,) = self._connection.execute("SELECT count(*) FROM receipts").fetchone()
        return int(rows)

    def answers(self, since: float, until: float) -> list[tuple[str, str | None, str, int]]:
        """How many Asks came between two times, seconds since the epoch, by (asked name, backend, outcome)."""
        grouped = "SELECT asked, backend, outcome, count(*) FROM receipts WHERE ts >= ? AND ts < ? GROUP BY asked, backend, outcome"
        with self._explained():
            return self._connection.execute(grouped, (since, until)).fetchall()

    def damage(self) -> list[str]:
        """What of the journal cannot be read, a sentence a file; empty where all is well."""
        with self._explained():
            return self._view.damage()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _open(self) -> None:
        """Connect, and make or rebuild the tables where they are not this version's. Leaves nothing open where it fails."""
        try:
            self._connect()
            if migrations.current(self._connection):
                return
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _SPOILT:
                self._connection.close()
                raise
            with self._alone():
                self._remove_if_spoilt()
        self._connection.close()
        try:
            with self._alone():  # another process may have done it meanwhile: look again
                self._connect()
                if migrations.version(self._connection) == 0:
                    self._connection.execute("PRAGMA journal_mode = WAL").fetchone()
                    migrations.create(self._connection)
                elif not migrations.current(self._connection):
                    self._fill()
        except (sqlite3.Error, OSError):
            self._connection.close()
            raise

    def _connect(self) -> None:
        self._path.touch(mode=0o600)
        self._connection = sqlite3.connect(self._path, timeout=self._busy_s, isolation_level=None)
        self._inode = self._path.stat().st_ino
        self._connection.execute("PRAGMA synchronous = NORMAL")  # enough for a view; with WAL it cannot be spoilt
        self._connection.execute(f"PRAGMA journal_size_limit = {16 << 20}").fetchone()
        self._view = View(self._connection, self._folder)

    def _reopen_if_replaced(self) -> None:
        """Somebody may have removed the file under us: a view is free to go."""
        try:
            same = self._path.stat().st_ino == self._inode
        except FileNotFoundError:
            same = False
        if not same:
            self._connection.close()
            self._open()

    def _fill(self) -> None:
        """All of the journal into a new database, and that over this one."""
        path = self._folder / "ledger.rebuild.sqlite"  # ours alone while we hold the lock
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        try:
            with closing(sqlite3.connect(path, isolation_level=None)) as fresh:
                fresh.execute("PRAGMA journal_mode = OFF").fetchone()
                fresh.execute("PRAGMA synchronous = OFF")
                migrations.create(fresh)
                View(fresh, self._folder).catch_up()
                fresh.backup(self._connection)
        finally:
            path.unlink(missing_ok=True)
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def _remove_if_spoilt(self) -> None:
        """Remove a file that SQLite cannot read, with its log; every row of it is in the journal."""
        try:
            with closing(sqlite3.connect(self._path)) as connection:
                migrations.version(connection)
        except sqlite3.DatabaseError:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self._path}{suffix}").unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with locks.exclusive(self._folder / "ledger.lock"):
            yield

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Errors of SQLite and the file system, as ours."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            what = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
            raise HomeportError(
                f"The ledger {self._path} cannot be used: {what}. The journal beside it has every receipt; "
                "make the folder writable and free some space, or run `homeport ledger rebuild`."
            ) from error
