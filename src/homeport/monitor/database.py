"""An SQLite file of the monitor's: made where it is not there, put aside where it is spoilt, and its errors told in our words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import msgspec

from homeport.errors import HomeportError

_SPOILT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class Database:
    """One connection to the file in `folder`, for one thread. Every method raises HomeportError where the file cannot be used.

    A spoilt file is put aside as `NAME.spoilt`, and a new one begun. Another connection that writes is waited for `busy_s` seconds.
    """

    FILE: ClassVar[str]
    VERSION: ClassVar[int]
    TABLES: ClassVar[str]  # makes them in one transaction, and sets user_version
    SYNCHRONOUS: ClassVar[str]  # FULL: a power cut loses nothing; NORMAL: it may take the last minutes, and the file stays whole
    ANEW: ClassVar[str]  # what removing the file comes to
    REMEDY: ClassVar[str] = "Make the folder writable and free some space."

    def __init__(self, folder: Path, *, busy_s: float = 10.0) -> None:
        self._path = folder / self.FILE
        self._busy_s = busy_s
        with self._explained():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._connection = self._open()

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
            self._path.with_name(self.FILE + end).unlink(missing_ok=True)
        self._path.replace(self._path.with_name(f"{self.FILE}.spoilt"))
        return self._connect()

    def _connect(self) -> sqlite3.Connection:
        self._path.touch(mode=0o600)
        connection = sqlite3.connect(self._path, timeout=self._busy_s, isolation_level=None)
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, self.VERSION):
                raise HomeportError(f"{self._path} was made by another version of Homeport. Use that one, or remove the file: then {self.ANEW}.")
            if version == 0:
                connection.execute("PRAGMA journal_mode = WAL").fetchone()
                connection.executescript(self.TABLES)
            connection.execute(f"PRAGMA synchronous = {self.SYNCHRONOUS}")
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
        """Errors of SQLite, of the file system and of what is kept there become ours."""
        try:
            yield
        except (sqlite3.Error, OSError, msgspec.MsgspecError) as error:
            reason = getattr(error, "strerror", None) or error
            raise HomeportError(f"{self._path} cannot be used: {reason}. {self.REMEDY}") from error
