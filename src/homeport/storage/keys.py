"""The keys that may ask: made at random, shown once, kept as SHA-256 in `keys.json`.

    {"keys": [{"name": "laptop", "sha256": "…", "created": 1795203067}]}

The file is replaced as a whole, so a reader sees the old keys or the new ones; writers take turns by a lock. A key has
256 random bits, so one round of SHA-256 is enough: there is nothing to guess.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from homeport.errors import HomeportError
from homeport.storage import locks

_PREFIX = "hp_"
_LENGTH = 46  # of a secret: the prefix and 32 bytes as base64url
_MISSING = "missing"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_sha256 = hashlib.sha256
_same = hmac.compare_digest


class Key(Struct, frozen=True):
    """One key as it is kept. `created` is in seconds since the epoch; `sha256` of the secret, hexadecimal."""

    name: str
    sha256: str
    created: int


class _File(Struct, frozen=True):
    keys: list[Key]


class Keys:
    """The keys in `folder`, as they were when `refresh` last looked.

    `exist` is whether there are any, so that one is needed. A `keys.json` that cannot be read, or that vanished while
    this process runs, leaves `exist` True and refuses every key, and `trouble` says why: a fault never opens the gateway.
    """

    def __init__(self, folder: Path) -> None:
        self.exist = False
        self.trouble: str | None = None
        self._folder = folder
        self._path = folder / "keys.json"
        self._name = str(self._path)
        self._keys: list[Key] = []
        self._digests: dict[bytes, tuple[bytes, str]] = {}
        self._found: dict[str, str] = {}  # secrets that were found, to their names, until the file changes: one a key at most
        self._seen: object = None  # what the file's status was when it was last read
        self.refresh()

    def find(self, secret: str) -> str | None:
        """The name of the key whose secret this is, or None. How long it takes tells nothing about other secrets."""
        name = self._found.get(secret)
        if name is not None:
            return name
        if len(secret) != _LENGTH:
            return None
        digest = _sha256(secret.encode("utf-8", "replace")).digest()
        found = self._digests.get(digest)
        if found is None or not _same(found[0], digest):
            return None
        self._found[secret] = found[1]
        return found[1]

    def refresh(self) -> bool:
        """Read the file again if it changed, and say whether anything is different now. Otherwise one `stat`. Never raises."""
        seen = self._status()
        if seen == self._seen:
            return False
        before = self.exist, self.trouble, self._keys
        self._seen = seen
        try:
            keys, self.trouble = self._read(), None
            if seen == _MISSING and self.exist:
                self.trouble = f"{self._path} is gone, so no key is taken. Bring it back, or restart to run without keys."
        except HomeportError as error:
            keys, self.trouble = [], str(error)
        except OSError as error:
            keys, self.trouble = [], f"{self._path} cannot be read, so no key is taken: {error.strerror}. Make it readable for this user."
            self._seen = None  # look again next time: that it becomes readable shows nowhere else
        self._found = {}
        self._keys = keys
        self._digests = {digest: (digest, key.name) for key in keys for digest in [bytes.fromhex(key.sha256)]}
        self.exist = bool(keys) or self.trouble is not None
        return before != (self.exist, self.trouble, self._keys)

    def names(self) -> list[str]:
        """The names of all keys, oldest first."""
        return [key.name for key in self._keys]

    def kept(self) -> list[Key]:
        """All keys as they are kept, oldest first."""
        return list(self._keys)

    def add(self, name: str) -> str:
        """Make a key, and return its secret: the only time it can be seen.

        Raises HomeportError for a name that will not do or is taken, and where `keys.json` cannot be read or written.
        """
        if not _NAME.fullmatch(name):
            raise HomeportError(
                f"{name[:80]!r} will not do as the name of a key: use 1 to 64 letters, digits and . _ @ - only, beginning with a letter or digit."
            )
        secret = _PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
        with self._alone():
            keys = self._read()
            if any(key.name == name for key in keys):
                raise HomeportError(f"There is a key named {name!r} already. Choose another name, or revoke that key first.")
            self._write([*keys, Key(name, _sha256(secret.encode()).hexdigest(), int(time.time()))])
        self.refresh()
        return secret

    def revoke(self, name: str) -> bool:
        """Remove a key; whether there was one of that name. Raises HomeportError where `keys.json` cannot be read or written."""
        with self._alone():
            keys = self._read()
            left = [key for key in keys if key.name != name]
            if len(left) != len(keys):
                self._write(left)
        self.refresh()
        return len(left) != len(keys)

    def _status(self) -> object:
        """Something that differs whenever the file does."""
        try:
            status = os.stat(self._name)
        except FileNotFoundError:
            return _MISSING
        except OSError as error:
            return error.errno
        return status.st_mtime_ns, status.st_ino, status.st_size

    def _read(self) -> list[Key]:
        """The keys as they are in the file now. Raises HomeportError where they make no sense, OSError where there is no reading it."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return []
        try:
            keys = msgspec.json.decode(data, type=_File).keys
            if all(len(bytes.fromhex(key.sha256)) == 32 for key in keys):
                return keys
            reason = "a sha256 in it is not 64 hexadecimal digits"
        except (msgspec.DecodeError, ValueError) as error:
            reason = str(error)
        raise HomeportError(f"{self._path} is spoilt, so no key is taken: {reason}. Restore it, or remove it and add the keys anew.")

    def _write(self, keys: list[Key]) -> None:
        """Put a new file in the place of the old one, on the disk when this returns. Raises OSError, with the old one in place."""
        data = msgspec.json.format(msgspec.json.encode(_File(keys)), indent=2) + b"\n"
        new = self._folder / f"keys.{secrets.token_hex(4)}.new"
        try:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, self._path)
        except OSError:
            new.unlink(missing_ok=True)
            raise
        if os.name == "posix":
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else changes the keys meanwhile; errors of the file system become ours."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locks.exclusive(self._folder / "keys.lock"):
                yield
        except OSError as error:
            raise HomeportError(f"{self._path} cannot be changed: {error.strerror}. Make the folder writable and free some space.") from error
