"""The key for the tunnel alone: made once, by ssh-keygen, and kept in the data folder."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from homeport.errors import HomeportError
from homeport.tunnel.state import folder_of

NAME = "id_ed25519"
COMMENT = "homeport-tunnel"
TIMEOUT_S = 20.0
INSTALL = "install OpenSSH's client (Debian: apt-get install openssh-client)"


def make(data: Path) -> Path:
    """The private key's file, made where it is not there yet; of several who make it at once, one does. Raises HomeportError."""
    home = folder_of(data)
    path = home / NAME
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise HomeportError(f"{home} cannot be made: {error.strerror}") from None
    if not path.exists():
        try:
            with tempfile.TemporaryDirectory(prefix="new-", dir=home) as place:
                new = Path(place, NAME)
                _keygen("-q", "-t", "ed25519", "-N", "", "-C", COMMENT, "-f", str(new))
                _put(new, path)
        except OSError as error:
            raise HomeportError(f"{path} cannot be made: {error.strerror}") from None
    return path


def _put(new: Path, path: Path) -> None:
    """Put a key and its public half in their place, unless another is there by now. Raises OSError."""
    try:
        os.link(new, path)
    except FileExistsError:
        return
    except OSError:  # a file system without links
        os.replace(new, path)
    os.replace(f"{new}.pub", f"{path}.pub")


def public(identity: Path) -> str:
    """Its public half on one line: type, base64 and a comment. Raises HomeportError where the file is no key, or has a passphrase."""
    if not identity.is_file():
        raise HomeportError(f"there is no key at {identity}; make one with: homeport tunnel key")
    words = _keygen("-y", "-P", "", "-f", str(identity)).split()
    return " ".join([*words[:2], COMMENT])


def fingerprint(public_key: str) -> str:
    """`SHA256:…`, as OpenSSH shows a public key to people."""
    blob = base64.b64decode(public_key.split()[1])
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).rstrip(b"=").decode()


def _keygen(*words: str) -> str:
    found = shutil.which("ssh-keygen")
    if found is None:
        raise HomeportError(f"there is no ssh-keygen; {INSTALL}")
    try:
        done = subprocess.run([found, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HomeportError(f"ssh-keygen did not do its work: {error}") from None
    if done.returncode:
        told = " ".join(line.strip("@ ") for line in done.stderr.splitlines() if line.strip("@ "))
        raise HomeportError(f"ssh-keygen refused {words[-1]}: {told or f'status {done.returncode}'}")
    return done.stdout.strip()
