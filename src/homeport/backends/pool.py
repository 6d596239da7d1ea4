"""Connections to one backend, made when needed and kept alive between answers."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from homeport.backends.connection import After, Connection
from homeport.backends.deadlines import Deadlines
from homeport.backends.pacing import Pacing
from homeport.errors import Refused, Unreachable
from homeport.settings.address import socket_path
from homeport.wire.heads import Heads

REFUSED = "connection refused"  # nobody listens: what was there is gone
OTHER_HOST = (62, 64)  # OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and …_IP_ADDRESS_MISMATCH
IDLE_S = 4.0  # an idle connection older than this is not used again: uvicorn, and so vLLM, closes after 5 s


class NoDescriptor(Refused):
    """No connection can be opened here, to whomever: nothing to hold against the backend."""

    outcome = "full"


class Endpoint(Protocol):
    """Where a backend listens, and whether it is ready: a fixed address, or an engine of ours."""

    key: str | None

    @property
    def url(self) -> str:
        """Where it listens; "" while that is not known."""

    @property
    def state(self) -> str:
        """healthy | loading | down"""

    @property
    def reason(self) -> str:
        """Why, in words for people."""

    @property
    def since(self) -> float:
        """When that began, in seconds since the epoch."""

    async def ready(self, timeout_s: float) -> None:
        """Wait until it can be asked. Raises Unreachable."""


async def always(what: str, for_s: float) -> bool:
    """Nobody else would do it."""
    del what, for_s
    return True


class Shared(NamedTuple):
    """What all backends of a gateway have in common."""

    deadlines: Deadlines
    pacing: Pacing
    after: After
    gateway: str = ""  # the id of this run; Homeports behind this one are told it, so that a circle is seen
    opened: Callable[[str, set[str]], None] = lambda _backend, _models: None  # told when a backend, or models there, are no longer asked
    once: Callable[[str, float], Awaitable[bool]] = always  # whether this process is the one of its fleet to do something, for so many seconds


class Pool:
    """Connections to one endpoint, kept alive between answers; the last used is the first to be used again."""

    def __init__(self, endpoint: Endpoint, shared: Shared, *, connect_timeout_s: float, ready_timeout_s: float) -> None:
        self._endpoint = endpoint
        self.open: set[Connection] = set()
        self.moved_at = 0.0  # Deadlines.now when a token came from there last
        self.seen = Heads()  # its answers' heads
        self.after = shared.after
        self.pacing = shared.pacing
        self._deadlines = shared.deadlines
        self._connect_timeout_s = connect_timeout_s
        self._ready_timeout_s = ready_timeout_s
        self._idle: list[Connection] = []
        self._closed = False
        self._ssl: ssl.SSLContext | None = None
        self._aim()

    def _aim(self) -> None:
        """Read the endpoint's address; an engine has another one after a restart."""
        parts = urlsplit(self._endpoint.url)
        self.url = self._endpoint.url
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.netloc = parts.netloc.rpartition("@")[2]
        self.path = socket_path(self.url)  # of a Unix socket
        if self.path is not None:
            self.netloc = "localhost"
        self.prefix = parts.path.rstrip("/")
        if parts.scheme == "https":
            self._ssl = self._ssl or ssl.create_default_context()

    def take(self) -> Connection | None:
        """An idle connection still good to use, or None."""
        oldest = self._deadlines.now - IDLE_S
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.idle_since > oldest:
                return connection
            connection.abort()
        return None

    @property
    def ready(self) -> bool:
        """Whether the endpoint says that it is there."""
        return self._endpoint.state == "healthy"

    def keep(self, connection: Connection) -> None:
        """Take back a connection that is good for another answer."""
        if self._closed:
            connection.abort()
            return
        connection.idle_since = self._deadlines.now
        self._idle.append(connection)

    def forget(self, connection: Connection) -> None:
        self.open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    async def connect(self) -> Connection:
        """A new connection; needs a task to run in. Raises Unreachable, saying why, or NoDescriptor."""
        if self._endpoint.state != "healthy":
            await self._endpoint.ready(self._ready_timeout_s)
            self._aim()
        loop = asyncio.get_running_loop()
        connection = Connection(self)
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                if self.path is not None:
                    await loop.create_unix_connection(lambda: connection, self.path)
                else:
                    await loop.create_connection(lambda: connection, self.host, self.port, ssl=self._ssl, server_hostname=self.host if self._ssl else None)
            self.open.add(connection)
            if self._closed:
                connection.abort()
        except TimeoutError:
            raise Unreachable(f"no connection within {self._connect_timeout_s:g} s") from None
        except FileNotFoundError:
            raise Unreachable("no socket at that path") from None
        except ConnectionRefusedError:
            raise Unreachable(REFUSED) from None
        except ssl.SSLCertVerificationError as error:
            why = "it is for another host" if error.verify_code in OTHER_HOST else error.verify_message  # whose text has the host in it
            raise Unreachable(f"its TLS certificate is not trusted: {why}") from None
        except socket.gaierror:
            raise Unreachable("no such host") from None  # which one stands in the settings; the reason is shown to all
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise NoDescriptor("this gateway has no file descriptor left for a connection; raise its limit (ulimit -n, LimitNOFILE=)") from None
            raise Unreachable(f"no connection: {error.strerror or type(error).__name__}") from None
        finally:
            if connection not in self.open:  # failed, or given up meanwhile: it may yet be made
                connection.abort()
        return connection

    def rest(self) -> None:
        """Close the idle connections, so that the next answer has to wait until the endpoint is ready."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.abort()

    def close(self, *, for_good: bool = False) -> None:
        """Close every connection, idle or not; `for_good`: and those that are still being made, as soon as they are."""
        self._closed = for_good
        for connection in list(self.open):
            connection.abort()
