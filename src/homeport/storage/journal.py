"""The journal: append-only JSONL, one `started` and one `settled` line an Ask, in the kernel before the call returns.

A gateway process has its own files, `journal-<UTC time>-<run>.jsonl` (`run` is random, one a process start), and only
ever appends to them. It holds the lock of the file it writes and of the one before it, so a run whose newest file is
not locked has ended: that is how the ledger tells an Ask that never settled from one that is still going on. Files
are never renamed, shortened or removed: there is no retention yet, so old ones are the owner's to delete.

Lines that cannot be written (a full disk, most often) wait in memory, within bounds, and are written in order before
anything else as soon as that works; a line of which only a part went out is completed first. Beyond the bounds no Ask
is accepted, so none is served unrecorded. No line is fsynced: a killed process loses none, a power loss the last seconds.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from homeport.errors import HomeportError
from homeport.storage import locks
from homeport.storage.lines import SettledLine, Started, StartedLine, encoded
from homeport.vocabulary import Ask, Receipt

MAX_WAITING_LINES = 20_000
MAX_WAITING_BYTES = 16 << 20
_SPARE = 2  # receipts of Asks already started are kept up to this many times the bounds
_BATCH = 256  # lines a write at most, when many wait
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_STAMP = "%Y%m%dT%H%M%S.%fZ"


class JournalFile(NamedTuple):
    """One file of a journal; sorted, the files of a run stand in the order they were written."""

    name: str
    run: str
    path: Path
    size: int  # bytes when it was listed


def files(folder: Path) -> list[JournalFile]:
    """The journal's files in `folder`, of all runs, by name: oldest first. None where there is no such folder. Raises OSError."""
    try:
        names = [name for name in os.listdir(folder) if name.startswith("journal-") and name.endswith(".jsonl")]
    except FileNotFoundError:
        return []
    found = []
    for name in sorted(names):
        path = folder / name
        with suppress(FileNotFoundError):  # an empty one goes when its gateway ends
            found.append(JournalFile(name, name[:-6].rpartition("-")[2], path, path.stat().st_size))
    return found


class Journal:
    """Fulfils ports.Store for one process and one thread. Make it after a fork, never before.

    `trouble` says in words why lines wait in memory, and is None while all is well. With `hold` set, lines are only
    collected and `flush` writes them: several of one turn of the event loop in one call.
    Raises HomeportError where nothing can be written in `folder`; a full disk at the start is only `trouble`.
    """

    def __init__(self, folder: Path, *, max_bytes: int = 64 << 20) -> None:
        self.trouble: str | None = None
        self.hold = False
        self._held: list[StartedLine | SettledLine] = []
        self.lost = 0  # receipts dropped beyond all bounds; their Asks will stand as unsettled
        self._folder = folder
        self._run = secrets.token_hex(4)
        self._max_bytes = max_bytes
        self._rotate_at = max_bytes
        self._fd = -1
        self._previous = -1  # kept open for its lock, until the file after the next begins
        self._path: Path | None = None
        self._stamp = datetime.min.replace(tzinfo=UTC)
        self._size = 0
        self._partial = False  # the first waiting line is the rest of one
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._open()
        except OSError as error:
            if error.errno not in _FULL:
                raise HomeportError(f"Cannot write to {folder}: {error.strerror}. Make that folder writable, or set server.data to another one.") from error
            self._note(error)

    @property
    def path(self) -> Path | None:
        """The file that is written now; None while none could be made."""
        return self._path

    @property
    def waiting(self) -> int:
        """How many lines are not in the kernel yet."""
        return len(self._waiting) + len(self._held)

    def started(self, ask: Ask, ts: float, key: str | None = None) -> None:
        """Record that an Ask is about to be dispatched. `ts`: seconds since the epoch, the same as its Receipt's; `key`: the key's name.

        Raises HomeportError where lines have waited beyond the bounds: the Ask must not be served.
        """
        if self._waiting and self._overfull(1):
            raise self._refusal()
        self._held.append(StartedLine(Started(ask.id, ts, key, ask.app, ask.dialect, ask.model, ask.stream, ask.prompt_chars)))
        if not self.hold:
            self.flush()

    def settled(self, receipt: Receipt) -> None:
        """Record what an Ask came to. Never raises."""
        if self._waiting and self._overfull(_SPARE):
            self.lost += 1
            return
        self._held.append(SettledLine(receipt))
        if not self.hold:
            self.flush()

    def flush(self) -> bool:
        """Write what waits, as far as that works now; whether nothing waits any more. Never raises.

        Call it now and then while `trouble` is set, so that lines do not wait for the next Ask.
        """
        if self._held:
            held, self._held = self._held, []
            data = encoded(held)
            if not self._waiting and self._fd >= 0:
                data = self._write(data)
            for line in data.splitlines(keepends=True):
                self._wait(line)
        while self._waiting:
            many = 1 if self.trouble is not None else _BATCH  # in trouble: try one line, and go on if it went
            data = b"".join(self._waiting if len(self._waiting) <= many else islice(self._waiting, many))
            try:
                if self._fd < 0:
                    self._open()
                written = os.write(self._fd, data)
            except OSError as error:
                self._note(error)
                return False
            self._drop(written)
            if written == len(data):
                self.trouble = None
            self._count(written)
        return True

    def close(self) -> None:
        """Write what waits if that works, put it on the disk, and let go of the files; one that stayed empty is removed."""
        self.flush()
        empty, self._size = self._size == 0, 0
        for fd in (self._fd, self._previous):
            if fd >= 0:
                try:
                    os.fsync(fd)
                except OSError as error:
                    self._note(error)
                os.close(fd)
        if self._fd >= 0 and empty and self._path is not None:
            self._path.unlink(missing_ok=True)
        self._fd = self._previous = -1

    def _write(self, data: bytes) -> bytes:
        """Whole lines to the file; what of them it did not take."""
        try:
            written = os.write(self._fd, data)
        except OSError as error:
            self._note(error)
            return data
        if written != len(data):
            self._partial = data[written - 1 : written] != b"\n"
            self.trouble = "the data folder took only a part of what was written"
        self._count(written)
        return data[written:]

    def _wait(self, line: bytes) -> None:
        self._waiting.append(line)
        self._waiting_bytes += len(line)

    def _drop(self, written: int) -> None:
        """Forget the first `written` bytes of what waits."""
        self._waiting_bytes -= written
        while written:
            line = self._waiting.popleft()
            self._partial = written < len(line)
            if self._partial:
                self._waiting.appendleft(line[written:])
                return
            written -= len(line)

    def _count(self, written: int) -> None:
        """Note growth, and go on in a new file where this one is large and ends with a whole line."""
        self._size += written
        if self._size < self._rotate_at or self._partial:
            return
        try:
            self._open()
        except OSError:  # stay with this file for a while: a large one is better than none
            self._rotate_at = self._size + (self._max_bytes >> 4) + 1

    def _open(self) -> None:
        """Begin a new file and lock it before it has a line; the one before it stays locked. Raises OSError."""
        now = max(datetime.now(UTC), self._stamp + timedelta(microseconds=1))  # names of a run never step back
        path = self._folder / f"journal-{now.strftime(_STAMP)}-{self._run}.jsonl"
        fd = os.open(path, _FLAGS, 0o600)
        locks.take(fd)
        ended, self._previous, self._fd = self._previous, self._fd, fd
        self._path, self._stamp, self._size, self._rotate_at = path, now, 0, self._max_bytes
        if ended >= 0:
            os.close(ended)

    def _note(self, error: OSError) -> None:
        self.trouble = f"cannot write to the data folder: {error.strerror or type(error).__name__}"

    def _overfull(self, times: int) -> bool:
        """Whether more waits than `times` the bounds, after one more try to write it."""
        lines, size = times * MAX_WAITING_LINES, times * MAX_WAITING_BYTES
        if len(self._waiting) < lines and self._waiting_bytes < size:
            return False
        return not self.flush() and (len(self._waiting) >= lines or self._waiting_bytes >= size)

    def _refusal(self) -> HomeportError:
        error = HomeportError(f"This gateway cannot record what it does: {self.trouble}. Make room there; it goes on by itself.")
        error.status, error.code, error.retry_after_s = 503, "cannot_record", 5
        return error
