"""Places at one backend: a fixed number, a bounded queue that is fair between keys, and places that are not free yet though nobody waits for their answer."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from homeport.errors import BackendError, Refused
from homeport.ports import Places


class QueueFull(Refused):
    """No place became free: the queue was full, or the wait too long."""

    outcome = "full"


class LeftOut(Refused):
    """It is left out for now, after what happened before (rules/breaker); nothing was sent."""

    outcome = "open"

    def __init__(self, message: str, *, retry_in_s: float) -> None:
        super().__init__(message)
        self.retry_in_s = retry_in_s


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

    def linger(self) -> None:
        """Nobody waits for the answer any more, but the backend may still compute it: taken until the backend is seen idle."""
        leases, self._leases = self._leases, None
        if leases is not None:
            leases.lingering.append(time.monotonic())


Turn = asyncio.Future[Lease]


class Leases:
    """`limit` places, counted by `places` (over all who share them), at most `queue` waiting for one, each no longer than `timeout_s` seconds.

    Who waits is served key by key in turn, and for each key first come, first served; so one key with many asks does not
    keep another's waiting. A full queue makes room for a key that has fewer in it, at the expense of the one with most.
    `open` is how many of the places may be taken now: fewer than `limit` while the backend has only just come back.
    """

    __slots__ = ("_hasty", "_places", "_since", "_waiting", "limit", "lingering", "mine", "open", "queue", "queued", "timeout_s")

    def __init__(self, limit: int, queue: int, timeout_s: float, places: Places) -> None:
        self.limit = self.open = limit
        self.queue = queue
        self.timeout_s = timeout_s
        self.mine = 0  # places that this process has taken, zombies included
        self.lingering: deque[float] = deque()  # since when, of each zombie; time.monotonic()
        self.queued = 0  # asks that wait here
        self._places = places
        self._waiting: dict[str | None, deque[Turn]] = {}  # by key; the next to be served stands first
        self._since: dict[Turn, float] = {}  # when each began to wait, oldest first
        self._hasty: dict[Turn, str | None] = {}  # those who go elsewhere where none is free, and their keys
        self._places.subscribe(self.serve)

    @property
    def in_flight(self) -> int:
        """Places taken, by anybody, zombies included."""
        return self._places.in_use

    @property
    def zombies(self) -> int:
        """Places of answers that nobody waits for, and that the backend may still compute."""
        return len(self.lingering)

    def take(self) -> Lease | None:
        """A place now, or None."""
        if self._waiting or not self._places.take(self.open):
            return None
        self.mine += 1
        return Lease(self)

    async def wait(self, key: str | None = None, timeout_s: float | None = None, *, hasty: bool = False) -> Lease:
        """A place as soon as it is this key's turn and one is free, within `timeout_s` (its own where None). Raises QueueFull, and what `dismiss` is given.

        `hasty`: it came because one looked free, and has another way where that was taken meanwhile.
        """
        if self._places.waiting >= self.queue:
            self._make_room(key)
        loop = asyncio.get_running_loop()
        turn: Turn = loop.create_future()
        timer = loop.call_later(self.timeout_s if timeout_s is None else timeout_s, self._too_long, key, turn)
        self._waiting.setdefault(key, deque()).append(turn)
        self._since[turn] = time.monotonic()
        if hasty:
            self._hasty[turn] = key
        self._changed()
        self.serve()
        lease = None
        try:
            lease = await turn
            return lease
        finally:
            timer.cancel()
            self._hasty.pop(turn, None)
            if lease is None:
                self._abandon(key, turn)

    def serve(self) -> None:
        """Give out what is free to those who wait."""
        while self._waiting and self._places.take(self.open):
            turn = self._next()
            if turn.done():
                self._places.give_back()
            else:
                self.mine += 1
                turn.set_result(Lease(self))
        if self._hasty and self._places.in_use >= self.open:
            for turn, key in list(self._hasty.items()):
                if self._leave(key, turn) and not turn.done():
                    turn.set_exception(QueueFull(f"all {self.open} places were taken before it"))

    def limit_to(self, places: int) -> None:
        """So many of the places may be taken from now on; what is taken stays."""
        if places != self.open:
            self.open = places
            if self._waiting:
                self._changed()
                self.serve()

    def close(self) -> None:
        """It is no longer used; what is taken stays so until it is given back."""
        self._places.close()

    def dismiss(self, error: Callable[[], BackendError]) -> None:
        """Nobody shall wait here any longer: each gets an error of its own."""
        while self._waiting:
            turn = self._next()
            if not turn.done():
                turn.set_exception(error())

    def bury(self, many: int) -> None:
        """So many of the zombies' answers are over, the oldest: their places are free."""
        for _ in range(min(many, self.zombies)):
            self.lingering.popleft()
            self._give_back()

    def _next(self) -> Turn:
        """Who is served next; the key then goes to the end of the row."""
        key = next(iter(self._waiting))
        turns = self._waiting.pop(key)
        turn = turns.popleft()
        if turns:
            self._waiting[key] = turns
        del self._since[turn]
        self._changed()
        return turn

    def _leave(self, key: str | None, turn: Turn) -> bool:
        """Out of the queue; whether it stood there."""
        turns = self._waiting.get(key)
        if turns is None or turn not in turns:
            return False
        turns.remove(turn)
        if not turns:
            del self._waiting[key]
        del self._since[turn]
        self._changed()
        return True

    def _changed(self) -> None:
        """Somebody came to the queue or left it, or the places are other ones."""
        self.queued = len(self._since)
        self._places.want(self.queued, next(iter(self._since.values()), 0.0), self.open)

    def _make_room(self, key: str | None) -> None:
        mine = len(self._waiting.get(key, ()))
        greediest = max(self._waiting, key=lambda other: len(self._waiting[other]), default=None)
        most = len(self._waiting.get(greediest, ()))
        if most <= mine + 1:
            now = time.monotonic()
            oldest = now - next(iter(self._since.values()), now)
            raise QueueFull(f"all {self.limit} places are taken and its queue of {self.queue} is full, the oldest waiting for {oldest:.1f} s")
        turn = self._waiting[greediest][-1]
        self._leave(greediest, turn)
        if not turn.done():
            turn.set_exception(QueueFull(f"its queue of {self.queue} is full, and this key has the most in it"))

    def _abandon(self, key: str | None, turn: Turn) -> None:
        """The waiter is gone: out of the queue, or, where a place just came, on with it to the next."""
        if self._leave(key, turn):
            turn.cancel()
        elif turn.done() and not turn.cancelled() and turn.exception() is None:
            turn.result().release()

    def _too_long(self, key: str | None, turn: Turn) -> None:
        if not turn.done():
            self._leave(key, turn)
            turn.set_exception(QueueFull(f"no place within {self.timeout_s:g} s; all {self.open} are taken and {self._places.waiting} wait"))

    def _give_back(self) -> None:
        self.mine -= 1
        self._places.give_back()
        if self._waiting:
            self.serve()
