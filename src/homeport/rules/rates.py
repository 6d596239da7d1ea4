"""How much may be done in a minute: the generic cell rate algorithm, one number of state for each limit.

ITU-T Recommendation I.371, annex A, in its form of virtual scheduling: `level` is the theoretical arrival time, the moment at
which all that was spent so far is worked off at the limit's rate. It may be at most a minute ahead. So a minute's worth may come
at once, and in any `t` seconds no more than `limit * t / 60 + limit`. It is a token bucket that holds a minute's worth and needs
no timer to be filled.

Times are seconds of a clock that only goes forward; a limit is so many in a minute, at least 1.
"""

from __future__ import annotations

import math

MINUTE_S = 60.0
EXACT_S = 1e-6  # less than this is the floats' own error


def spent(level: float, now: float, amount: int, limit: int) -> float:
    """The level after `amount` more, whether there was room for it or not."""
    return max(level, now) + amount * MINUTE_S / limit


def wait_s(level: float, now: float, limit: int) -> float:
    """Seconds until there is room for one more; 0 where there is some now."""
    ahead = spent(level, now, 1, limit) - now - MINUTE_S
    return ahead if ahead > EXACT_S else 0.0


def whole_s(seconds: float) -> int:
    """As `Retry-After` has it: whole seconds, at least 1, after which the wait is over."""
    return max(1, math.ceil(seconds - EXACT_S))
