"""Advisory locks on files: how processes take turns, and how a reader knows that a writer still lives.

The operating system drops a lock when its process ends, however it ends, so a lock never goes stale.
On POSIX this is `flock`, which belongs to the open file: other files opened on the same path, in this
process too, neither share it nor drop it. On Windows it is one byte far beyond any file's end.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TAKEN = frozenset({errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK})

if sys.platform == "win32":
    import msvcrt

    _FAR = 1 << 40

    def _lock(fd: int, *, shared: bool, wait: bool) -> None:
        del shared  # Windows has exclusive ones only: a probe may see another probe, and asks again later
        while True:
            try:
                os.lseek(fd, _FAR, os.SEEK_SET)
                msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
                return
            except OSError as error:
                if not wait or error.errno not in _TAKEN:
                    raise
            time.sleep(0.01)

else:
    import fcntl

    def _lock(fd: int, *, shared: bool, wait: bool) -> None:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))


def take(fd: int) -> bool:
    """Hold the file's lock until `fd` is closed, waiting for it; False where the file system has no locks."""
    try:
        _lock(fd, shared=False, wait=True)
    except OSError:
        return False
    return True


def held(path: Path) -> bool | None:
    """Whether a process holds the lock of `path`; None where that cannot be known. A file that is gone is not held."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        _lock(fd, shared=True, wait=False)
    except OSError as error:
        return True if error.errno in _TAKEN else None
    finally:
        os.close(fd)
    return False


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Work alone, among all processes that use the same `path`; the (empty) file is made and stays. Raises OSError."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        take(fd)
        yield
    finally:
        os.close(fd)


@contextmanager
def alone(path: Path) -> Iterator[int | None]:
    """As `exclusive`, without waiting: gives the open file's descriptor, or None where another process (or another caller here) holds it.

    Where the file system has no locks, nobody is kept out. The file goes with the lock. Raises OSError.
    """
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(fd, shared=False, wait=False)
        except OSError as error:
            if error.errno in _TAKEN:
                os.close(fd)
                yield None
                return
        if _is_at(path, fd):
            break
        os.close(fd)  # whoever held it before took it away meanwhile
    try:
        yield fd
    finally:
        with suppress(OSError):  # Windows removes no open file
            path.unlink()
        os.close(fd)


def _is_at(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(fd))
    except FileNotFoundError:
        return False
