"""A bare Debian with a systemd of its own, in a folder: `with Debian(folder, packages) as machine: machine.run("systemctl …")`.

debootstrap fills it, systemd-nspawn boots it in namespaces of its own, without a network; nothing of this machine changes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

BASE = "systemd,systemd-sysv,dbus,ca-certificates,python3-minimal,iproute2,procps"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TOOLS = ("debootstrap", "systemd-nspawn", "nsenter")


def lacking() -> str | None:
    """Why there can be none here; None where there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a machine of its own needs Linux and root"
    missing = [tool for tool in TOOLS if shutil.which(tool, path=f"{os.environ['PATH']}:{PATH}") is None]
    return f"not on this machine: {', '.join(missing)} (Debian: apt install debootstrap systemd-container)" if missing else None


class Debian:
    """One machine, from `with` to the end of its block; `packages` lie in its cache, so that apt-get needs no network."""

    def __init__(self, folder: Path, packages: tuple[str, ...] = ()) -> None:
        self.root = folder / "debian"
        self._log = folder / "boot.log"
        self._child: subprocess.Popen[bytes]
        self._leader = 0
        release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines() if "=" in line)
        command = ["debootstrap", "--variant=minbase", f"--include={BASE}", release["VERSION_CODENAME"], str(self.root)]
        _done(command)
        for kept in Path("/etc/apt/apt.conf.d").glob("99*"):  # how this machine reaches the archive
            shutil.copy(kept, self.root / "etc" / "apt" / "apt.conf.d")
        fill = f"apt-get -qq update && apt-get -qq install --download-only --no-install-recommends -y {' '.join(packages)}"
        _done([*_nspawn(self.root), "sh", "-c", fill])

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            command = [*_nspawn(self.root), "--private-network", "--boot"]
            self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        try:
            deadline = time.monotonic() + 120
            while not self._up():
                assert self._child.poll() is None and time.monotonic() < deadline, self._log.read_text(encoding="utf-8", errors="replace")[-2000:]
                time.sleep(0.2)
        except (AssertionError, OSError):
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._leader:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._leader, signal.SIGRTMIN + 4)  # systemd: power off
        try:
            self._child.wait(60)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait(10)

    def run(self, script: str, *, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """What a shell inside makes of the script."""
        inside = ["nsenter", "-t", str(self._leader), "-a", "env", "-i", f"PATH={PATH}", "HOME=/root", "LANG=C.UTF-8", "sh", "-c", script]
        return subprocess.run(inside, capture_output=True, text=True, timeout=timeout_s)

    def said(self, script: str) -> str:
        """What the script prints, which must succeed."""
        ran = self.run(script)
        assert ran.returncode == 0, f"{script}: {ran.stdout}{ran.stderr}"
        return ran.stdout.strip()

    def until(self, script: str, timeout_s: float = 60) -> None:
        """Wait for the script to succeed."""
        deadline = time.monotonic() + timeout_s
        while (ran := self.run(script)).returncode != 0:
            assert time.monotonic() < deadline, f"{script}: {ran.stdout}{ran.stderr}"
            time.sleep(0.2)

    def _up(self) -> bool:
        """Whether its systemd has started all."""
        children = Path(f"/proc/{self._child.pid}/task/{self._child.pid}/children").read_text(encoding="ascii").split()
        self._leader = int(children[0]) if children else 0
        return bool(self._leader) and self.run("systemctl is-system-running").stdout.strip() in ("running", "degraded")


def _nspawn(root: Path) -> list[str]:
    return ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "-D", str(root)]


def _done(command: list[str]) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL)
    assert ran.returncode == 0, f"{command[0]}: {ran.stdout[-1000:]}{ran.stderr[-1000:]}"
