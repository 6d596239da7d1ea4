"""The OpenSSH client as a tunnel: `ssh -R` with a pinned host key, and what its words mean.

The words are those of OpenSSH's client at LogLevel DEBUG1 (ssh.c, sshconnect.c, clientloop.c). They only explain: *up* is known from what comes through.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from homeport.errors import HomeportError
from homeport.ports import Heard
from homeport.tunnel.key import INSTALL, fingerprint

ALIAS = "homeport-tunnel"  # under this name the host's key is pinned, whatever its address
KNOWN_HOSTS = "known_hosts"
CONNECT_S, ALIVE_S, ALIVE_COUNT = 10, 2, 2  # given up after 6 s of silence, just before sshd frees the port
SCAN_S = 5
ALGORITHMS = {"ssh-rsa": "rsa-sha2-512,rsa-sha2-256"}  # by type of key, where they differ

CHANGED = re.compile(r"REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed|no matching host key type|host key is known for .* strict checking")
OFFERED = re.compile(r"^(?:debug1: Server host key: \S+ )?(SHA256:[A-Za-z0-9+/]{43})\.?$")
DENIED = re.compile(r"Permission denied \(|Too many authentication failures")
BAD_KEY = re.compile(r'^(?:Load key ".*": .*|Permissions \d+ for .* are too open\.|no such identity: .*)$')
HELD = re.compile(r"remote port forwarding failed for listen (?:port|path)|remote forward failure for")
STANDS = re.compile(r"remote forward success for")
NO_WAY = re.compile(r"connect to (?:host|address) .*?: ([^:]+)$|Could not resolve hostname \S+: (.*)$")
LOST = re.compile(  # whole beginnings: a VPS may greet with a text of its own
    r"^(?:Timeout, server \S+ not responding|Connection (?:to \S+ (?:port \d+ )?(?:closed|timed out)|closed by|reset by|timed out)|"
    r"client_loop: |kex_exchange_identification: |banner exchange: |ssh_dispatch_run_fatal: )"
)


class Ssh:
    """A way in by `ssh -R`. `to` is USER@HOST; `host_key` the one key that it may show; `remote` what is bound there. Fulfils ports.Tunnel."""

    kind = "ssh"
    url = None  # nothing here can ask from the other end

    def __init__(self, *, to: str, port: int, host_key: str, identity: Path, remote: str, folder: Path) -> None:
        self.to = to
        self.remote = remote
        self._port = port
        self._host_key = host_key
        self._identity = identity
        self._known_hosts = folder / KNOWN_HOSTS
        self._offered = self._key_fault = ""

    @property
    def environment(self) -> Mapping[str, str]:
        """The messages of the C library in the words that are known here."""
        return {"LC_ALL": "C"}

    @property
    def asks(self) -> str:
        """Who should be asking through it, for people."""
        where = self.remote if self.remote.startswith("/") else f"http://{self.remote}"
        return f"the gateway on the VPS should be asking {where}"

    def command(self, relay: str) -> list[str]:
        """The command line; connections made to `remote` come to `relay`, HOST:PORT. Writes the pinned key's file. Raises HomeportError, OSError."""
        program = shutil.which("ssh")
        if program is None:
            raise HomeportError(f"there is no ssh; {INSTALL}")
        self._offered = self._key_fault = ""
        self._pin(f"{ALIAS} {self._host_key}\n".encode("ascii"))
        algorithm = self._host_key.split()[0]
        known = quoted(self._known_hosts)
        options = [
            "LogLevel=DEBUG1",
            "BatchMode=yes",
            "StrictHostKeyChecking=yes",
            f"HostKeyAlias={ALIAS}",
            f"HostKeyAlgorithms={ALGORITHMS.get(algorithm, algorithm)}",
            f"UserKnownHostsFile={known}",
            f"GlobalKnownHostsFile={known}",
            "UpdateHostKeys=no",
            "VerifyHostKeyDNS=no",
            "CheckHostIP=no",
            f"IdentityFile={quoted(self._identity)}",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "PreferredAuthentications=publickey",
            "ForwardAgent=no",
            "ForwardX11=no",
            "ControlMaster=no",
            "ControlPath=none",
            "RequestTTY=no",
            "ExitOnForwardFailure=yes",
            f"ConnectTimeout={CONNECT_S}",
            f"ServerAliveInterval={ALIVE_S}",
            f"ServerAliveCountMax={ALIVE_COUNT}",
        ]
        words = [word for option in options for word in ("-o", option)]
        return [program, "-F", "none", "-N", "-T", *words, "-p", str(self._port), "-R", f"{self.remote}:{relay}", "--", self.to]

    def _pin(self, line: bytes) -> None:
        """Only where it is not so already: a full disk keeps nobody from connecting again."""
        if not self._known_hosts.is_file() or self._known_hosts.read_bytes() != line:
            self._known_hosts.write_bytes(line)

    def hear(self, line: str) -> Heard | None:
        """What a line of its standard error says, or None where that is nothing of note."""
        if STANDS.search(line):
            return Heard("connected", "")
        if found := OFFERED.search(line):
            self._offered = found[1]
        elif CHANGED.search(line):
            return Heard("refused", self._changed())
        elif DENIED.search(line):
            return Heard("refused", self._key_fault or f"{self.to} does not take this key; on the VPS, run the script of: homeport tunnel key")
        elif BAD_KEY.search(line):
            self._key_fault = self._key_fault or f"the key cannot be used: {line.strip().rstrip('.')}"
        elif HELD.search(line):
            return Heard("held", self._held())
        elif found := NO_WAY.search(line):
            return Heard("unreachable", f"{self._place} cannot be reached: {(found[1] or found[2]).strip().lower()}")
        elif LOST.search(line):
            return Heard("lost", f"the connection to {self._place} was lost: {line.strip().rstrip('.')}")
        return None

    @property
    def _place(self) -> str:
        return f"{self.to.partition('@')[2]} port {self._port}"

    def _changed(self) -> str:
        offered = f"it shows {self._offered}" if self._offered else "it shows a key of another type"
        pinned = fingerprint(self._host_key)
        return (
            f"the host key of {self._place} is not the pinned one: {offered}, pinned is {pinned}. Either somebody is in between, or the VPS was made anew: "
            "compare with ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub on the VPS itself, then change host_key under [tunnel]"
        )

    def _held(self) -> str:
        return (
            f"{self.remote} on the VPS is still held by the last connection, and free once sshd there has noticed (seconds, with the block of "
            "`homeport tunnel key`); if this stays, another program listens there, or PermitListen does not name it"
        )


def quoted(path: Path) -> str:
    """A path as a value of ssh's configuration: in quotes, and no percent sign of it means anything."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


def scan(host: str, port: int) -> str | None:
    """The host key that a machine shows now, as `host_key` takes it, of the best type; None where there is none to be had. It proves nothing."""
    program = shutil.which("ssh-keyscan")
    if program is None:
        return None
    words = [program, "-T", str(SCAN_S), "-p", str(port), "-t", "ed25519,ecdsa,rsa", "--", host]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=4 * SCAN_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = {words[1]: " ".join(words[1:3]) for line in done.stdout.splitlines() if not line.startswith("#") and len(words := line.split()) >= 3}
    return next((found[kind] for kind in sorted(found, key=lambda kind: kind != "ssh-ed25519")), None)
