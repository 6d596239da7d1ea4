"""Is there room for receipts, and may they be written?"""

from __future__ import annotations

import errno
import glob
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from homeport.doctor.diagnosis import Diagnosis, unsure, well, wrong

SPACE, INODES, WRITE, JOURNAL = "disk.space", "disk.inodes", "disk.writable", "disk.journal"
FULL = 100 * 1024 * 1024  # bytes free: below this something will soon fail
SCARCE = 1024 * 1024 * 1024
FEW_INODES = 1000
LARGE_JOURNAL = 2 * 1024 * 1024 * 1024
PROBE = b"homeport doctor\n" * 256  # one block: an empty file fits on a full disk


def look(data: Path) -> Iterator[Diagnosis]:
    """Free space and files, whether a file can be written, and how large the journal is. A folder that is not there yet is judged by the one above it."""
    there = data
    while not os.path.isdir(there) and there != there.parent:  # also where it may not be seen
        there = there.parent
    room = shutil.disk_usage(there).free
    size = sum(_size(path) for path in journals(data))
    if room < FULL:
        yield wrong(
            SPACE, f"{_written(room)} are free where {data} is", "receipts cannot be recorded, and requests are refused once too many wait", _room(data)
        )
    elif room < SCARCE:
        yield unsure(SPACE, f"Only {_written(room)} are free where {data} is", "when it is full, requests are refused", _room(data))
    yield from _inodes(there, data)
    fault = _write(data) if there == data else ("" if _may_write(there) else "permission denied")
    if fault:
        yield wrong(WRITE, f"Nothing can be written in {data}: {fault}", "receipts cannot be recorded, and keys cannot be made", _right(there, fault))
    elif room >= SCARCE:
        yield well(
            SPACE,
            f"{data}: {_written(room)} free, the journal has {_written(size)}" if there == data else f"{data} will be made; {_written(room)} are free there",
        )
    if size > LARGE_JOURNAL:
        oldest = "the oldest journal-*.jsonl may be moved away while the gateway is stopped; then: homeport ledger rebuild"
        yield unsure(JOURNAL, f"The journal has {_written(size)}", "it keeps every receipt there ever was", oldest)


def _may_write(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)


def journals(data: Path) -> list[Path]:
    """The files of the journal; none where the folder may not be read."""
    return [data / name for name in glob.glob("journal-*.jsonl", root_dir=data)]


def _inodes(there: Path, data: Path) -> Iterator[Diagnosis]:
    if not hasattr(os, "statvfs"):
        return
    found = os.statvfs(there)
    if found.f_files and found.f_favail < FEW_INODES:
        why = "new files cannot be made, however much space is free"
        yield wrong(
            INODES,
            f"{found.f_favail} more files can be made where {data} is",
            why,
            f"find what makes so many small files: du --inodes -x {there} | sort -n | tail",
        )


def _write(data: Path) -> str:
    """Why a small file cannot be written there and taken away again, or ""."""
    path = data / f".doctor-{secrets.token_hex(4)}"
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            if os.write(fd, PROBE) < len(PROBE):
                return "no space left on device"
            os.fsync(fd)
        finally:
            os.close(fd)
            path.unlink()
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return ""


def _right(there: Path, fault: str) -> str:
    if fault == os.strerror(errno.EROFS).lower():
        return "the file system is mounted read-only, often after an error of the disk: see dmesg; then mount it again to write"
    if fault in (os.strerror(errno.ENOSPC).lower(), os.strerror(errno.EDQUOT).lower()):
        return _room(there)
    return f"give the user that runs Homeport the folder: chown -R USER {there}"


def _room(data: Path) -> str:
    return f"make room there, or set data under [server] to a folder with more; see: du -xh {data} | sort -h | tail"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _written(count: float) -> str:
    for size, unit in ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if count >= size:
            return f"{count / size:.1f} {unit}" if count < 10 * size else f"{count / size:.0f} {unit}"
    return f"{count:.0f} bytes"
