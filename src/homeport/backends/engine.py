"""Supervises llama.cpp's own server in a child process: loads a GGUF, restarts what dies, leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path
from typing import Any

from homeport.errors import Unreachable

CHILD = Path(__file__).with_name("engine_child.py")
UNUSABLE = 3  # the child's exit status where the model cannot be used: trying again will hardly help
BACK_OFF_S = (0.2, 30.0)  # first and longest wait before a new start; it doubles in between
STEADY_S = 60.0  # healthy for so long: the back-off begins anew
GRACE_S = 2.0  # from closing the child's stdin to SIGKILL
LOG_LIMIT = 256 * 1024  # bytes; then the log begins anew

STAMP = re.compile(r"^[\d.]+ [A-Z] +(?:\w{3,4} +)?")  # what llama.cpp puts before a message: time, level, part
PLACE = re.compile(r"^\w+: +")  # and the function it came from
CRASH = re.compile(r"^(?:\S*[/\\])?([\w-]{1,40}\.(?:cpp|cc|c|h|hpp|m|mm|cu|cuh)):(\d+): ")  # ggml's last words


class Engine:
    """One model served by llama.cpp in a child process, reachable on loopback with a key made here.

    `url` is where it answers while `state` is "healthy"; a restart changes it. `state` is "loading", "healthy" or "down",
    `reason` says why in words for people, `since` when that began (seconds since the epoch). `on_change` is called in the
    loop's thread after each change of state. The child ends with this process, however it ends.

    `key` is one to be used instead. A file of another SHA-256 than `digest` (hexadecimal) is not loaded. `context` is the tokens of
    each slot. `threads` is by default one for a small model, else what the machine has. With
    `embeddings` the server answers `/v1/embeddings` (mean pooling) besides chat. `prompt_cache_mib` (MiB) bounds what is kept
    of finished prompts, by default a sixteenth of the memory. `log` gets the child's words, none of
    which quote a request, and never grows beyond 256 KiB.
    """

    def __init__(
        self,
        *,
        model: Path,
        slots: int,
        context: int,
        name: str,
        log: Path | None = None,
        threads: int | None = None,
        embeddings: bool = True,
        prompt_cache_mib: int | None = None,
        load_timeout_s: float = 300.0,
        key: str | None = None,
        digest: str | None = None,
    ) -> None:
        self.url = ""
        self.key: str | None = key or secrets.token_urlsafe(32)
        self.state = "loading"
        self.reason = "not started yet"
        self.since = time.time()
        self.on_change: Callable[[], None] | None = None
        self.pid: int | None = None  # of the child, while there is one
        self.restarts = 0
        self._model = model
        self._name = name
        self._load_timeout_s = load_timeout_s
        self._log = _Log(log)
        self._order: dict[str, Any] = {
            "model": str(model),
            "name": name,
            "slots": slots,
            "context": context,
            "embeddings": embeddings,
            "threads": threads,
            "prompt_cache_mib": prompt_cache_mib,
            "key": self.key,
            "digest": digest,
        }
        self._unusable = False
        self._task: asyncio.Task[None] | None = None
        self._waiters: set[asyncio.Future[None]] = set()

    async def start(self) -> None:
        """Begin to load; returns at once."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._supervise(), name=f"engine {self._name}")

    async def ready(self, timeout_s: float) -> None:
        """Wait until it is healthy, through restarts too.

        Raises Unreachable with the reason once `timeout_s` has passed, and at once where the model cannot be used.
        """
        deadline = time.monotonic() + timeout_s
        while self.state != "healthy":
            left = deadline - time.monotonic()
            if self._unusable or left <= 0:
                raise Unreachable(f"The engine of {self._name} is {self.state}: {self.reason}.")
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            await asyncio.wait([waiter], timeout=left)
            self._waiters.discard(waiter)

    async def stop(self) -> None:
        """End the child and wait until it is gone. The engine may be started again."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._set("down", "stopped")

    async def _supervise(self) -> None:
        first, longest = BACK_OFF_S
        wait_s = first
        while True:
            self._set("loading", f"loading {self._model.name}")
            try:
                reason, steady = await self._live()
            except (OSError, ValueError, NotImplementedError) as error:
                reason, steady = f"the engine could not be started: {str(error) or type(error).__name__}", False
            wait_s = first if steady else wait_s
            self._set("down", reason)
            self._log.write(f"to be started again in {wait_s:g} s")
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, longest)
            self.restarts += 1

    async def _live(self) -> tuple[str, bool]:
        """One life of the child, from start to death: why it died, and whether it was healthy for long."""
        self._unusable = False
        process = await self._spawn()
        self.pid = process.pid
        self._log.write(f"started as process {process.pid}")
        words = _Words(self._log)
        listener = asyncio.get_running_loop().create_task(words.listen(process))
        healthy_at: float | None = None
        try:
            async with asyncio.timeout(self._load_timeout_s):
                url = await self._loaded(process)
            if url:
                self.url, words.private = url, True
                healthy_at = time.monotonic()
                self._set("healthy", f"serving {self._model.name}")
                await process.wait()
        except TimeoutError:
            return f"{self._model.name} was not loaded within {self._load_timeout_s:g} s, so the engine was ended", False
        finally:
            await _end(process)
            self.pid = None
            await asyncio.wait([listener], timeout=GRACE_S)
            listener.cancel()
        self._unusable = process.returncode == UNUSABLE
        steady = healthy_at is not None and time.monotonic() - healthy_at >= STEADY_S
        return self._obituary(process, words, loading=healthy_at is None), steady

    async def _spawn(self) -> Process:
        """Start the child. Once begun this is finished, or the child would be lost."""
        group: dict[str, Any] = {"start_new_session": True}  # the terminal's Ctrl-C is for the gateway alone
        if sys.platform == "win32":
            group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
        command = (sys.executable, "-P", str(CHILD))  # -P: siblings of the script shadow nothing
        environment = {"OMP_WAIT_POLICY": "passive"} | os.environ | {"GGML_NO_BACKTRACE": "1"}  # spinning threads starve on a busy machine
        starting = asyncio.ensure_future(asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment, **group))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            await _end(await starting)
            raise

    async def _loaded(self, process: Process) -> str:
        """Give the child its orders and wait for its word; its URL, or "" where it died before."""
        assert process.stdin is not None and process.stdout is not None
        order = self._order | {"parent": os.getpid()}
        with contextlib.suppress(ConnectionError):  # it is dead already: its last words say why
            process.stdin.write(json.dumps(order).encode() + b"\n")
            await process.stdin.drain()
        line = await process.stdout.readline()
        if not line:
            await process.wait()
            return ""
        url: str = json.loads(line)["url"]
        return url

    def _obituary(self, process: Process, words: _Words, *, loading: bool) -> str:
        code = process.returncode
        if code == UNUSABLE:
            return f"could not load {self._model.name}: {words.first or 'llama.cpp gave no reason'}"
        when = " while loading" if loading else ""
        if code is not None and code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
            why = f", {words.crash}" if words.crash else ""
            hint = " (often the system does this when memory is short)" if name == "SIGKILL" else ""
            return f"the engine was killed by {name}{when}{why}{hint}"
        return f"the engine ended with exit status {code}{when}" + (f": {words.first}" if words.first else "")

    def _set(self, state: str, reason: str) -> None:
        if (state, reason) == (self.state, self.reason):
            return
        changed = state != self.state
        self.state, self.reason = state, reason
        if changed:
            self.since = time.time()
            self._log.write(f"{state}: {reason}")
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        if changed and self.on_change is not None:
            asyncio.get_running_loop().call_soon(self.on_change)


class _Log:
    """A bounded file, or nothing at all."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def write(self, line: str) -> None:
        if self._path is None:
            return
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with contextlib.suppress(OSError):  # a full disk must not stop the engine
            self._path.parent.mkdir(parents=True, exist_ok=True)
            full = self._path.exists() and self._path.stat().st_size > LOG_LIMIT
            with self._path.open("w" if full else "a", encoding="utf-8") as file:
                file.write(f"{stamp} {line}\n")


class _Words:
    """What one child says on stderr. Once `private`, when requests may be quoted, only the place of a crash is kept."""

    def __init__(self, log: _Log) -> None:
        self.private = False
        self.first = ""  # the first complaint, which names the cause; later ones only repeat it
        self.crash = ""
        self._log = log

    async def listen(self, process: Process) -> None:
        """Read until the child is gone."""
        assert process.stderr is not None
        rest = b""
        while data := await process.stderr.read(65536):
            *lines, rest = (rest + data).split(b"\n")
            rest = rest[-4096:]
            for line in lines:
                self._hear(line[:1000].decode("utf-8", "replace").strip())
        self._hear(rest[:1000].decode("utf-8", "replace").strip())

    def _hear(self, line: str) -> None:
        if crash := CRASH.search(line):
            self.crash = f"at {crash[1]}:{crash[2]} in llama.cpp"
        if self.private or not line:
            return
        self._log.write(line)
        if not self.first:
            words = PLACE.sub("", STAMP.sub("", line))
            self.first = words.removeprefix("error loading model: ").rstrip(".")


async def _end(process: Process) -> None:
    """Close its stdin, which ends it; kill it where that does not."""
    if process.returncode is None:
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(GRACE_S):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
