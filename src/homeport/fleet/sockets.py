"""Unix sockets in a folder, however long its path is, and which of them nobody listens at any more."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from homeport.errors import HomeportError

LONGEST = 100  # bytes of a socket's path: 107 on Linux, 103 on macOS


class SocketFolder:
    """A folder for sockets, open until `close`. On Linux its sockets are reached through the open folder, so its path may be of any length.

    Raises OSError where it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))

    def reach(self, name: str) -> str:
        """What to bind or connect for the socket `name`. Raises HomeportError where the path is too long for this system."""
        found = f"/proc/self/fd/{self._fd}/{name}" if sys.platform == "linux" else str(self.path / name)
        if len(os.fsencode(found)) > LONGEST:
            raise HomeportError(f"{self.path} is too long a path for this system's sockets. Set server.data to a shorter one.")
        return found

    def bind(self, name: str, kind: socket.SocketKind) -> socket.socket:
        """A new socket at `name`, for this user alone; one that was left there goes. Raises OSError, HomeportError."""
        address = self.reach(name)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path / name)
        made = socket.socket(socket.AF_UNIX, kind)
        before = os.umask(0o177)
        try:
            made.bind(address)
        except OSError:
            made.close()
            raise
        finally:
            os.umask(before)
        made.setblocking(False)
        return made

    def names(self, suffix: str) -> list[str]:
        """The sockets whose names end so."""
        with contextlib.suppress(OSError):
            return sorted(name for name in os.listdir(self.path) if name.endswith(suffix))
        return []

    def close(self) -> None:
        """Let go of the folder."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@contextlib.contextmanager
def opened(path: Path) -> Iterator[SocketFolder]:
    """The folder for the length of a block. Raises OSError."""
    folder = SocketFolder(path)
    try:
        yield folder
    finally:
        folder.close()
