"""The child process that holds the way open: started, heard, and never left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Callable
from typing import Any

from homeport.ports import Tunnel

END_S = 3.0  # for it to end when asked to
LINE_BYTES = 65536
PR_SET_PDEATHSIG = 1


class Child:
    """One run of a tunnel's command. `hear` gets each line of its output."""

    def __init__(self, process: Process, hear: Callable[[str], None]) -> None:
        self._process = process
        self._hear = hear
        self._listening = asyncio.ensure_future(self._listen())

    @classmethod
    async def start(cls, tunnel: Tunnel, relay: str, hear: Callable[[str], None]) -> Child:
        """Start it, in a session of its own so that Ctrl-C is not its business. Raises HomeportError, OSError."""
        process = await asyncio.create_subprocess_exec(
            *tunnel.command(relay),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            env={**os.environ, **tunnel.environment},
            limit=LINE_BYTES,
            **_tied(),
        )
        return cls(process, hear)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def ended(self) -> int:
        """Wait for its end, and for its last words. Its exit status, negative for a signal."""
        await self._listening
        return await self._process.wait()

    async def end(self) -> None:
        """End it, if need be by force."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(END_S):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        while True:
            try:
                line = await self._process.stdout.readline()
            except ValueError:  # longer than any word of its own: what is left of it comes next
                continue
            if not line:
                return
            self._hear(line.decode("utf-8", "replace").rstrip())


def _tied() -> dict[str, Any]:
    """How the child is started so that it ends with this process, even one that is killed."""
    if sys.platform == "win32":
        return {}
    if sys.platform != "linux":
        return {"start_new_session": True}
    import ctypes

    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def tie() -> None:  # between fork and exec
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return {"start_new_session": True, "preexec_fn": tie}
