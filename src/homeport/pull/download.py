"""Brings one file: into a `.part` beside its place, going on after a cut where it was, and checks it when it is whole.

What a part belongs to stands in `.part.json`: the address, the size, and the checksum or the validator (ETag, date). A part is
gone on with only where these are still the same. With a checksum the content is known, so a plain Range is enough, and the
checksum of the whole decides. Without, `If-Range` makes the server send all of it anew where it has changed (RFC 9110, 13.1.5).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from homeport.pull.failure import Again, CannotPull, Changed
from homeport.pull.gguf import NotGguf, TooShort, begins
from homeport.pull.hub import SHA256, Remote, size_of
from homeport.pull.pace import Pace, pause
from homeport.pull.web import Reply, Web
from homeport.storage.shelf import read_record, write_record

BLOCK = 2**20  # bytes hashed at a time
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Watcher(NamedTuple):
    """What is told while a file comes."""

    came: Callable[[int], None] = lambda count: None  # so many bytes more, fewer where it begins anew
    say: Callable[[str], None] = lambda line: None


def bring(web: Web, remote: Remote, target: Path, watcher: Watcher, *, head: bytes = b"", pace: Pace | None = None) -> Path:
    """The part of `target`, whole and checked, to be renamed to it.

    `head` are first bytes of the file that were read already. Raises CannotPull; what has come is kept, where it is of use.
    """
    pace = pace or Pace()
    with _Part(remote, target, watcher) as part:
        part.begin(head)
        failed = 0
        while part.size < remote.size:
            before = part.size
            try:
                _once(web, part)
            except Again as error:
                failed = failed + 1 if part.size <= before else 1
                pause(error, failed, pace, watcher.say, f"{part.progress} are kept: the same command goes on from there")
            except Changed as error:
                part.drop()
                raise CannotPull(f"{error}; what had come is of no use. Run the same command again") from None
        part.check()
    return part.path


def kept(target: Path, remote: Remote) -> int:
    """Bytes of an earlier attempt that can be gone on with."""
    path = part_of(target)
    if not remote.sha256 and not remote.validator:
        return 0
    try:
        size = path.stat().st_size
    except OSError:
        return 0
    return size if read_record(_beside(path)) == _identity(remote) and size <= remote.size else 0


def part_of(target: Path) -> Path:
    """Where a file lies until it is whole."""
    return target.with_name(target.name + ".part")


def finish(target: Path) -> None:
    """Give the whole part its name."""
    part = part_of(target)
    os.replace(part, target)
    with contextlib.suppress(OSError):
        _beside(part).unlink()


def validator(reply: Reply) -> str | None:
    """What If-Range takes: a strong ETag, else the date of change."""
    etag = reply.headers.get("etag", "")
    if etag.startswith('"'):
        return etag
    return reply.headers.get("last-modified") or None


class _Part:
    """The file that grows, with the checksum of what is in it."""

    def __init__(self, remote: Remote, target: Path, watcher: Watcher) -> None:
        self.remote = remote
        self.path = part_of(target)
        self.size = 0
        self._watcher = watcher
        self._file: io.FileIO
        self._digest = hashlib.sha256()

    def __enter__(self) -> _Part:
        had = kept(self.path.with_name(self.path.name.removesuffix(".part")), self.remote)
        if not had and self.path.exists() and self.path.stat().st_size:
            self._watcher.say("what had come of an earlier one does not belong to this file, so it begins anew")
        write_record(_beside(self.path), _identity(self.remote))
        self._file = self.path.open("r+b" if had else "w+b", buffering=0)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def progress(self) -> str:
        return f"{size_of(self.size)} of {size_of(self.remote.size)}"

    def begin(self, head: bytes) -> None:
        """Read what is there, or start with the bytes that are known."""
        while block := self._file.read(BLOCK):
            self._digest.update(block)
            self.size += len(block)
            self._watcher.came(len(block))
        if not self.size and head and (self.remote.sha256 or self.remote.validator):
            self.write(head[: self.remote.size])

    def write(self, data: bytes) -> None:
        """Add bytes. Raises CannotPull where the disk is full, Changed where the file would become too long."""
        if self.size + len(data) > self.remote.size:
            raise Changed("the server sends more than it said")
        rest = memoryview(data)
        while rest:
            try:
                count = self._file.write(rest) or 0
            except OSError as error:
                if error.errno not in FULL:
                    raise
                raise CannotPull(f"the disk is full, with {self.progress} there. Make room, then run the same command: it goes on") from None
            self._digest.update(rest[:count])
            self.size += count
            self._watcher.came(count)
            rest = rest[count:]

    def empty(self) -> None:
        """Begin anew."""
        self._watcher.came(-self.size)
        self._file.seek(0)
        self._file.truncate()
        self._digest = hashlib.sha256()
        self.size = 0

    def drop(self) -> None:
        """Remove what has come."""
        self._file.close()
        for path in (self.path, _beside(self.path)):
            path.unlink(missing_ok=True)

    def check(self) -> None:
        """Raises CannotPull where the whole file is not what it should be; nothing of it is kept then."""
        found = self._digest.hexdigest()
        if self.remote.sha256 and found != self.remote.sha256:
            self.drop()
            told = f"SHA-256 {found[:12]}… instead of {self.remote.sha256[:12]}…"
            raise CannotPull(f"{self.remote.name} came damaged ({told}), so it was removed. Run the same command again")
        os.fsync(self._file.fileno())


def peek(web: Web, remote: Remote, count: int, data: bytes = b"") -> tuple[bytes, Reply]:
    """The first `count` bytes, of which `data` are known already; fewer where the file ends before. Raises Again, CannotPull."""
    with web.get(remote.url, {"range": f"bytes={len(data)}-{count - 1}"}) as reply:
        got = bytearray(data if reply.start == len(data) else b"")
        if reply.status == 416:
            return data, reply
        for piece in reply.pieces():
            got += piece
            if len(got) >= count:
                break
        return bytes(got[:count]), reply


def _once(web: Web, part: _Part) -> None:
    """One attempt: from where the part ends, until the file or the connection does."""
    remote = part.remote
    headers = {}
    if part.size and (remote.sha256 or remote.validator):
        headers["range"] = f"bytes={part.size}-"
        if not remote.sha256 and remote.validator:
            headers["if-range"] = remote.validator
    with web.get(remote.url, headers) as reply:
        _same(reply, remote)
        if reply.start != part.size or reply.status == 416:
            part.empty()
            if reply.start != 0 or reply.status == 416:
                raise Again("the server sent another part than the one asked for")
        for piece in reply.pieces():
            if part.size == 0 and piece:
                _begins(piece, part)
            part.write(piece)
    if part.size < remote.size:
        raise Again("the server stopped before the end")


def _same(reply: Reply, remote: Remote) -> None:
    """Raises Changed where the server no longer has the file that is being brought."""
    etag = reply.linked.get("X-Linked-ETag", "").removeprefix("W/").strip('"').lower()
    if remote.sha256 and SHA256.fullmatch(etag) and etag != remote.sha256:
        raise Changed(f"{remote.name} was replaced at the hub meanwhile")
    if reply.length is not None and reply.length != remote.size:
        raise Changed(f"{remote.name} was replaced at the server meanwhile ({size_of(reply.length)} instead of {size_of(remote.size)})")
    now = validator(reply)
    if not remote.sha256 and remote.validator and now and now != remote.validator:
        raise Changed(f"{remote.name} was replaced at the server meanwhile")


def _begins(piece: bytes, part: _Part) -> None:
    """Raises CannotPull where a file begins like something else; nothing of it is kept then."""
    try:
        begins(piece)
    except TooShort:
        return
    except NotGguf as error:
        part.drop()
        raise CannotPull(f"what came is no GGUF file: {error}") from None


def _identity(remote: Remote) -> dict[str, Any]:
    address = hashlib.sha256(remote.url.encode()).hexdigest()  # the address itself may hold a secret
    if remote.sha256:
        return {"sha256": remote.sha256, "size": remote.size}
    return {"address": address, "size": remote.size, "validator": remote.validator}


def _beside(part: Path) -> Path:
    return part.with_name(part.name + ".json")
