"""Which worker does what is done once: whoever holds a lock, which the kernel takes from it when it ends."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

LOOK_S = 0.2  # how soon another one takes over


class Leadership:
    """Waits for the lead in the run's folder; `lead` is awaited once, when it is had. It is kept until `stop`."""

    def __init__(self, folder: Path, lead: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._path = folder / "lead"
        self._lead = lead
        self._fd = -1
        self._stopped = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Lead, or begin to wait for it."""
        if self._take():
            await self._lead()
        else:
            self._task = asyncio.ensure_future(self._wait())

    def stop(self) -> None:
        """Wait no longer, and let another lead. From any thread."""
        self._stopped = True
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    async def _wait(self) -> None:
        while not self._stopped:
            if self._take():
                await self._lead()
                return
            await asyncio.sleep(LOOK_S)

    def _take(self) -> bool:
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return False
        self._fd = fd
        return True
