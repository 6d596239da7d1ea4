"""A gateway under test: in this process for speed, or in one of its own to be killed; and what its journal says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from homeport.app import App
from homeport.settings import load
from tests.caller import asked

QUICK = {"connect_timeout_s": 1.0, "first_token_timeout_s": 5.0, "idle_timeout_s": 5.0, "max_in_flight": 64, "queue": 4096}


def toml(value: Any) -> str:
    """A value as TOML: JSON's form serves for all but tables."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {toml(inner)}" for name, inner in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(inner) for inner in value) + "]"
    return json.dumps(value)


def config(
    folder: Path,
    backends: Mapping[str, str | Mapping[str, Any]],
    *,
    models: Mapping[str, Any] | None = None,
    monitor: Mapping[str, Any] | None = None,
    **server: Any,
) -> Path:
    """A homeport.toml in `folder`: `backends` by name, a URL or a table; one model `assistant` over all of them in order unless given."""
    table = {"listen": "127.0.0.1:0", "data": str(folder / "data"), "drain_timeout_s": 2, **server}
    rows = ["[server]", *(f"{name} = {toml(value)}" for name, value in table.items())]
    for name, given in backends.items():
        backend = {"kind": "openai", **QUICK, **({"url": given} if isinstance(given, str) else given)}
        rows += [f"[backends.{name}]", *(f"{key} = {toml(value)}" for key, value in backend.items())]
    for name, model in (models or {"assistant": {"routes": [{"backend": backend, "model": "m"} for backend in backends]}}).items():
        rows += [f"[models.{name}]", *(f"{key} = {toml(value)}" for key, value in model.items())]
    rows += ["[monitor]", *(f"{key} = {toml(value)}" for key, value in monitor.items())] if monitor else []
    path = folder / "homeport.toml"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


class Journal:
    """What a gateway's journal says; lines that are not whole yet are left for later."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def lines(self) -> list[dict[str, Any]]:
        files = sorted(self.data.glob("journal-*.jsonl"))
        rows = [row for file in files for row in file.read_bytes().split(b"\n")[:-1]]
        return [json.loads(row) for row in rows]

    @property
    def started(self) -> list[dict[str, Any]]:
        return [line["started"] for line in self.lines() if "started" in line]

    @property
    def receipts(self) -> list[dict[str, Any]]:
        return [line["settled"] for line in self.lines() if "settled" in line]

    def settled(self, number: int, timeout_s: float = 5.0) -> list[dict[str, Any]]:
        """The receipts once there are `number` of them; fails where they do not come, or more do."""
        assert soon(lambda: len(self.receipts) >= number, timeout_s), f"{len(self.receipts)} receipts, expected {number}"
        found = self.receipts
        assert len(found) == number
        assert len({receipt["id"] for receipt in found}) == number
        return found


def soon(predicate: Callable[[], bool], timeout_s: float = 5.0) -> bool:
    """Whether it holds within so many seconds."""
    deadline = time.monotonic() + timeout_s
    while not predicate():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where there is one, as in production."""
    with contextlib.suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop
    return None


class Running:
    """`with Running(config(...)) as gateway:` a gateway in a thread of this process, on the loop it has in production.

    With `guarded=False` its backends forget what went wrong, so that each ask meets a fault and not the first few alone.
    """

    def __init__(self, path: Path, *, guarded: bool = True) -> None:
        self.app = App(load(config=path))
        if not guarded:
            for backend in self.app.upstreams.backends.values():
                backend.health.seen = lambda model, error: None  # type: ignore[method-assign]
                backend.health.found = lambda *, good, reason="": None  # type: ignore[method-assign]
                backend.seen = lambda model, error, upstream=None: False  # type: ignore[method-assign]
        self.journal = Journal(self.app.settings.server.data)
        self.url = ""
        self._loop: asyncio.AbstractEventLoop
        self._ended: asyncio.Event
        self._up = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._up.wait(30)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(30)
        assert not self._thread.is_alive()
        if self._failure is not None:
            raise self._failure

    def status(self) -> dict[str, Any]:
        """`/status` as JSON."""
        report: dict[str, Any] = asked(self.url, method="GET", path="/status", host="127.0.0.1", headers={"accept": "application/json"}).json
        return report

    def backend(self, name: str) -> dict[str, Any]:
        """One backend of `/status`."""
        return next(row for row in self.status()["backends"] if row["name"] == name)

    @property
    def sockets(self) -> int:
        """Open connections to backends, idle ones included."""
        return sum(backend.sockets for backend in self.app._backends.values())

    def idle(self, timeout_s: float = 1.0) -> bool:
        """Whether no lease is taken, but for those of a backend that stands still, and nobody waits, within so many seconds."""
        return soon(lambda: all(row["in_flight"] == row["zombies"] and not row["queued"] for row in self.status()["backends"]), timeout_s)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(self._serve())
        except BaseException as failure:  # handed to the test
            self._failure = failure
            self._up.set()

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        await self.app.start()
        self.url = self.app.url
        self._up.set()
        await self._ended.wait()
        await self.app.stop()


class Spawned:
    """`with Spawned(config(...)) as gateway:` `homeport up` in a process of its own, with more flags where there are any."""

    def __init__(self, path: Path, *flags: str) -> None:
        self.path = path
        self.flags = flags
        self.url = ""
        self.pid = 0
        self.journal = Journal(path.parent / "data")
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "homeport", "up", "--config", str(self.path), "--json", *self.flags]
        with (self.path.parent / "gateway.log").open("ab") as log:
            self._child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd=self.path.parent)
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        assert line, (self.path.parent / "gateway.log").read_text(encoding="utf-8")[-2000:]
        told = json.loads(line)
        self.url, self.pid = told["url"], told["pid"]
        return self

    def __exit__(self, *_: object) -> None:
        self.end(signal.SIGTERM)

    def end(self, number: int) -> int | None:
        """Send it a signal and wait for its end; its exit code. Nothing where it has ended."""
        child, self._child = self._child, None
        if child is None:
            return None
        os.kill(child.pid, number)
        try:
            return child.wait(30)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait(10)
            assert child.stdout is not None
            child.stdout.close()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another `homeport` command with the same configuration."""
        environment = {**os.environ, "HOMEPORT_CONFIG": str(self.path)}
        return subprocess.run([sys.executable, "-m", "homeport", *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False)
