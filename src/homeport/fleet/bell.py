"""How one worker wakes another: an empty datagram to the socket of its seat."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable

from homeport.errors import HomeportError
from homeport.fleet.sockets import SocketFolder


def _name(seat: int) -> str:
    return f"seat-{seat}.bell"


class Bell:
    """Rings at any seat; `listen` hears one's own. Who is not there any more does not hear it, and a parent looks after what they had."""

    def __init__(self, folder: SocketFolder) -> None:
        self._folder = folder
        self._out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._out.setblocking(False)
        self._own: socket.socket | None = None
        self._seat = -1

    def listen(self, loop: asyncio.AbstractEventLoop, seat: int, heard: Callable[[], None]) -> None:
        """Call `heard` in the loop's thread, once for all rings since the last time. Raises OSError, HomeportError."""
        own = self._own = self._folder.bind(_name(seat), socket.SOCK_DGRAM)
        self._seat = seat

        def ringing() -> None:
            with contextlib.suppress(OSError):
                while True:
                    own.recv(1)
            heard()

        loop.add_reader(own.fileno(), ringing)

    def ring(self, seat: int) -> None:
        """Wake who sits there."""
        with contextlib.suppress(OSError, HomeportError):  # gone; or so many rings wait that it will look anyway
            self._out.sendto(b"\0", self._folder.reach(_name(seat)))

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Be deaf and dumb from now on."""
        self._out.close()
        if self._own is not None:
            loop.remove_reader(self._own.fileno())
            self._own.close()
            with contextlib.suppress(OSError):
                os.unlink(self._folder.path / _name(self._seat))
            self._own = None
