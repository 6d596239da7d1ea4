"""Tells systemd that the gateway accepts requests, and then, again and again, that it has just served one.

The protocol is sd_notify(3): datagrams of `NAME=value` lines to the socket that `$NOTIFY_SOCKET` names. A gateway whose loop stands still, or
that no longer accepts, sends nothing, and systemd starts it anew after `WatchdogSec`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import MutableMapping
from urllib.parse import urlsplit

from homeport.settings import from_here

STOP_S = 15.0  # to end, beyond the drain's deadline
PINGS = 3  # in the time after which systemd gives up
SERVED = b"HTTP/1.1 200 "


class Readiness:
    """A gateway's line to systemd; without one, every word is dropped."""

    def __init__(self, path: str = "", watchdog_s: float = 0.0) -> None:
        self.watchdog_s = watchdog_s
        self._path = path
        self._wire: socket.socket | None = None  # kept while it is watched: at the limit of descriptors no other could be had
        self._task: asyncio.Task[None] | None = None
        self._draining = False

    @classmethod
    def found(cls, environ: MutableMapping[str, str] = os.environ) -> Readiness:
        """As the environment says; its words are taken out, for children are not to use them."""
        path = environ.pop("NOTIFY_SOCKET", "")
        micros, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        ours = micros.isdecimal() and pid in ("", str(os.getpid()))
        return cls(path, int(micros) / 1e6 if ours else 0.0)

    def say(self, *lines: str) -> None:
        """Never raises: a gateway that cannot say that it is well is no worse for it."""
        if not self._path:
            return
        address = "\0" + self._path[1:] if self._path.startswith("@") else self._path
        with contextlib.suppress(OSError), contextlib.nullcontext(self._wire) if self._wire is not None else _wire() as wire:
            wire.sendto("\n".join(lines).encode(), address)

    def ready(self, url: str) -> None:
        """It accepts requests at `url`; from here on it is watched, where systemd wants that."""
        url = from_here(url)
        self.say("READY=1", f"STATUS=Answers at {url}")
        if self._path and self.watchdog_s:
            self._wire = _wire()
            self._task = asyncio.ensure_future(self._watch(url))

    def stopping(self, drain_s: float) -> None:
        """It ends what is under way, in `drain_s` at most; the unit may have been written for another time.

        It accepts no more, so from here on it counts as well while its loop turns.
        """
        self.say("STOPPING=1", f"EXTEND_TIMEOUT_USEC={(drain_s + STOP_S) * 1e6:.0f}", "STATUS=Ends the answers under way")
        self._draining = True

    async def leave(self) -> None:
        """It has ended."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._wire is not None:
            self._wire.close()

    async def _watch(self, url: str) -> None:
        period_s = self.watchdog_s / PINGS
        while True:
            if self._draining or await served(url, period_s):
                self.say("WATCHDOG=1")
            await asyncio.sleep(period_s)


def _wire() -> socket.socket:
    wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    wire.setblocking(False)
    return wire


async def served(url: str, timeout_s: float) -> bool:
    """Whether a gateway answers `GET /health` on a new connection in time; one that is at its limit of descriptors is full, and does not stand still."""
    parts = urlsplit(url)
    writer = None
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            writer.write(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            return (await reader.readline()).startswith(SERVED) or full()
    except (OSError, ValueError):  # TimeoutError is an OSError
        return full()  # while this end of the connection is still held: the other one may have been one too many
    finally:
        if writer is not None:
            writer.transport.abort()


def full() -> bool:
    """Whether not one descriptor is left."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    return False
