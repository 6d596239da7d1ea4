"""The engines of a gateway of several workers, as a worker uses them: their parent runs them, and says how they are."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from homeport.backends.lending import Loan
from homeport.errors import Unreachable

Wake = Callable[[str, Path, float], Awaitable[str | None]]
"""Asks the parent to load a pulled model within so many seconds; None, or why it could not."""


class Borrowed:
    """An engine that another process runs (pool.Endpoint)."""

    def __init__(self, name: str, key: str) -> None:
        self.on_change: Callable[[], None] | None = None
        self.key: str | None = key
        self._name = name
        self._loan = Loan("", "loading", "not started yet", time.time())
        self._change = asyncio.Event()

    @property
    def url(self) -> str:
        return self._loan.url

    @property
    def state(self) -> str:
        return self._loan.state

    @property
    def reason(self) -> str:
        return self._loan.reason

    @property
    def since(self) -> float:
        return self._loan.since

    def hear(self, loan: Loan) -> None:
        """How it is now."""
        before, self._loan = self._loan, loan
        if loan != before:
            self._change.set()
            self._change = asyncio.Event()
            if self.on_change is not None:
                self.on_change()

    async def ready(self, timeout_s: float) -> None:
        """Wait until it is healthy. Raises Unreachable with the reason once `timeout_s` has passed."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.state != "healthy":
                    await self._change.wait()
        except TimeoutError:
            raise Unreachable(f"The engine of {self._name} is {self.state}: {self.reason}.") from None


class BorrowedSleeper(Borrowed):
    """A pulled model that another process has in memory in its turn (as pulled.Sleeper)."""

    def __init__(self, name: str, key: str, path: Path, wake: Wake) -> None:
        super().__init__(name, key)
        self.in_flight: Callable[[], int] = int
        self.close: Callable[[], None] = lambda: None  # its connections
        self.waiting: deque[asyncio.Future[None]] = deque()
        self._path = path
        self._wake = wake
        self._loan = Loan("", "loading", "loads when it is asked", time.time(), asleep=True)

    @property
    def asleep(self) -> bool:
        """Whether it is not its turn."""
        return self._loan.asleep

    def hear(self, loan: Loan) -> None:
        awake = not self.asleep
        super().hear(loan)
        if awake and loan.asleep:
            self.close()

    async def ready(self, timeout_s: float) -> None:
        """Have the parent give it its turn. Raises Unreachable."""
        problem = await self._wake(self._name, self._path, timeout_s)
        if problem is not None:
            raise Unreachable(problem)


class Borrower:
    """All that this worker uses, with the one key that opens them; `hear` what the parent says of them."""

    def __init__(self, key: str, wake: Wake) -> None:
        self._key = key
        self._wake = wake
        self._loans: Mapping[str, Loan] = {}
        self._borrowed: dict[str, Borrowed] = {}

    def engine(self, name: str) -> Borrowed:
        """The engine of a backend."""
        return self._known(name, Borrowed(name, self._key))

    def sleeper(self, name: str, path: Path) -> BorrowedSleeper:
        """That of a pulled model."""
        sleeper = BorrowedSleeper(name, self._key, path, self._wake)
        self._known(name, sleeper)
        return sleeper

    def hear(self, loans: Mapping[str, Loan]) -> None:
        """How all of them are now."""
        self._loans = loans
        for name, loan in loans.items():
            if name in self._borrowed:
                self._borrowed[name].hear(loan)

    def _known(self, name: str, borrowed: Borrowed) -> Borrowed:
        self._borrowed[name] = borrowed
        if name in self._loans:
            borrowed.hear(self._loans[name])
        return borrowed
