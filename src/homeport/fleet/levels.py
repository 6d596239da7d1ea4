"""How much each key has used of its limits, in memory that all workers of a gateway map: a file in the folder of their run.

    | name: 16 bytes, its digest | requests: float | tokens: float |    … one such row for each key that asked

Finding a key's row takes the file's lock, once for each key and worker. A level is read and written without: two workers who
count in the same microsecond may count one for two, which no limit notices.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import mmap
import os
from pathlib import Path

from homeport.ports import Pair

ROWS = 4096  # keys that may have asked in one run; whoever comes later is counted by each worker for itself
NAME, ROW = 16, 32  # bytes
_NOBODY = bytes(NAME)


class Levels:
    """The levels of all keys. `folder` is that of the run, empty when it began; nothing is opened before the first `at`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "limits.levels"
        self._memory: mmap.mmap | None = None

    def at(self, name: str) -> Pair:
        """The two levels of a key: of requests and of tokens. Where they cannot be shared, a pair of this worker's own."""
        digest = hashlib.blake2b(name.encode(), digest_size=NAME).digest()
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:  # the folder is full, or gone
            return [0.0, 0.0]
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file).st_size < ROWS * ROW and os.pwrite(file, bytes(ROWS * ROW), 0) < ROWS * ROW:
                return [0.0, 0.0]  # no room; a file with holes would end the process where there is none later
            memory = self._memory = self._memory or mmap.mmap(file, ROWS * ROW)
            return _row(memory, digest)
        except OSError:
            return [0.0, 0.0]
        finally:
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_UN)  # said, for the memory keeps a descriptor of its own
            os.close(file)


def _row(memory: mmap.mmap, digest: bytes) -> Pair:
    """The levels in the row of a key, a new one where it has none yet; a pair of one's own where all rows are taken. Only with the lock."""
    for start in range(0, ROWS * ROW, ROW):
        found = memory[start : start + NAME]
        if found == _NOBODY:
            memory[start : start + NAME] = found = digest
        if found == digest:
            return memoryview(memory)[start + NAME : start + ROW].cast("d")
    return [0.0, 0.0]
