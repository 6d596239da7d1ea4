"""A home with a tunnel, and what asks through it: `Home` runs the real command, `Asker` is the gateway's probes, `Node` what they should reach."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from homeport.tunnel import confinement, key
from tests.sshd import USER, Sshd, free_port

DEADLINE_S = 60.0


class Node:
    """Answers every GET, as a Homeport would."""

    def __init__(self, port: int = 0) -> None:
        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = b'{"status":"ok"}'
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Answer)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Asker:
    """Asks a port of the VPS, or a Unix socket there, every so often, a new connection each, as long as it is in use; `answers` counts."""

    def __init__(self, port: int | Path, every_s: float = 0.1) -> None:
        self.answers = 0
        self._port, self._every_s = port, every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            connection = http.client.HTTPConnection("127.0.0.1", self._port if isinstance(self._port, int) else 0, timeout=2)
            with contextlib.suppress(OSError, http.client.HTTPException):
                if isinstance(self._port, Path):
                    connection.sock = socket.socket(socket.AF_UNIX)
                    connection.sock.settimeout(2)
                    connection.sock.connect(str(self._port))
                connection.request("GET", "/v1/models")
                self.answers += connection.getresponse().status == 200
            connection.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


class Home:
    """`homeport tunnel up --json` with a data folder of its own, and a VPS that lets its key in."""

    def __init__(self, folder: Path, socket: Path | None = None) -> None:
        self.data = folder / "data"
        self.socket = socket  # what is bound on the VPS in a port's place
        self.identity = key.make(self.data)
        self.public = key.public(self.identity)
        self.remote = free_port()
        self.states: list[dict[str, Any]] = []
        self.errors = ""
        self.process: subprocess.Popen[str] | None = None
        self._readers: list[threading.Thread] = []
        self._folder = folder

    def vps(self, name: str = "vps") -> Sshd:
        """An sshd that is told what `homeport tunnel key` prints."""
        return Sshd(self._folder / name, confinement.authorized(self.public, self.place), confinement.sshd_block(USER, self.place))

    @property
    def place(self) -> str:
        """What is bound on the VPS."""
        return str(self.socket or f"127.0.0.1:{self.remote}")

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "homeport", "tunnel", *words]

    @property
    def environ(self) -> dict[str, str]:
        return {**{name: value for name, value in os.environ.items() if not name.startswith("HOMEPORT_")}, "HOMEPORT_DATA": str(self.data)}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*words), capture_output=True, text=True, env=self.environ, timeout=DEADLINE_S, cwd=self._folder)

    def up(self, vps: Sshd, local: int, *, probe_timeout_s: float = 30.0) -> None:
        """Start it; what it says is in `states`."""
        text = f'[tunnel]\nto = "{vps.to}"\nport = {vps.port}\nhost_key = "{vps.host_key}"\nremote = "{self.place}"\n'
        text += f'local = "127.0.0.1:{local}"\nprobe_timeout_s = {probe_timeout_s}\n'
        (self._folder / "homeport.toml").write_text(text, encoding="utf-8")
        self.process = subprocess.Popen(
            self.command("up", "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environ, cwd=self._folder
        )
        self._readers = [threading.Thread(target=read) for read in (self._read_states, self._read_errors)]
        for reader in self._readers:
            reader.start()

    def _read_states(self) -> None:
        assert self.process is not None and self.process.stdout is not None
        for line in self.process.stdout:
            self.states.append(json.loads(line))

    def _read_errors(self) -> None:
        assert self.process is not None and self.process.stderr is not None
        self.errors = self.process.stderr.read()

    @property
    def now(self) -> dict[str, Any]:
        """The last state it told."""
        return self.states[-1] if self.states else {}

    @property
    def told(self) -> dict[str, Any]:
        """What `homeport tunnel status --json` says."""
        found: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
        return found

    def until(self, state: str, words: str = "") -> dict[str, Any]:
        """Wait for a state, with these words in its reason."""
        wait(lambda: self.now.get("state") == state and words in (self.now["reason"] or ""), lambda: f"{self.states}\n{self.errors}")
        return self.now

    @property
    def ssh(self) -> list[int]:
        """Processes of the tunnel's client, of this home."""
        mark = f'IdentityFile="{self.identity}"'.encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                with contextlib.suppress(OSError):
                    if mark in (entry / "cmdline").read_bytes().split(b"\0"):
                        found.append(int(entry.name))
        return found

    def end(self, *, kill: bool = False) -> int:
        """End it; its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.kill() if kill else self.process.terminate()
        code = self.process.wait(DEADLINE_S)
        for reader in self._readers:
            reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        self.process = None
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.end()


def wait(until: Callable[[], bool], say: Callable[[], str] = lambda: "") -> float:
    """Wait for something, generously; the seconds that it took."""
    begun = time.monotonic()
    while not until():
        assert time.monotonic() < begun + DEADLINE_S, say()
        time.sleep(0.02)
    return time.monotonic() - begun
