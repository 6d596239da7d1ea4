"""Connections to gateways, kept for the next request: one each, with its socket at hand, so that another thread can break it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import Any

KEPT = 10  # idle connections of one gateway
KEPT_S = 60.0  # the gateway itself closes one after 75 s
# A machine that vanished is noticed by the kernel, in half a minute.
KEEPALIVE = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)] + [
    (socket.IPPROTO_TCP, getattr(socket, name), value)
    for name, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)
]


class Line:
    """One connection: a transport of the library that holds no other."""

    def __init__(self, library: Any, context: ssl.SSLContext) -> None:
        limits = library.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEPT_S)
        self.transport = library.HTTPTransport(verify=context, limits=limits, socket_options=KEEPALIVE)
        self.reused = True  # the last request went out on a connection that had served another
        self._network: Any = None
        self._broken = False

    def send(self, request: Any) -> Any:
        """Send, and wait for the head of the response; its body is read from the response. Raises the library's TransportError."""
        self.reused = True
        return self.transport.handle_request(request)

    def note(self, event: str, info: dict[str, Any]) -> None:
        """What the library tells on the way (its extension `trace`)."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._network = info["return_value"]
            self.reused = False
            if self._broken:
                self.break_off()

    def break_off(self) -> None:
        """Break the connection, or the one about to be made, under the thread that waits for it. From any thread; then only `close` is left."""
        self._broken = True
        sock = self._network.get_extra_info("socket") if self._network is not None else None
        if sock is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # beneath TLS too, whose state belongs to the other thread

    def close(self) -> None:
        """Close it."""
        self.transport.close()


class Lines:
    """The idle connections, by library and gateway; the one used last is taken first. Thread-safe."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        self._lock = threading.RLock()  # a stream that the garbage collector drops gives its line back, at any moment
        self._idle: dict[tuple[str, str], list[Line]] = {}
        self._closed = False

    def take(self, library: Any, url: str, *, new: bool = False) -> Line:
        """An idle connection, or a new one. Give it back, or close it."""
        with self._lock:
            idle = self._idle.get((library.__name__, url))
            if idle and not new:
                return idle.pop()
        return Line(library, self.context)

    def give(self, library: Any, url: str, line: Line) -> None:
        """Keep it for the next request."""
        with self._lock:
            idle = self._idle.setdefault((library.__name__, url), [])
            if len(idle) < KEPT and not self._closed:
                idle.append(line)
                return
        line.close()

    def close(self) -> None:
        """Close what is idle; what is in use is closed when it is given back."""
        with self._lock:
            self._closed = True
            lines = [line for idle in self._idle.values() for line in idle]
            self._idle.clear()
        for line in lines:
            line.close()
