"""Looks after one blocking request from a thread beside it: breaks its connection where the gateway stands still or time is up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal


class Watch:
    """From `wait` to `rest` somebody waits for a byte. After `silence_s` of that, `frozen` is asked whether the gateway stands still."""

    def __init__(self, break_off: Callable[[], None], frozen: Callable[[], bool], silence_s: float, deadline: float) -> None:
        self.verdict: Literal["frozen", "late"] | None = None  # why the connection was broken
        self._break_off = break_off
        self._frozen = frozen
        self._silence_s = silence_s
        self._deadline: float | None = deadline
        self._since: float | None = None
        self._asked_at = 0.0  # when the gateway was last found to live
        self._lock = threading.RLock()
        self._over = threading.Event()
        threading.Thread(target=self._run, name="homeport watch", daemon=True).start()

    def wait(self) -> None:
        """The wait for a byte begins."""
        self._since = time.monotonic()

    def rest(self) -> None:
        """It came."""
        self._since = None

    def begun(self) -> None:
        """The answer has begun: the deadline does not count any more."""
        self._deadline = None

    def end(self) -> None:
        """Nobody waits any more; from here on the connection is not touched."""
        with self._lock:
            self._over.set()

    def _run(self) -> None:
        while not self._over.wait(self._until_next()):
            since, deadline = self._since, self._deadline
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                self._break("late", None)
            elif since is not None and now >= max(since, self._asked_at) + self._silence_s:
                if self._frozen():
                    self._break("frozen", since)
                self._asked_at = time.monotonic()

    def _until_next(self) -> float:
        """Seconds until there is something to look at, at the earliest."""
        now, since, deadline = time.monotonic(), self._since, self._deadline
        due = (now if since is None else max(since, self._asked_at)) + self._silence_s
        return max(0.0, (due if deadline is None else min(due, deadline)) - now)

    def _break(self, verdict: Literal["frozen", "late"], since: float | None) -> None:
        with self._lock:
            if self._over.is_set() or (since is not None and self._since != since):  # a byte came in the meantime
                return
            self.verdict = verdict
            self._over.set()
            self._break_off()
