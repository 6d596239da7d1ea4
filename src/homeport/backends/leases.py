"""Places at one backend: a fixed number, and a bounded queue of those who wait for one."""

from __future__ import annotations

import asyncio
from collections import deque

from homeport.errors import Refused


class QueueFull(Refused):
    """No place became free: the queue was full, or the wait too long."""

    outcome = "full"


class Lease:
    """One place, held until it is released (port Lease)."""

    __slots__ = ("_leases",)

    def __init__(self, leases: Leases) -> None:
        self._leases: Leases | None = leases

    def release(self) -> None:
        """Give it back; a second call does nothing."""
        leases, self._leases = self._leases, None
        if leases is not None:
            leases._give_back()


class Leases:
    """`limit` places, at most `queue` waiting for one, each no longer than `timeout_s` seconds."""

    __slots__ = ("_waiting", "in_flight", "limit", "queue", "timeout_s")

    def __init__(self, limit: int, queue: int, timeout_s: float) -> None:
        self.limit = limit
        self.queue = queue
        self.timeout_s = timeout_s
        self.in_flight = 0
        self._waiting: deque[asyncio.Future[Lease]] = deque()

    @property
    def queued(self) -> int:
        return len(self._waiting)

    def take(self) -> Lease | None:
        """A place now, or None."""
        if self.in_flight >= self.limit or self._waiting:
            return None
        self.in_flight += 1
        return Lease(self)

    async def wait(self) -> Lease:
        """A place as soon as it is free, first come first served. Raises QueueFull."""
        if len(self._waiting) >= self.queue:
            raise QueueFull(f"all {self.limit} places are taken and its queue of {self.queue} is full")
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[Lease] = loop.create_future()
        timer = loop.call_later(self.timeout_s, self._too_long, turn)
        self._waiting.append(turn)
        lease = None
        try:
            lease = await turn
            return lease
        finally:
            timer.cancel()
            if lease is None:
                self._abandon(turn)

    def _abandon(self, turn: asyncio.Future[Lease]) -> None:
        """The waiter is gone: out of the queue, or, where a place just came, on with it to the next."""
        if turn in self._waiting:
            self._waiting.remove(turn)
            turn.cancel()
        elif turn.done() and not turn.cancelled() and turn.exception() is None:
            turn.result().release()

    def _too_long(self, turn: asyncio.Future[Lease]) -> None:
        if not turn.done():
            self._waiting.remove(turn)
            turn.set_exception(QueueFull(f"no place within {self.timeout_s:g} s; all {self.limit} are taken"))

    def _give_back(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(Lease(self))
                return
        self.in_flight -= 1
