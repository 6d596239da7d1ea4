"""The way to one backend over HTTP: its connections, what stands at the head of each request, and pages that cost it nothing."""

from __future__ import annotations

from homeport.backends.answer import Answer, Clocks
from homeport.backends.pool import Endpoint, Pool, Shared
from homeport.errors import Refused
from homeport.settings import BackendSettings
from homeport.wire.dialects import SPOKEN
from homeport.wire.node import CODE

ANTHROPIC_VERSION = b"anthropic-version: 2023-06-01\r\n"  # where the caller says none
MAX_PAGE = 4 * 1024 * 1024  # bytes of a model list, or of what is said of a model, that are read
PAGE_TIMEOUT_S = 5.0


NO_KEY = "it wants a key: make one there with `homeport keys add NAME`, and let api_key of this backend read it"
REFUSED_KEY = "it refuses our key: make one there with `homeport keys add NAME`, let api_key of this backend read that, and reload"


class Apart:
    """New connections of a pool, and none of those that it keeps for asks (answer.Source)."""

    def __init__(self, pool: Pool) -> None:
        self.moved_at = 0.0
        self.keep, self.connect = pool.keep, pool.connect
        self._pool = pool

    @property
    def ready(self) -> bool:
        """Whether the endpoint says that it is there."""
        return self._pool.ready

    def take(self) -> None:
        """None."""


class Unusable(Refused):
    """It is there, and cannot be asked as the settings have it; its owner must see to that."""


class Line:
    """Requests in a backend's dialect, with its key, over kept connections."""

    def __init__(self, settings: BackendSettings, endpoint: Endpoint, shared: Shared, dialect: str) -> None:
        self._settings = settings
        self._endpoint = endpoint
        self._shared = shared
        self._dialect = dialect
        self._pool: Pool | None = None
        self._heads: dict[str, bytes] = {}  # by path
        self.gateway = shared.gateway
        self.spare_connections = False  # pages come over connections of their own: a Homeport serves asks on a fresh one in a shorter way

    def send(self, path: str, more: bytes, body: bytes, clocks: Clocks) -> Answer:
        """Post a body; `more` are header lines, each ended by CRLF."""
        pool = self._pool
        if pool is None or pool.url != self._endpoint.url:
            pool = self._open()
        head = self._heads.get(path) or self._head(pool, path)
        request = b"%b%bcontent-length: %d\r\n\r\n%b" % (head, more, len(body), body)
        return Answer(pool, request, clocks, self._shared.deadlines)

    async def page(self, path: str, body: bytes | None = None, *, timeout_s: float = PAGE_TIMEOUT_S, most: int = MAX_PAGE) -> bytes:
        """What it answers at a path that costs it nothing, hardly more than `most` bytes; b"" where that is not status 200.

        Raises Unreachable, Refused for 5xx, Unusable where it is a Homeport that refuses our key, and what an Answer does.
        """
        pool = self._pool
        if pool is None or pool.url != self._endpoint.url:
            pool = self._open()
        version = ANTHROPIC_VERSION.decode() if self._dialect == "anthropic" else ""
        posted = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n" if body is not None else ""
        posted += "connection: close\r\n" if self.spare_connections else ""
        head = f"{'GET' if body is None else 'POST'} {pool.prefix}{path} HTTP/1.1\r\nhost: {pool.netloc}\r\n{self._key_line()}{version}{posted}"
        request = f"{head}accept: application/json\r\n\r\n".encode("latin-1") + (body or b"")
        answer = Answer(Apart(pool) if self.spare_connections else pool, request, Clocks(timeout_s, timeout_s, timeout_s), self._shared.deadlines)
        try:
            await answer.head()
            page = bytearray()

            def take(data: bytes) -> bool:
                page.extend(data)
                return len(page) > most

            await answer.pump(take)
        finally:
            answer.close()
        if answer.status >= 500:
            raise Refused(f"HTTP {answer.status}")
        if answer.status in (401, 403) and CODE in answer.headers:  # 403: it has no key yet, and so answers its own machine's names only
            raise Unusable(REFUSED_KEY if self._endpoint.key and answer.status == 401 else NO_KEY)
        return bytes(page) if answer.status == 200 else b""

    def rest(self) -> None:
        """Close the idle connections."""
        if self._pool is not None:
            self._pool.rest()

    def close(self, *, for_good: bool = False) -> None:
        """Close every connection; unless it is `for_good`, whoever asks next has new ones."""
        if self._pool is not None:
            self._pool.close(for_good=for_good)

    @property
    def quiet_s(self) -> float:
        """Seconds since a token came from there; infinite where none ever did."""
        return self._shared.deadlines.now - self._pool.moved_at if self._pool is not None and self._pool.moved_at else float("inf")

    @property
    def sockets(self) -> int:
        """Open connections, idle ones included."""
        return len(self._pool.open) if self._pool is not None else 0

    def _open(self) -> Pool:
        if self._pool is not None:
            self._pool.close()
        settings = self._settings
        self._pool = Pool(self._endpoint, self._shared, connect_timeout_s=settings.connect_timeout_s, ready_timeout_s=settings.first_token_timeout_s)
        self._heads = {}
        return self._pool

    def _head(self, pool: Pool, path: str) -> bytes:
        """The head of a request to a path, but for what differs from one to the next."""
        accept = f"accept: {SPOKEN[self._dialect].stream_type}, application/json"
        lines = (f"POST {pool.prefix}{path} HTTP/1.1", f"host: {pool.netloc}", "content-type: application/json", accept)
        head = self._heads[path] = ("".join(f"{line}\r\n" for line in lines) + self._key_line()).encode("latin-1")
        return head

    def _key_line(self) -> str:
        """The backend's key, as its dialect sends it."""
        key = self._endpoint.key
        if not key:
            return ""
        return f"x-api-key: {key}\r\n" if self._dialect == "anthropic" else f"authorization: Bearer {key}\r\n"
