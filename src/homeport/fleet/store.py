"""The store that a fleet shares: two connections to a Redis or Valkey, one to say and be answered, one to hear news.

The library (redis-py) makes the connections, signs in and speaks the protocol; it is loaded with the first connection. What
is said is one script, which the store runs as a whole; what it says when it will not is told by the first word of its error,
for the rest may quote what it was asked.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

ROOT = "{homeport:1}"  # 1: of what is said; the braces keep all names in one slot of a cluster
CONNECT_S = 1.0  # for both connections, signing in included; nobody waits for it
KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}  # seconds, seconds, times: news may be silent for hours, and a NAT forgets sooner
WORDS = {  # https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors: an error's first word is its kind
    "NOAUTH": "it wants a password, and [fleet] url has none",
    "WRONGPASS": "it refuses the name or the password of [fleet] url",
    "NOPERM": "this user may not do there what a fleet needs",
    "READONLY": "it is a replica that takes no writes",
    "OOM": "its memory is full (maxmemory)",
    "MISCONF": "it takes no writes, for it cannot save them to its disk",
    "LOADING": "it has just started, and loads its data",
    "MASTERDOWN": "it is a replica that has lost the store it copies",
    "BUSY": "another script holds it up",
    "CLUSTERDOWN": "its cluster is down",
    "MOVED": "it is a node of a cluster, and another one of it has the names of this fleet; give that one's address",
}


class Away(Exception):
    """The store cannot be used now; the message says why, in words for people."""


class Store:
    """At the address `url`, which may hold a password and is never shown."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._script = (Path(__file__).parent / "script.lua").read_bytes()
        self._digest = hashlib.sha1(self._script, usedforsecurity=False).hexdigest().encode()  # as EVALSHA names a script
        self._calls: AbstractConnection | None = None
        self._news: AbstractConnection | None = None
        self._lookup: asyncio.Future[Any] | None = None  # of its name, where it has not ended yet

    async def open(self) -> None:
        """Connect, twice. Raises Away, and TimeoutError after CONNECT_S."""
        from redis.asyncio import ConnectionPool
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import RedisError

        try:
            async with asyncio.timeout(CONNECT_S):
                await self._known()
                pool = ConnectionPool.from_url(
                    self._url,
                    protocol=2,
                    socket_timeout=None,  # the clocks are ours
                    socket_connect_timeout=None,
                    health_check_interval=0,
                    **({} if self._url.startswith("unix:") else {"socket_keepalive": True, "socket_keepalive_options": keepalive()}),
                    retry=Retry(NoBackoff(), 0),
                    client_name="homeport",
                )
                self._calls, self._news = pool.make_connection(), pool.make_connection()  # type: ignore[no-untyped-call]
                await self._calls.connect()
                await self._calls.send_command("SCRIPT", "LOAD", self._script)
                await self._calls.read_response()
                await self._news.connect()
                await self._news.send_command("SUBSCRIBE", f"{ROOT}:news")
                await self._news.read_response()
        except TimeoutError:
            raise Away(f"it does not answer within {CONNECT_S:g} s") from None
        except (RedisError, OSError, ValueError) as error:
            raise Away(reason(error)) from None

    async def _known(self) -> None:
        """Wait until its name is looked up. One that hangs is waited for, next time too: more of them would take all threads from others. Raises OSError."""
        parts = urlsplit(self._url)
        if not parts.hostname:
            return
        if self._lookup is None:
            self._lookup = asyncio.ensure_future(asyncio.get_running_loop().getaddrinfo(parts.hostname, parts.port or 6379, type=socket.SOCK_STREAM))
            self._lookup.add_done_callback(self._looked_up)
        await asyncio.shield(self._lookup)

    def _looked_up(self, lookup: asyncio.Future[Any]) -> None:
        self._lookup = None
        if not lookup.cancelled():
            lookup.exception()  # whoever waits has it

    async def call(self, message: bytes) -> bytes:
        """Say it; the answer. Raises Away."""
        from redis.exceptions import NoScriptError, RedisError

        calls = self._calls
        assert calls is not None
        try:
            for script in (self._digest, self._script):
                await calls.send_packed_command([_command(b"EVALSHA" if script is self._digest else b"EVAL", script, message)], check_health=False)
                try:
                    answer: bytes = await calls.read_response(disable_decoding=True)
                    return answer
                except NoScriptError:  # somebody flushed the scripts
                    continue
        except (RedisError, OSError, ValueError) as error:
            raise Away(reason(error)) from None
        raise Away("it does not keep scripts")

    async def hear(self) -> bytes:
        """The next piece of news. Raises Away."""
        from redis.exceptions import RedisError

        assert self._news is not None
        try:
            while True:
                message = await self._news.read_response(disable_decoding=True)
                if isinstance(message, list) and message[0] == b"message":
                    news: bytes = message[2]
                    return news
        except (RedisError, OSError, ValueError) as error:
            raise Away(reason(error)) from None

    async def close(self) -> None:
        """Let go of both connections, whatever state they are in."""
        calls, news, self._calls, self._news = self._calls, self._news, None, None
        for connection in (calls, news):
            if connection is not None:
                await connection.disconnect(nowait=True)


def keepalive() -> dict[int, int]:
    """How a connection on which nothing comes shows that it is alive, as this system can be told."""
    return {getattr(socket, name): value for name, value in KEEPALIVE.items() if hasattr(socket, name)}


def reason(error: Exception) -> str:
    """Why the store cannot be used, in words for people, without what the error may quote."""
    from redis import exceptions as told

    word = str(error).partition(" ")[0]
    if word in WORDS:
        return WORDS[word]
    if isinstance(error, told.AuthenticationError):
        return WORDS["WRONGPASS" if "invalid" in str(error).lower() or "wrong" in str(error).lower() else "NOAUTH"]
    if isinstance(error, told.ReadOnlyError):
        return WORDS["READONLY"]
    if isinstance(error, told.NoPermissionError) or "permissions to run" in str(error) or "can't run this command" in str(error):
        return WORDS["NOPERM"]
    if isinstance(error, told.MovedError):
        return WORDS["MOVED"]
    if isinstance(error, told.BusyLoadingError):
        return WORDS["LOADING"]
    if isinstance(error, told.MasterDownError):
        return WORDS["MASTERDOWN"]
    if isinstance(error, told.ClusterDownError):
        return WORDS["CLUSTERDOWN"]
    if "maxmemory" in str(error):
        return WORDS["OOM"]
    cause = error.__cause__ or error.__context__
    if isinstance(error, socket.gaierror) or isinstance(cause, socket.gaierror):
        return "its name leads nowhere (DNS)"
    if isinstance(error, told.TimeoutError):
        return "it does not answer"
    if isinstance(cause, ConnectionRefusedError) or isinstance(error, ConnectionRefusedError) or "refused" in str(error):
        return "nothing listens there"
    if isinstance(error, told.ResponseError):
        return f"it answers with an error ({word[:40]})" if word.isupper() else "it answers with an error"
    if isinstance(error, told.ConnectionError | OSError):
        return "the connection to it was lost, or could not be made"
    return "what answers there is no Redis"


def _command(*words: bytes) -> bytes:
    """EVAL or EVALSHA with one key, as the protocol has it."""
    name, script, message = words
    parts = (name, script, b"1", ROOT.encode(), message)
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
