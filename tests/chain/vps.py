"""The machine with the public address: sshd, nginx with TLS, the gateway, and a small engine that answers while home is off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.chain import engine
from tests.chain.places import Place, executable
from tests.front_door import FrontDoor, self_signed
from tests.gateway import Journal, config

NEEDED = {"nginx": "nginx", "sshd": "openssh-server", "ssh": "openssh-client", "openssl": "openssl"}  # a program, and the Debian package it is in
NAME = "home.example"
USER, UID = "tunnel", 64900
GATEWAY, BOUND, SPARE = 8461, 8462, 8470  # its ports on loopback: the gateway's, the one that leads home, the spare engine's
CLOCKS = {"connect_timeout_s": 2.0, "first_token_timeout_s": 5.0, "idle_timeout_s": 5.0, "max_in_flight": 32}
READY_S = 60.0

SSHD = """
Port 22
ListenAddress 0.0.0.0
HostKey {folder}/host_key
PidFile {folder}/sshd.pid
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
{confined}
"""
# sshd has accounts to let in, and folders to keep things in, that nobody else sees: its mounts are its own, and gone with it.
START_SSHD = """
mount --bind {folder}/passwd /etc/passwd && mount -t tmpfs -o mode=755 none /run && mkdir /run/sshd && cp -r {folder}/accounts/. /run/ && (
cd {folder}/accounts && for user in *; do chown -R $user /run/$user && chmod -R go= /run/$user; done ) && exec {sshd} -D -e -f {folder}/sshd_config
"""


class Vps:
    """Its servers, started one by one: `authorize` and `start_sshd` for the tunnel, `start` for what answers.

    The tunnel comes out at `remote`: a port of loopback, or a Unix socket in the folder `sockets`, which sshd's user is made the owner of.
    """

    def __init__(self, place: Place, sockets: Path | None = None) -> None:
        self.place = place
        self.remote, self.url = f"127.0.0.1:{BOUND}", f"http://127.0.0.1:{BOUND}"
        if sockets is not None:
            os.chown(sockets, UID, -1)
            self.remote, self.url = f"{sockets}/home.sock", f"http+unix://{sockets}/home.sock"
        self.folder = place.folder
        self.journal = Journal(self.folder / "data")
        self._confined = ""
        self._users: list[str] = []
        _made("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / "host_key"))
        self.host_key = " ".join((self.folder / "host_key.pub").read_text(encoding="ascii").split()[:2])
        self.certificate = self_signed(self.folder, NAME)
        self.door = self.front_door(GATEWAY, 443, 80, self.folder)

    # the door for the tunnel

    def authorize(self, user: str, line: str, confined: str = "") -> None:
        """Let a key in as this user, confined by these lines for sshd_config; sshd hears of it when it starts."""
        kept = self.folder / "accounts" / user / ".ssh"
        kept.mkdir(parents=True)
        (kept / "authorized_keys").write_text(line.strip() + "\n", encoding="utf-8")
        self._confined += confined + "\n"
        (self.folder / "sshd_config").write_text(SSHD.format(folder=self.folder, confined=self._confined), encoding="utf-8")
        self._users.append(f"{user}:x:{UID + len(self._users)}:65534::/run/{user}:/usr/sbin/nologin")
        (self.folder / "passwd").write_text("\n".join([Path("/etc/passwd").read_text(encoding="utf-8").rstrip(), *self._users, ""]), encoding="utf-8")

    def start_sshd(self) -> None:
        """Returns once it listens."""
        script = START_SSHD.format(folder=self.folder, sshd=executable("sshd"))
        self.place.start("sshd.log", ["unshare", "--mount", "sh", "-c", script])
        self.until(lambda: self.listens(22), "sshd.log")

    def kill_sshd(self) -> None:
        """The server and its sessions."""
        self.place.kill("sshd")

    def listens(self, port: int) -> bool:
        """Whether anybody has this port, whoever it may lead to."""
        return bool(self.place.run("ss", "-Hltn", f"sport = :{port}").strip())

    # what answers

    def start(self, home: dict[str, Any]) -> str:
        """Start all that answers but the front door; `home` is the backend at the end of the tunnel. A key for the visitor."""
        spare = self.place.start("spare.log", [sys.executable, engine.__file__, "spare", str(SPARE)], stdin=subprocess.PIPE)
        first_line(self.place, spare, "spare.log")
        backends = {"home": {"kind": "openai", "url": self.url, **CLOCKS, **home}, "spare": {"url": f"http://127.0.0.1:{SPARE}", **CLOCKS}}
        models = {"assistant": {"routes": [{"backend": "home", "model": engine.MODEL}, {"backend": "spare", "model": engine.MODEL}]}}
        path = config(self.folder, backends, models=models, listen=f"127.0.0.1:{GATEWAY}")
        key = added(self.place, path, "visitor")
        started(self.place, path, "gateway.log")
        return key

    def front_door(self, port: int, https: int, http: int, folder: Path) -> FrontDoor:
        """The nginx that ships, before a port of this machine."""
        listens = {"address": self.place.address, "https": https, "http": http}
        return FrontDoor(folder, f"127.0.0.1:{port}", **listens, certificate=self.certificate, prefix=tuple(self.place.command()))

    def until(self, predicate: Callable[[], bool], log: str) -> None:
        """Wait for something to be so."""
        deadline = time.monotonic() + READY_S
        while not predicate():
            assert time.monotonic() < deadline, self.place.said(log)
            time.sleep(0.01)


def lacking() -> str:
    """What is missing of the programs; "" where nothing is."""
    missing = sorted({package for name, package in NEEDED.items() if executable(name) is None})
    return f"{', '.join(missing)} not on this machine" if missing else ""


def homeport(*arguments: str) -> list[str]:
    """A command of Homeport's."""
    return [sys.executable, "-m", "homeport", *arguments]


def added(place: Place, path: Path, name: str) -> str:
    """A new key of the gateway with this configuration."""
    told: dict[str, str] = json.loads(place.run("env", f"HOMEPORT_CONFIG={path}", *homeport("keys", "add", name, "--json")))
    return told["key"]


def started(place: Place, path: Path, log: str) -> dict[str, Any]:
    """`homeport up` in this place: its URL and pid, once it accepts requests."""
    child = place.start(log, homeport("up", "--config", str(path), "--json"))
    told: dict[str, Any] = json.loads(first_line(place, child, log))
    return told


def first_line(place: Place, child: subprocess.Popen[bytes], log: str) -> bytes:
    """What a process says first."""
    assert child.stdout is not None
    line = child.stdout.readline()
    assert line, place.said(log)
    return line


def _made(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=60)
