"""A scripted backend in a process of its own, to be killed, stopped with SIGSTOP and continued.

Run as `python -m homeport.testing.process JSON`, JSON being a `Setup`, it prints `{"url", "pid"}` and serves until stdin closes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from typing import Self

import msgspec
from msgspec import Struct

from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer
from homeport.testing.shapes import StyleName


class Setup(Struct, kw_only=True):
    """What the child serves; `answer` for each request that generates."""

    style: StyleName = "llama.cpp"
    answer: Answer = Answer()
    models: tuple[str, ...] = ("talker",)
    slots: int | None = None
    port: int = 0


class BackendProcess:
    """`with BackendProcess(Setup(...)) as backend:` then `backend.url`, `stop()`, `go_on()`, `kill()`, `restart()`, `counters()`."""

    def __init__(self, setup: Setup | None = None) -> None:
        self.setup = setup or Setup()
        self.url = ""
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.restart()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """Of the child. Raises RuntimeError where none runs."""
        if self._child is None:
            raise RuntimeError("the backend is not running")
        return self._child.pid

    def restart(self) -> None:
        """Start the child, on the port it had before if any; returns once it listens."""
        command = [sys.executable, "-m", "homeport.testing.process", msgspec.json.encode(self.setup).decode()]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._child.stdout is not None
        self.url = msgspec.json.decode(self._child.stdout.readline())["url"]
        self.setup.port = int(self.url.rpartition(":")[2])

    def stop(self) -> None:
        """SIGSTOP, and wait until it stands still: its sockets stay open and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)
        if hasattr(os, "waitid"):  # not on Windows, which has no SIGSTOP either
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)

    def go_on(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone. Nothing where it is gone already."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait(10)
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()

    def counters(self) -> dict[str, int]:
        """What it counted: see `ScriptedBackend.counters`."""
        with urllib.request.urlopen(f"{self.url}/scripted", timeout=5) as reply:
            return msgspec.json.decode(reply.read(), type=dict[str, int])


def main() -> None:
    """Serve until stdin closes, so that the child never outlives its parent."""
    setup = msgspec.json.decode(sys.argv[1], type=Setup)
    with ScriptedBackend(setup.answer, style=setup.style, models=setup.models, slots=setup.slots, port=setup.port) as backend:
        sys.stdout.buffer.write(msgspec.json.encode({"url": backend.url, "pid": os.getpid()}) + b"\n")
        sys.stdout.buffer.flush()
        sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
