"""A TCP proxy that makes a network go wrong: slow, silent, refused, cut or reset, switchable while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from urllib.parse import urlsplit

from msgspec import Struct

from homeport.testing.loopback import HOST, Loopback, bound


class Faults(Struct, frozen=True, kw_only=True):
    """What the proxy does to connections. Byte counts are of one connection and one direction."""

    delay_s: float = 0.0  # each piece waits so long
    rate: int | None = None  # bytes a second, each way
    piece: int = 65536  # bytes passed on at once at most; 1 makes a dribble
    silent: bool = False  # accept, keep and pass on nothing: a black hole
    cut_down_after: int | None = None  # bytes to the client, then both sides are closed (FIN)
    cut_up_after: int | None = None  # bytes to the upstream, then both sides are closed
    reset_down_after: int | None = None  # bytes to the client, then both sides are reset (RST)
    half_close_down_after: int | None = None  # bytes to the client, then FIN to the client only; its bytes still go up
    silent_down_after: int | None = None  # bytes to the client, then a black hole: nothing passes any more, either way, and both sides stay open
    silent_up_after: int | None = None  # bytes to the upstream, then the same


class FaultProxy(Loopback):
    """A proxy before `upstream` (`host:port` or a URL) on a port of its own.

    with FaultProxy(backend.url) as proxy:
        ...                                       # use proxy.url
        proxy.faults = Faults(silent=True)        # at once, for open connections too
        proxy.refuse(); proxy.accept()            # refused, but the port stays ours
        proxy.drop(reset=True)                    # break what is open now
    """

    def __init__(self, upstream: str, faults: Faults | None = None, port: int = 0) -> None:
        super().__init__(port)
        parts = urlsplit(upstream if "//" in upstream else f"//{upstream}")
        self._upstream = (parts.hostname or HOST, parts.port or 80)
        self._faults = faults or Faults()
        self._speaks = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self.connections = 0  # accepted since the start
        self.open = 0  # now
        self.open_peak = 0
        self.up = 0  # bytes passed to the upstream
        self.down = 0  # bytes passed to the client
        self._links: set[_Link] = set()
        self._holder: socket.socket | None = None
        self._server: asyncio.Server | None = None

    @property
    def faults(self) -> Faults:
        """What goes wrong now; may be set from any thread."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults = faults
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self._heed)

    def _heed(self) -> None:
        if self._faults.silent:
            self._speaks.clear()
        else:
            self._speaks.set()

    def refuse(self) -> None:
        """Refuse new connections from now on; open ones stay. From another thread than the proxy's."""
        self.on_loop(self._refuse())

    def accept(self) -> None:
        """Accept connections again. From another thread than the proxy's."""
        self.on_loop(self._accept())

    def drop(self, *, reset: bool = False) -> None:
        """Close, or reset, every open connection on both sides. From another thread than the proxy's."""
        self.on_loop(self._drop(reset))

    async def _open(self) -> None:
        self._holder = bound(self.port)
        self.port = self._holder.getsockname()[1]
        self._heed()
        await self._accept()

    async def _close(self) -> None:
        await self._refuse()
        await self._drop(True)
        await self._empty.wait()
        if self._holder is not None:
            self._holder.close()

    async def _accept(self) -> None:
        if self._server is None and self._holder is not None:
            self._server = await asyncio.start_server(self._take, sock=self._holder, backlog=1024)
            self._holder = None

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            await asyncio.sleep(0)
            self._holder = bound(self.port)

    async def _drop(self, reset: bool) -> None:
        for link in list(self._links):
            link.end(reset)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(self, writer)
        self._links.add(link)
        self._empty.clear()
        self.connections += 1
        self.open += 1
        self.open_peak = max(self.open_peak, self.open)
        self.changed()
        try:
            await link.run(reader)
        finally:
            link.end(False)
            self._links.discard(link)
            self.open -= 1
            if not self._links:
                self._empty.set()
            self.changed()


class _Link:
    """One client's connection and its own to the upstream."""

    def __init__(self, proxy: FaultProxy, client: asyncio.StreamWriter) -> None:
        self.proxy = proxy
        self.client = client
        self.upstream: asyncio.StreamWriter | None = None
        self.dark = False  # a black hole: nothing passes any more
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self, reader: asyncio.StreamReader) -> None:
        self._tasks = [asyncio.ensure_future(self._link(reader))]
        await asyncio.wait(self._tasks)

    async def _link(self, reader: asyncio.StreamReader) -> None:
        try:
            await self.proxy._speaks.wait()
            back, self.upstream = await asyncio.open_connection(*self.proxy._upstream)
        except OSError:
            self.end(True)
            return
        up = asyncio.ensure_future(self._pump(reader, self.upstream, False))
        down = asyncio.ensure_future(self._pump(back, self.client, True))
        self._tasks += [up, down]
        await asyncio.wait([up, down])

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, down: bool) -> None:
        passed = 0
        try:
            while data := await self._read(reader):
                await self.proxy._speaks.wait()
                faults = self.proxy.faults
                await asyncio.sleep(faults.delay_s + (len(data) / faults.rate if faults.rate else 0))
                limit = self._limit(faults, down)
                data = data if limit is None else data[: max(0, limit - passed)]
                writer.write(data)
                await writer.drain()
                passed += len(data)
                self._count(len(data), down)
                if limit is not None and passed >= limit:
                    self._fault(faults, writer, down)
                    return
            if writer.can_write_eof():
                writer.write_eof()
        except (OSError, asyncio.CancelledError):
            self.end(True)

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        data = await reader.read(self.proxy.faults.piece)
        if self.dark:
            await asyncio.Event().wait()  # until the link is ended
        return data

    def _limit(self, faults: Faults, down: bool) -> int | None:
        limits = [faults.cut_up_after, faults.silent_up_after]
        if down:
            limits = [faults.cut_down_after, faults.reset_down_after, faults.half_close_down_after, faults.silent_down_after]
        given = [limit for limit in limits if limit is not None]
        return min(given) if given else None

    def _fault(self, faults: Faults, writer: asyncio.StreamWriter, down: bool) -> None:
        limit = self._limit(faults, down)
        if limit == (faults.silent_down_after if down else faults.silent_up_after):
            self.dark = True
        elif down and faults.half_close_down_after == limit:
            writer.write_eof()
        else:
            self.end(down and faults.reset_down_after == limit)

    def _count(self, size: int, down: bool) -> None:
        if down:
            self.proxy.down += size
        else:
            self.proxy.up += size
        self.proxy.changed()

    def end(self, reset: bool) -> None:
        """Close both sides, with RST if `reset`."""
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        for writer in (self.client, self.upstream):
            if writer is None or writer.transport.is_closing():
                continue
            if reset:
                with contextlib.suppress(OSError):
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            else:
                writer.close()
