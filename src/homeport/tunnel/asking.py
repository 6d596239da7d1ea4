"""Asks this home from outside, by the address that the tunnel gives it: whether an answer comes, and how long it takes."""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
import time
from collections.abc import Callable
from urllib.parse import urlsplit

EVERY_S = 15.0
TIMEOUT_S = 10.0
MOST = 65536  # bytes of an answer
NEVER = float("-inf")


class Asking:
    """Asks `url`/health again and again. Times are seconds of `clock`; the same facts as a relay has."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic, every_s: float = EVERY_S) -> None:
        self.place = ""  # nothing is relayed
        self.arrived_at = self.proved_at = NEVER
        self.fault = ""
        self.waiting = False  # nothing is known of others' answers; while they are under way, it asks all the same
        self.round_trip_ms: float | None = None  # of one small request on a connection that is open
        self._parts = urlsplit(url)
        self._url = url
        self._clock = clock
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to ask."""
        self._task = asyncio.ensure_future(self._ask())

    async def stop(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def forget(self) -> None:
        """Another connection begins: its round trip is its own."""
        self.round_trip_ms = None

    async def _ask(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            fault, took_s = await loop.run_in_executor(None, self._once)
            if fault is None:
                self.arrived_at = self.proved_at = self._clock()
                self.round_trip_ms, self.fault = round(took_s * 1000, 1), ""
            else:
                self.fault = fault
            await asyncio.sleep(self._every_s if fault is None else min(self._every_s, 2.0))

    def _once(self) -> tuple[str | None, float]:
        """What was wrong, or None, and the seconds between the request and its answer; the connection is made before."""
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=TIMEOUT_S)
        try:
            connection.connect()
            begun = time.monotonic()
            connection.request("GET", f"{self._parts.path}/health", headers={"accept": "application/json", "user-agent": "homeport-tunnel"})
            response = connection.getresponse()
            took_s = time.monotonic() - begun
            body = response.read(MOST)
        except (OSError, http.client.HTTPException, ssl.SSLError) as error:
            return f"{self._url} cannot be asked: {getattr(error, 'strerror', None) or error}", 0.0
        finally:
            connection.close()
        if response.status != 200:
            return f"{self._url}/health answers HTTP {response.status}: its service in the dashboard should be this node, and /health open", 0.0
        try:
            well = isinstance(json.loads(body), dict)
        except ValueError:
            well = False
        return (None if well else f"what answers at {self._url}/health is no Homeport"), took_s
