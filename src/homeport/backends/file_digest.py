"""The digest of a model's file, computed once and again where the file has changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

BLOCK = 1 << 20  # bytes


class FileDigest:
    """SHA-256 of one file, as it was when `look` was called last."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.value = ""  # hexadecimal; "" while it is not known
        self._seen: tuple[int, ...] = ()

    def look(self) -> None:
        """Read the file where it is another than before; some seconds for a large one, so in a thread. A file that cannot be read has no digest."""
        try:
            found = self.path.stat()
            seen = (found.st_ino, found.st_size, found.st_mtime_ns)
            if seen == self._seen:
                return
            with self.path.open("rb") as file:
                digest = hashlib.sha256()
                while block := file.read(BLOCK):
                    digest.update(block)
        except OSError:
            self.value, self._seen = "", ()
        else:
            self.value, self._seen = digest.hexdigest(), seen
