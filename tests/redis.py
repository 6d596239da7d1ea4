"""A real Redis for tests: Debian's redis-server, on a port and in a folder of its own, which can be stopped, frozen and started anew."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Self

import pytest

PROGRAM = shutil.which("redis-server") or shutil.which("valkey-server")
needs_redis = pytest.mark.skipif(PROGRAM is None, reason="needs redis-server or valkey-server (Debian: apt-get install redis-server)")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Redis:
    """`with Redis(folder) as store:` at `store.url`; nothing is written to its disk. `options` are redis.conf's."""

    def __init__(self, folder: Path, **options: str) -> None:
        self.folder = folder / "redis"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.options = options
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        assert PROGRAM is not None
        told = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(self.folder), "save": "", "appendonly": "no", **self.options}
        command = [PROGRAM, *(part for name, value in told.items() for part in (f"--{name}", value))]
        with (self.folder / "log").open("ab") as log:
            self._child = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError):
                if b"PONG" in self.say("PING") or "requirepass" in self.options:
                    return
            assert self._child.poll() is None and time.monotonic() < deadline, (self.folder / "log").read_text(encoding="utf-8")[-2000:]
            time.sleep(0.02)

    def say(self, *words: str) -> bytes:
        """One command over a connection of its own; the raw reply, as far as it came at once."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as wire:
            if "requirepass" in self.options:
                wire.sendall(_command("AUTH", self.options["requirepass"]))
                wire.recv(65536)
            wire.sendall(_command(*words))
            return wire.recv(1 << 20)

    def signal(self, number: int) -> None:
        assert self._child is not None
        self._child.send_signal(number)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def end(self) -> None:
        """Kill it: whoever is connected notices."""
        child, self._child = self._child, None
        if child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
            child.wait(10)


def _command(*words: str) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word.encode()), word.encode()) for word in words)


def with_fleet(path: Path, url: str | dict[str, Any], ttl_s: float = 2.0) -> Path:
    """The same homeport.toml with a [fleet]."""
    told = f'{{ env = "{url["env"]}" }}' if isinstance(url, dict) else f'"{url}"'
    path.write_text(f"{path.read_text(encoding='utf-8')}[fleet]\nurl = {told}\nlease_ttl_s = {ttl_s}\n", encoding="utf-8")
    return path
