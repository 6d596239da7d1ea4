"""The caller's side of one request on a connection of ours: how an answer is framed in HTTP/1.1."""

from __future__ import annotations

import asyncio
import socket
import struct
from http import HTTPStatus
from typing import Protocol

from homeport.runner import Signal
from homeport.vocabulary import Caller

STATUS = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


class Connection(Protocol):
    """The connection an answer goes out on."""

    closing: bool  # close after this answer

    def send_last(self, data: bytes) -> None:
        """Send the last bytes of the answer, once its receipt is on record."""


class Exchange:
    """The caller's side of one request (port Out)."""

    __slots__ = ("_chunked", "_front", "_signal", "_transport", "begun", "caller", "done", "paused")

    def __init__(self, front: Connection, transport: asyncio.Transport, *, chunked: bool) -> None:
        self._front = front
        self._transport = transport
        self._chunked = chunked  # HTTP/1.0 has no chunks: there the end of the connection is the end of the body
        self._signal: Signal | None = None
        self.caller: Caller | None = None
        self.begun = False
        self.done = False
        self.paused = False

    def whole(self, status: int, head: bytes, body: bytes) -> None:
        close = self._front.closing
        self.done = True
        line = STATUS.get(status) or b"HTTP/1.1 %d -\r\n" % status
        self._front.send_last(b"%b%b%bcontent-length: %d\r\n\r\n%b" % (line, head, b"connection: close\r\n" if close else b"", len(body), body))

    def begin(self, status: int, head: bytes) -> None:
        self.begun = True
        framing = b"transfer-encoding: chunked\r\n" if self._chunked else b"connection: close\r\n"
        if self._front.closing and self._chunked:
            framing += b"connection: close\r\n"
        self._transport.write(b"%b%b%b\r\n" % (STATUS[status], head, framing))

    def write(self, data: bytes) -> None:
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def end(self, data: bytes = b"") -> None:
        self.done = True
        if self._chunked:
            self._front.send_last(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n")
        else:
            self._front.closing = True
            self._front.send_last(data)

    def abort(self, data: bytes = b"") -> None:
        self.done = True
        self._front.closing = True
        if not self._chunked:  # a proper end of the connection would be a proper end of the body
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._front.send_last(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked and data else data)

    async def drained(self) -> None:
        while self.paused:
            self._signal = Signal()
            await self._signal

    def resume(self) -> None:
        """The caller has read what was waiting."""
        self.paused = False
        if self._signal is not None:
            self._signal.fire()
