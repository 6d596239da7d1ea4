"""Reads and writes the files of clients: whole or not at all, with a backup beside them, and a record by which it is undone."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct

from homeport.cli.clients.client import Spoilt
from homeport.cli.failure import Failed

BACKUP = ".homeport-backup"
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Text:
    """What a file holds. `raw` is None where there is none; `text` has \\n as its line ends."""

    path: Path
    raw: bytes | None
    text: str

    @classmethod
    def read(cls, path: Path) -> Text:
        """The file at `path`. Raises Spoilt where it is no UTF-8, OSError where it cannot be read."""
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return cls(path, None, "")
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Spoilt(raw[: error.start].count(b"\n") + 1, "is not UTF-8") from None
        return cls(path, raw, text.replace("\r\n", "\n") if cls._windows(raw) else text)

    def encoded(self, text: str) -> bytes:
        """Another text as this file would hold it: with its line ends, and its mark at the beginning."""
        raw = self.raw or b""
        body = text.replace("\n", "\r\n") if self._windows(raw) else text
        return (_BOM if raw.startswith(_BOM) else b"") + body.encode()

    @staticmethod
    def _windows(raw: bytes) -> bool:
        return b"\r\n" in raw and raw.count(b"\r\n") == raw.count(b"\n")


class Record(Struct):
    """What was written: the file, where the earlier one is kept (None where there was none), and the SHA-256 of what was left."""

    path: str
    backup: str | None
    left: str
    folders: list[str] = []  # made for the file, outermost first

    @classmethod
    def find(cls, place: Path) -> Record | None:
        """The record at `place`, or None. Raises Failed where it makes no sense."""
        try:
            return msgspec.json.decode(place.read_bytes(), type=cls)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError:
            raise Failed(f"{place} is spoilt, so what was written is not known; the earlier file is the one that ends in {BACKUP}") from None


def write(file: Text, text: str, place: Path) -> Path | None:
    """Put the new text in the place of the file, and a record of it at `place`; where the earlier file is kept now.

    What was written before and not touched since keeps its backup: undoing goes back to the time before Homeport.
    Raises Failed where the file changed meanwhile, OSError with everything as it was.
    """
    data = file.encoded(text)
    if _now(file.path) != file.raw:
        raise Failed(f"{file.path} changed at this moment; run the command again")
    record = Record.find(place)
    if record is not None and file.raw is not None and record.path == str(file.path) and record.left == _digest(file.raw):
        backup, folders = record.backup, record.folders
    else:
        missing = [folder for folder in reversed(file.path.parents) if not folder.exists()]
        folders = [str(folder) for folder in missing]
        file.path.parent.mkdir(parents=True, exist_ok=True)
        backup = None if file.raw is None else str(_backed_up(file))
    earlier = _now(place)
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(place, msgspec.json.encode(Record(str(file.path), backup, _digest(data), folders)))
        _replace(file.path, data)
    except OSError:
        if earlier is None:
            place.unlink(missing_ok=True)
        else:
            _replace(place, earlier)
        if backup and (record is None or backup != record.backup):
            Path(backup).unlink(missing_ok=True)
        raise
    return Path(backup) if backup else None


def undo(place: Path) -> tuple[Path, bool] | None:
    """Bring back what was there before; the file, and whether there is one now. None where nothing was written.

    Raises Failed, with what to do, where the file is not as it was left, or its backup is gone.
    """
    record = Record.find(place)
    if record is None:
        return None
    path, backup = Path(record.path), Path(record.backup) if record.backup else None
    now = _now(path)
    earlier = None if backup is None else _now(backup)
    if now is not None and _digest(now) != record.left and now != earlier:
        kept = f"What it was before is in {backup}: take from it what you need" if backup else "There was no such file before"
        raise Failed(f"{path} was changed since Homeport wrote it, so it stays as it is. {kept}, or take Homeport's lines out by hand, then remove {place}")
    if backup is not None and earlier is None:
        raise Failed(f"{backup}, which holds the earlier file, is gone; take Homeport's lines out of {path} by hand, then remove {place}")
    if backup is not None and earlier is not None:
        if now is None:
            raise Failed(f"{path} is gone. To have the earlier one, move {backup} there, then remove {place}")
        _replace(path, earlier)
        backup.unlink()
    elif now is not None:
        Path(os.path.realpath(path)).unlink()
        for folder in reversed(record.folders):
            try:
                Path(folder).rmdir()
            except OSError:  # something else is in it by now
                break
    place.unlink()
    return path, backup is not None


def _backed_up(file: Text) -> Path:
    """A copy beside the file that is in nobody's place."""
    number = 1
    while True:
        backup = file.path.with_name(f"{file.path.name}{BACKUP}{f'-{number}' if number > 1 else ''}")
        try:
            handle = os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _mode(file.path))
        except FileExistsError:
            number += 1
            continue
        with os.fdopen(handle, "wb") as copy:
            copy.write(file.raw or b"")
            copy.flush()
            os.fsync(copy.fileno())
        return backup


def _replace(path: Path, data: bytes) -> None:
    """Put a file in the place of another in one step, on the disk when this returns; where `path` is a link, what it leads to. Raises OSError."""
    real = Path(os.path.realpath(path))
    new = real.with_name(f".{real.name}.{secrets.token_hex(4)}.new")
    mode = _mode(real)
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.chmod(mode)
        os.replace(new, real)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def _mode(path: Path) -> int:
    """The rights of the file; those of a private one where there is none."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0o600


def _now(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
