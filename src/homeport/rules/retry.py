"""Whether a failed attempt may be followed by another."""

from __future__ import annotations

MAX_ATTEMPTS = 3
EARNED = 0.2  # retries that each ask pays for: 20 %
MOST = 20.0  # retries that can be saved up


def goes_on(*, attempts: int) -> bool:
    """True while tries are left, for a failure that was the backend's and came before the commit point.

    Practice of Envoy and HAProxy: retry only before the first byte of the answer, at most three attempts in all.
    """
    return attempts < MAX_ATTEMPTS


def earned(budget: float) -> float:
    """The budget of retries after one more ask (the retry budget of Finagle and Envoy, as a token bucket)."""
    return min(budget + EARNED, MOST)


def affordable(budget: float, *, well: bool) -> bool:
    """Whether one more retry may be made. One that finds a free place at a backend that is well adds to nobody's trouble, so it always may."""
    return well or budget >= 1.0
