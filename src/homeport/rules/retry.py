"""Whether a failed attempt may be followed by another."""

from __future__ import annotations

from homeport.errors import BackendError

MAX_ATTEMPTS = 3


def goes_on(error: BaseException, *, attempts: int, committed: bool) -> bool:
    """True where the next route may be tried: the backend was at fault, nothing has reached the caller, and tries are left.

    Practice of Envoy and HAProxy: retry only before the first byte of the answer, at most three attempts in all.
    """
    return isinstance(error, BackendError) and not committed and attempts < MAX_ATTEMPTS


def spent(attempts: int) -> bool:
    """Whether all tries are used up."""
    return attempts >= MAX_ATTEMPTS
