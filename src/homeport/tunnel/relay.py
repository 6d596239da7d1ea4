"""Between the tunnel and the node: passes bytes on, and so knows whether anything comes through.

ssh -R leads here instead of to the node. A connection that comes in was made on the VPS. Its first byte is sent only once the VPS has heard that the
connection was taken here, so between the two lies one way there and back through ssh; the node's answer then proves the rest.
"""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
import time
from collections import deque
from collections.abc import Callable
from typing import cast

from homeport.settings import address

LATELY = 5  # connections whose round trips are looked at
NEVER = float("-inf")
CONNECT_S = 3.0


class Relay:
    """Listens on loopback, on a port of its own, and leads to the node at `local` (HOST:PORT). Times are seconds of `clock`."""

    def __init__(self, local: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.local = local
        self.place = ""  # HOST:PORT where it listens
        self.arrived_at = NEVER  # something came from the other side
        self.proved_at = NEVER  # … and the node answered it by HTTP
        self.fault = ""  # why the node does not answer, as long as it does not
        self.clock = clock
        self._trips: deque[float] = deque(maxlen=LATELY)
        self._server: asyncio.Server | None = None
        self._passages: set[Passage] = set()

    @property
    def waiting(self) -> bool:
        """Whether something was said to the node that it has not answered yet."""
        return any(passage.asked for passage in self._passages)

    @property
    def round_trip_ms(self) -> float | None:
        """Once to the VPS and back through ssh, the median of the last connections; None before the first."""
        return round(statistics.median(self._trips) * 1000, 1) if self._trips else None

    async def start(self) -> None:
        """Listen. Raises OSError."""
        self._server = await asyncio.get_running_loop().create_server(lambda: End(Passage(self)), "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.place = f"{host}:{port}"

    async def stop(self) -> None:
        """Listen no more, and break what is under way."""
        if self._server is not None:
            self._server.close()
        for passage in list(self._passages):
            passage.abort()
        while self._passages:
            await asyncio.sleep(0)

    def forget(self) -> None:
        """Another connection begins: its round trips are its own."""
        self._trips.clear()

    # what a passage tells

    def opened(self, passage: Passage) -> None:
        """A connection came in."""
        self._passages.add(passage)

    def arrived(self, since: float | None) -> None:
        """Bytes came in; `since`: when their connection did, where they are its first."""
        self.arrived_at = self.clock()
        if since is not None:
            self._trips.append(self.arrived_at - since)

    def proved(self) -> None:
        """The node answered, or goes on with it: while ssh takes that, it has a connection."""
        self.proved_at = self.clock()
        self.fault = ""

    def missed(self, error: Exception) -> None:
        """The node could not be reached."""
        if isinstance(error, TimeoutError):
            why = "no answer in time"
        elif isinstance(error, OSError) and error.errno and not isinstance(error, socket.gaierror):
            why = os.strerror(error.errno).lower()  # an event loop has words of its own
        else:
            why = (getattr(error, "strerror", None) or str(error)).lower()
        self.fault = f"the tunnel stands, but there is no node at {self.local} ({why}); start it with: homeport up"

    def closed(self, passage: Passage) -> None:
        """A connection is over."""
        self._passages.discard(passage)


class Passage:
    """One connection from outside, and the one to the node that it is led to."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._since: float | None = relay.clock()
        self.asked = False  # something was said to the node that it has not answered
        self._speaks = False  # … and what it says is HTTP
        self._early = bytearray()  # came before the node was reached
        self._outside: End | None = None
        self._inside: End | None = None
        self._reaching: asyncio.Task[None] | None = None

    def made(self, end: End) -> None:
        """One of the two is connected; the outer is first."""
        if self._outside is None:
            self._outside, end.outer = end, True
            self._since = self._relay.clock()
            self._relay.opened(self)
            self._reaching = asyncio.ensure_future(self._reach())

    async def _reach(self) -> None:
        host, port = address(self._relay.local)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_S):
                _, inside = await loop.create_connection(lambda: End(self), host, port)
        except OSError as error:  # TimeoutError is one
            self._relay.missed(error)
            self.abort()
            return
        outside = self._outside
        if outside is None or outside.gone:
            inside.transport.abort()
            return
        self._inside = inside
        if self._early:
            inside.transport.write(bytes(self._early))
            self._early.clear()
        if outside.ended:
            inside.transport.write_eof()
        if not inside.full:
            outside.transport.resume_reading()

    def came(self, end: End, data: bytes) -> None:
        """Bytes from one of the two, for the other."""
        if end.outer:
            self._relay.arrived(self._since)
            self._since, self.asked = None, True
            if self._inside is None:
                self._early += data
                end.transport.pause_reading()
            else:
                self._inside.transport.write(data)
            return
        if self.asked:
            self.asked, self._speaks = False, self._speaks or data.startswith(b"HTTP/")
        if self._speaks:
            self._relay.proved()
        if self._outside is not None:
            self._outside.transport.write(data)

    def other(self, end: End) -> End | None:
        """The other of the two, where it is there."""
        return self._inside if end.outer else self._outside

    def ended(self, end: End) -> None:
        """One of the two says no more; the other may still answer."""
        other = self.other(end)
        if other is not None and not other.gone and other.transport.can_write_eof():
            other.transport.write_eof()
        if other is not None and other.ended:
            end.transport.close()
            other.transport.close()

    def lost(self, end: End, error: Exception | None) -> None:
        """One of the two is gone."""
        other = self.other(end)
        if other is not None and not other.gone:
            other.transport.abort() if error is not None else other.transport.close()
        if end.outer:
            if self._reaching is not None:
                self._reaching.cancel()
            self._relay.closed(self)

    def abort(self) -> None:
        """Break both."""
        for end in (self._outside, self._inside):
            if end is not None and not end.gone:
                end.transport.abort()


class End(asyncio.Protocol):
    """One socket of a passage."""

    transport: asyncio.Transport

    def __init__(self, passage: Passage) -> None:
        self._passage = passage
        self.outer = False
        self.ended = self.gone = False
        self.full = False  # more was written than goes out

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's has all of it, and is none by class
        self._passage.made(self)

    def data_received(self, data: bytes) -> None:
        self._passage.came(self, data)

    def eof_received(self) -> bool:
        self.ended = True
        self._passage.ended(self)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        self._passage.lost(self, exc)

    def pause_writing(self) -> None:
        self.full = True
        other = self._passage.other(self)
        if other is not None and not other.gone:
            other.transport.pause_reading()

    def resume_writing(self) -> None:
        self.full = False
        other = self._passage.other(self)
        if other is not None and not other.gone:
            other.transport.resume_reading()
