"""Connections that ask for anything but a model: uvicorn's, with the ASGI app behind them and the same limits as ours."""

from __future__ import annotations

import asyncio
import time

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from homeport.errors import HomeportError, Malformed
from homeport.front import framing, protocol
from homeport.front.asgi import app
from homeport.front.envelopes import path_of, told
from homeport.front.gateway import Gateway


class PageProtocol(HttpToolsProtocol):
    """One connection that was handed over. uvicorn has no clock and no limit for a request that is only half there."""

    def __init__(self, config: Config, state: ServerState) -> None:
        super().__init__(config, state, {})
        self.url = b""  # uvicorn's: of the request under way
        self._receiving = self._heading = True
        self._held = b""  # the beginning of a request, until its head is whole
        self._head_bytes = 0
        self._quiet_since = time.monotonic()

    def data_received(self, data: bytes) -> None:
        if not self._heading:
            self._quiet_since = time.monotonic()
            super().data_received(data)
            return
        if not self._held:
            self._quiet_since = time.monotonic()
        data = self._held + data
        end = data.find(b"\r\n\r\n")
        bare = framing.bare_lf(data[: end + 2] if end >= 0 else data)
        if end < 0 and len(data) <= protocol.MAX_HEAD and not bare:
            self._held = data
            return
        self._held = b""
        if not bare and (end < 0 or end > protocol.MAX_HEAD):
            self._refuse(Malformed("The request head is longer than 64 KB.", code="head_too_large"), 431, path_of(data))
            return
        super().data_received(framing.without_upgrade(data) if b"upgrade" in data[:end].lower() else data)

    def _unsupported_upgrade_warning(self) -> None:
        """Only by a pipelined request: its body would be read as a request."""
        self.transport.close()

    def on_message_begin(self) -> None:
        self._receiving = self._heading = True
        self._head_bytes = 0
        self._quiet_since = time.monotonic()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._heading:
            super().on_header(name, value)
            return
        self._head_bytes += len(name) + len(value)  # trailers, which nobody reads
        if self._head_bytes > protocol.MAX_HEAD:
            self._refuse(Malformed("The trailers are longer than 64 KB.", code="head_too_large"), 431)

    def on_headers_complete(self) -> None:
        self._heading = False
        self._head_bytes = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._receiving = False
        self._heading = True  # of the next
        super().on_message_complete()

    def sweep(self) -> None:
        """Give up a request that does not arrive."""
        if (self._receiving or self._held) and time.monotonic() - self._quiet_since > protocol.HEAD_TIMEOUT_S:
            self._refuse(Malformed(f"The request did not arrive within {protocol.HEAD_TIMEOUT_S:g} s.", code="request_timeout"), 408)

    def _refuse(self, error: HomeportError, status: int, path: str = "") -> None:
        if not self.transport.is_closing():
            path = path or path_of(self._held) or self.url.decode("latin-1")
            self.transport.write(framing.refusal(status, told(error, path)))
            self.transport.close()


class Pages:
    """Makes the connections that serve pages, and ends them."""

    def __init__(self, gateway: Gateway) -> None:
        self._config = Config(
            app(gateway), lifespan="off", log_config=None, access_log=False, server_header=False, timeout_keep_alive=int(protocol.KEEP_ALIVE_S)
        )
        self._config.load()
        self._state = ServerState()

    def connection(self) -> asyncio.Protocol:
        """A protocol for one connection."""
        return PageProtocol(self._config, self._state)

    @property
    def open(self) -> int:
        """Connections there are."""
        return len(self._state.connections)

    def drain(self) -> None:
        """Answer what is under way, then close; idle connections close now."""
        for connection in list(self._state.connections):
            connection.shutdown()

    def sweep(self) -> None:
        """Give up requests that do not arrive."""
        for connection in list(self._state.connections):
            if isinstance(connection, PageProtocol):
                connection.sweep()
