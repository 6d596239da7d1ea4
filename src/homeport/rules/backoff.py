"""How long to wait before the next try: doubling, with equal jitter, so that many who failed together do not come back together."""

from __future__ import annotations


def wait_s(failures: int, chance: float, *, first_s: float, longest_s: float) -> float:
    """Seconds after so many failures in a row (from 1). `chance`, 0 to 1, decides on the second half of it; the first half is always waited."""
    longest = min(first_s * 2.0 ** min(max(failures, 1) - 1, 20), longest_s)
    return longest / 2 + chance * longest / 2
