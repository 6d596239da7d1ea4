"""Whether a failed attempt may be followed by another."""

from __future__ import annotations

MAX_ATTEMPTS = 3


def goes_on(*, attempts: int) -> bool:
    """True while tries are left, for a failure that was the backend's and came before the commit point.

    Practice of Envoy and HAProxy: retry only before the first byte of the answer, at most three attempts in all.
    """
    return attempts < MAX_ATTEMPTS
