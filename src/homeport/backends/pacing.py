"""Lets the bytes of a fast stream pile up for a moment, so that one read and one write carry many tokens.

A stream whose reads come within a millisecond of each other gains nothing from each being passed on by itself, and
every read and write is a system call. So after such a read its connection rests until the next tick; slower streams,
which is nearly all of them, never do.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

FAST_S = 0.002  # reads closer than this make a stream fast
TICK_S = 0.001  # how long it rests


class Rested(Protocol):
    """Something that can go on."""

    def rested(self) -> None:
        """Its rest is over."""


class Pacing:
    """One timer for all connections that rest."""

    __slots__ = ("_loop", "_resting")

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._resting: list[Rested] = []

    def now(self) -> float:
        """The loop's time, seconds."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        return loop.time()

    def rest(self, connection: Rested) -> None:
        """Call its `rested` at the next tick; `now` was called before."""
        if not self._resting and self._loop is not None:
            self._loop.call_later(TICK_S, self._tick)
        self._resting.append(connection)

    def _tick(self) -> None:
        resting, self._resting = self._resting, []
        for connection in resting:
            connection.rested()
