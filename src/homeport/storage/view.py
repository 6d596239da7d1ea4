"""The view: how the journal's lines become the ledger's rows, each exactly once.

A file's position moves in the transaction that writes its rows. A `started` line is kept in `open_asks` until its
`settled` line comes, or until its run has ended and all of it is read: then it becomes a row with outcome "unsettled".
Rows lie in the table by arrival and id, whatever order they came in, so a ledger made anew is the same, row by row.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta, Raw, Struct

from homeport.storage import journal, locks
from homeport.storage.journal import JournalFile
from homeport.storage.lines import COLUMNS, LARGEST, bent
from homeport.vocabulary import Receipt

_BLOCK = 1 << 20  # bytes read in one transaction, at least
_LINE = 2 << 10  # bytes read for each row that is still wanted
_SILENT_S = 3600.0  # without locks, a run that wrote nothing for so long has ended
_NOTHING = {str: "", int: 0, float: 0.0, bool: False, list: Raw(b"[]")}
_KINDS = {list: Raw, int: Annotated[int, Meta(ge=-LARGEST, le=LARGEST)]}  # as they are read, where not as in a Receipt
_ATTEMPTS, _CHECKS = COLUMNS.index("attempts"), COLUMNS.index("checks")
_INSERT = f"INSERT OR REPLACE INTO receipts ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608 - our own names


def _row_type() -> Any:
    """A Receipt any of whose fields but `id` may lack, as in lines of other versions; without an outcome it is an unsettled one."""
    fields: list[Any] = []
    for field in msgspec.structs.fields(Receipt):
        plain = getattr(field.type, "__origin__", field.type)
        nothing = None if NoneType in get_args(field.type) else _NOTHING[plain]
        fields.append((field.name, _KINDS.get(plain, field.type), "unsettled" if field.name == "outcome" else nothing))
    return msgspec.defstruct("Row", [("id", str), *fields[1:]], frozen=True, gc=False)


Row: Any = _row_type()


class Line(Struct, frozen=True, gc=False):
    """Any line of a journal, as far as a reader needs it."""

    started: Row | None = None
    settled: Row | None = None


_decode = msgspec.json.Decoder(Line).decode
_encode = msgspec.json.encode


class View:
    """The tables of one SQLite database, filled from the journal in `folder`. Belongs to one thread. Raises sqlite3.Error and OSError."""

    def __init__(self, connection: sqlite3.Connection, folder: Path) -> None:
        self._connection = connection
        self._folder = folder
        self._tails: dict[str, int] = {}  # file → its size when it ended in an unfinished line

    def catch_up(self, limit: int | None = None) -> int:
        """Make rows of what the journal has anew, `limit` at most; returns how many. Fewer than `limit`: nothing is left."""
        made = 0
        while limit is None or made < limit:
            added = self._turn(None if limit is None else limit - made)
            if added is None:
                break
            made += added
        return made

    def damage(self) -> list[str]:
        """What of the journal could not be read, a sentence a file. Complete once all is caught up."""
        found = []
        known = {name: (position, damaged) for name, position, damaged in self._connection.execute("SELECT name, position, damaged FROM files")}
        for file in journal.files(self._folder):
            position, damaged = known.get(file.name, (0, 0))
            if damaged:
                found.append(f"{file.name}: {damaged} lines cannot be read and are skipped")
            if file.size > position and self._ended(file.run):
                found.append(f"{file.name}: the last line, {file.size - position} bytes, was never finished and is skipped")
        return found

    def _turn(self, wanted: int | None) -> int | None:
        """One transaction's work; how many rows it made, or None where there was nothing to do."""
        file = self._unread()
        if file is not None:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                return self._read(file, wanted)
        runs = [run for (run,) in self._connection.execute("SELECT DISTINCT run FROM open_asks")]
        ended = [run for run in runs if self._ended(run)]  # known before the last look for lines, so none can follow
        if not ended:
            return None
        if self._unread() is not None:
            return 0
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            return self._give_up(ended, wanted)

    def _unread(self) -> JournalFile | None:
        """The first file with lines that are not in the tables yet."""
        positions = dict(self._connection.execute("SELECT name, position FROM files").fetchall())
        for file in journal.files(self._folder):
            if file.size > positions.get(file.name, 0) and self._tails.get(file.name) != file.size:
                return file
        return None

    def _read(self, file: JournalFile, wanted: int | None) -> int:
        """The next lines of one file, up to `wanted` rows."""
        found = self._connection.execute("SELECT position, damaged FROM files WHERE name = ?", (file.name,)).fetchone()
        position, damaged = found or (0, 0)
        block = _complete_lines(file.path, position, _BLOCK if wanted is None else min(_BLOCK, _LINE * wanted))
        if not block:
            self._tails[file.name] = file.size
            return 0
        rows: list[Any] = []
        opened: dict[str, bytes] = {}
        closed: list[tuple[str, str]] = []
        for line in block.split(b"\n")[:-1]:
            if wanted is not None and len(rows) >= wanted:
                break
            position += len(line) + 1
            entry = _read_line(line)
            if entry is None:
                damaged += 1
            elif entry.settled is not None:
                row = entry.settled
                rows.append(row)
                if opened.pop(row.id, None) is None:
                    closed.append((file.run, row.id))
            elif entry.started is not None:
                opened[entry.started.id] = line
        execute = self._connection.executemany
        execute(_INSERT, map(_values, rows))
        execute("DELETE FROM open_asks WHERE run = ? AND id = ?", closed)
        execute("INSERT OR REPLACE INTO open_asks VALUES (?, ?, ?)", [(file.run, id, line) for id, line in opened.items()])
        self._connection.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", (file.name, position, damaged))
        return len(rows)

    def _give_up(self, runs: list[str], wanted: int | None) -> int:
        """Asks of ended runs become unsettled rows, up to `wanted`."""
        made = 0
        for run in runs:
            left = -1 if wanted is None else wanted - made
            found = self._connection.execute("SELECT run, id, line FROM open_asks WHERE run = ? ORDER BY id LIMIT ?", (run, left)).fetchall()
            entries = [_read_line(line) for _, _, line in found]
            self._connection.executemany(_INSERT, [_values(entry.started) for entry in entries if entry is not None])
            self._connection.executemany("DELETE FROM open_asks WHERE run = ? AND id = ?", [(run, id) for run, id, _ in found])
            made += len(found)
        return made

    def _ended(self, run: str) -> bool:
        """Whether the process that wrote `run` is gone; see the journal for why its newest file that has a line tells."""
        seen = None
        while True:
            newest = next((file for file in reversed(journal.files(self._folder)) if file.run == run and file.size), None)
            if newest is None or newest.name == seen:
                return True
            seen = newest.name
            held = locks.held(newest.path)
            if held is None:
                held = time.time() - newest.path.stat().st_mtime < _SILENT_S
            if held:
                return False


def _complete_lines(path: Path, position: int, size: int) -> bytes:
    """Whole lines from `position`, about `size` bytes but one line at least; nothing where none is whole yet."""
    with path.open("rb", buffering=0) as file:
        file.seek(position)
        block = b""
        while True:
            more = file.read(size)
            block += more
            cut = block.rfind(b"\n") + 1
            if cut or not more:
                return block[:cut]


def _read_line(line: bytes) -> Line | None:
    """What a line says; None where it is damaged."""
    try:
        return _decode(line)
    except msgspec.ValidationError:
        pass  # well formed, with a value out of its range: bend it rather than lose the receipt
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    try:
        kept = {kind: {name: value for name, value in entry.items() if value is not None} for kind, entry in msgspec.json.decode(line).items()}
        return _decode(_encode(bent(kept)))
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError):
        return None


def _values(row: Any) -> list[Any]:
    """A row's values for SQLite, lists as their JSON text."""
    values = list(msgspec.structs.astuple(row))
    values[_ATTEMPTS] = str(values[_ATTEMPTS], "utf-8")
    values[_CHECKS] = str(values[_CHECKS], "utf-8")
    return values
