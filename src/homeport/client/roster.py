"""Who is asked first: gateways in the order of preference, those that failed put aside for a while and tried again later."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence

FIRST_S = 1.0  # how long the first failure puts a gateway aside, at most
LONGEST_S = 30.0
UNIFORM = random.SystemRandom().uniform


class Endpoint:
    """One gateway: where it is, its key, and how it has been doing. Times are `time.monotonic()` seconds."""

    __slots__ = ("aside_until", "failures", "key", "looked_at", "trusted", "url")

    def __init__(self, url: str, key: str | None = None) -> None:
        self.url = url  # without a slash at its end
        self.key = key
        self.trusted = True  # until it fails; again once it answers
        self.failures = 0  # in a row
        self.aside_until = 0.0
        self.looked_at = False  # somebody is finding out right now


class Roster:
    """The gateways of one client. Nothing is ever locked out: a gateway that was put aside is asked last, not never. Thread-safe."""

    def __init__(self, endpoints: Sequence[Endpoint], uniform: Callable[[float, float], float] = UNIFORM) -> None:
        self.endpoints = tuple(endpoints)
        self._uniform = uniform
        self._lock = threading.Lock()

    def order(self) -> list[Endpoint]:
        """All gateways: the trusted ones as preferred, then the others, the one whose time is up first before the rest."""
        with self._lock:
            return sorted(self.endpoints, key=lambda endpoint: 0.0 if endpoint.trusted else 1.0 + endpoint.aside_until)

    def good(self, endpoint: Endpoint) -> None:
        """It answered."""
        with self._lock:
            endpoint.trusted, endpoint.failures = True, 0

    def failed(self, endpoint: Endpoint, now: float, wait_s: float | None = None) -> None:
        """It did not answer, or not yet; `wait_s` is how long it wants to be left alone, where it said so."""
        with self._lock:
            if not endpoint.trusted and now < endpoint.aside_until and wait_s is None:
                return  # requests that were under way together fail together: that is one failure
            endpoint.trusted = False
            endpoint.failures += 1
            longest = min(LONGEST_S, FIRST_S * 2 ** min(endpoint.failures - 1, 10))
            pause = self._uniform(longest / 2, longest)  # equal jitter
            endpoint.aside_until = now + min(LONGEST_S, max(pause, wait_s or 0.0))

    def due(self, now: float) -> list[Endpoint]:
        """The gateways that were put aside, are preferred to what is used now, and may be looked at again. Each is given out once, until `looked`."""
        with self._lock:
            found: list[Endpoint] = []
            for endpoint in self.endpoints:
                if endpoint.trusted:
                    return found
                if now >= endpoint.aside_until and not endpoint.looked_at:
                    endpoint.looked_at = True
                    found.append(endpoint)
            for endpoint in found:  # all have failed: the request itself will find out
                endpoint.looked_at = False
            return []

    def looked(self, endpoint: Endpoint, alive: bool, now: float) -> None:
        """What looking at it showed. Its failures count on until it answers a request, so that a gateway that lives but refuses is not asked ever again."""
        if not alive:
            self.failed(endpoint, now)
        with self._lock:
            endpoint.looked_at = False
            if alive:
                endpoint.trusted = True
