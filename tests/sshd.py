"""A real sshd on loopback, with its own configuration and host key: `with Sshd(folder, authorized, block) as vps`.

It takes the user that runs the tests, whoever that is, so that no account need be made. As root that is the hardest case: what holds here
holds for a user without a shell. PAM stays out of it.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

EXECUTABLE = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
USER = getpass.getuser()

CONF = """
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host_key
PidFile {folder}/pid
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
UsePAM no
PermitRootLogin yes
LogLevel VERBOSE
AcceptEnv *
AllowAgentForwarding yes
X11Forwarding yes
PermitTunnel yes
PermitUserEnvironment yes
Subsystem sftp internal-sftp
{block}
"""


class Sshd:
    """One sshd that lets USER in by `authorized` (lines of authorized_keys), and is told `block` last. All else is allowed, so that only these confine."""

    def __init__(self, folder: Path, authorized: str, block: str = "", port: int = 0) -> None:
        assert EXECUTABLE is not None
        self.folder = folder
        self.port = port or free_port()
        folder.mkdir(exist_ok=True)
        self.new_host_key()
        (folder / "authorized_keys").write_text(authorized + "\n", encoding="ascii")
        (folder / "conf").write_text(CONF.format(folder=folder, port=self.port, block=block), encoding="utf-8")
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def to(self) -> str:
        """USER@HOST."""
        return f"{USER}@127.0.0.1"

    @property
    def host_key(self) -> str:
        """Type and base64."""
        return " ".join((self.folder / "host_key.pub").read_text(encoding="ascii").split()[:2])

    @property
    def log(self) -> str:
        """What it said."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def new_host_key(self) -> None:
        """As after the machine was made anew, or another one answers in its place; holds from the next start."""
        keygen(self.folder / "host_key")

    def start(self) -> None:
        """Start, and wait until it listens."""
        assert EXECUTABLE is not None
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._child = subprocess.Popen([EXECUTABLE, "-D", "-e", "-f", str(self.folder / "conf")], stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 20
        while not listens(self.port):
            assert self._child.poll() is None and time.monotonic() < deadline, self.log[-2000:]
            time.sleep(0.02)

    def stop(self) -> None:
        """End it and every connection of its."""
        if self._child is None:
            return
        for pid in [*descendants(self._child.pid), self._child.pid]:
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                continue
        self._child.wait(10)
        self._child = None

    def sessions(self) -> list[int]:
        """Processes that serve a connection."""
        return descendants(self._child.pid) if self._child is not None else []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def keygen(path: Path) -> None:
    """A new ed25519 key, in the place of an older one."""
    for old in (path, Path(f"{path}.pub")):
        old.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tests", "-f", str(path)], check=True, stdin=subprocess.DEVNULL)


def free_port() -> int:
    """A port of loopback that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Whether somebody does."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def descendants(pid: int) -> list[int]:
    """Children of a process, and theirs, the youngest first. Linux only."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(") ")[2].split()[1])
            except (OSError, IndexError, ValueError):
                continue
    found, level = [], [pid]
    while level:
        level = [child for child, parent in parents.items() if parent in level]
        found += level
    return found[::-1]
