"""How figures are spread: a histogram of bounded size that can be added to, merged with others, and asked for any quantile.

Its buckets stand at powers of two, eight to a doubling, so a quantile is within 4.5 % of the true one whatever was measured,
and two histograms merge without a loss by adding their counts. As JSON it is itself: `{"counts": {"70": 3, …}, "lowest", "highest"}`.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import accumulate
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

PER_DOUBLING = 8
ERROR = 2.0 ** (1 / (2 * PER_DOUBLING)) - 1.0  # of a quantile at most, as a share of it
FIRST, LAST = -10 * PER_DOUBLING, 25 * PER_DOUBLING  # from 0.001 to 33 million; what lies beyond is counted in the outermost
QUANTILES = {"p5": 0.05, "p50": 0.5, "p95": 0.95, "p99": 0.99}
_LEAST, _MOST = 2.0**-10, 2.0**25
_log2 = math.log2


class Column(NamedTuple):
    """How many figures lie from `low` up to `high`."""

    low: float
    high: float
    number: int


class Histogram(Struct):
    """Figures above zero, counted by size. `counts`: bucket → how many; `lowest` and `highest` are 0 while there is none."""

    counts: dict[int, int] = {}
    lowest: float = 0.0
    highest: float = 0.0

    def add(self, figure: float) -> None:
        """Count one figure; what is not above zero, or not finite, is none. Each request comes through here twice, so no call stands here lightly."""
        if _LEAST <= figure < _MOST:
            bucket = int(_log2(figure) * PER_DOUBLING - FIRST) + FIRST  # rounded down
        elif 0.0 < figure < math.inf:
            bucket = FIRST if figure < _LEAST else LAST
        else:
            return
        counts = self.counts
        counts[bucket] = counts.get(bucket, 0) + 1
        if figure > self.highest:  # noqa: PLR1730 - a call costs more
            self.highest = figure
        if figure < self.lowest or self.lowest == 0.0:
            self.lowest = figure

    def merge(self, other: Histogram) -> None:
        """Add what another one counted."""
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.highest = max(self.highest, other.highest)
        self.lowest = min(self.lowest or other.lowest, other.lowest or self.lowest)

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    def quantile(self, share: float) -> float | None:
        """The figure that this share (0 to 1) of all do not exceed (nearest rank), within ERROR; None where there is none."""
        return self.quantiles([share])[0] if self.counts else None

    def quantiles(self, shares: Iterable[float]) -> list[float]:
        """One for each of the shares; there must be a figure."""
        buckets = sorted(self.counts)
        seen = list(accumulate(self.counts[bucket] for bucket in buckets))
        places = [bisect_left(seen, max(1, math.ceil(share * seen[-1]))) for share in shares]
        return [min(max(_edge(buckets[place] + 0.5), self.lowest), self.highest) for place in places]

    def columns(self, most: int) -> list[Column]:
        """At most so many columns (two or more) from the lowest figure to the highest, all equally wide as powers go, with the empty ones between."""
        if not self.counts:
            return []
        first, last = min(self.counts), max(self.counts)
        wide = next(wide for wide in (1, 2, 4, 8, 16, 32, 64, 512) if last // wide - first // wide < most)
        found = dict.fromkeys(range(first // wide, last // wide + 1), 0)
        for bucket, count in self.counts.items():
            found[bucket // wide] += count
        return [Column(_edge(place * wide), _edge((place + 1) * wide), count) for place, count in found.items()]

    def figures(self) -> dict[str, Any] | None:
        """What is shown of it: `{"count", "min", QUANTILES…, "max", "buckets": [[low, high, count], …]}`; None where there is none."""
        if not self.counts:
            return None
        quantiles = dict(zip(QUANTILES, map(rounded, self.quantiles(QUANTILES.values())), strict=True))
        buckets = [[_shown(bucket), _shown(bucket + 1), self.counts[bucket]] for bucket in sorted(self.counts)]
        return {"count": self.count, "min": rounded(self.lowest), **quantiles, "max": rounded(self.highest), "buckets": buckets}


class Spread(Struct):
    """What the callers of one served name saw: milliseconds to the first token, and tokens a second."""

    first_token_ms: Histogram = msgspec.field(default_factory=Histogram)
    tok_per_s: Histogram = msgspec.field(default_factory=Histogram)

    def merge(self, other: Spread) -> None:
        """Add what another one counted."""
        self.first_token_ms.merge(other.first_token_ms)
        self.tok_per_s.merge(other.tok_per_s)

    def figures(self) -> dict[str, Any]:
        """Of each, what is shown of it."""
        return {"first_token_ms": self.first_token_ms.figures(), "tok_per_s": self.tok_per_s.figures()}


def merged(spreads: Iterable[Spread]) -> Spread:
    """One that counted what all of them did; they stay as they are."""
    total = Spread()
    for spread in spreads:
        total.merge(spread)
    return total


def rounded(figure: float) -> float:
    """Three digits are what a bucket is good for."""
    return float(f"{figure:.3g}")


def ticks(low: float, high: float, most: int = 5) -> Sequence[float]:
    """Round figures from `low` to `high` (both above zero) for an axis whose steps are powers: 1, 2, 5, 10, …, or fewer."""
    decades = [10.0**decade for decade in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    axes = [[step * decade for decade in decades for step in steps if low <= step * decade <= high] for steps in ((1, 2, 5), (1, 3), (1,))]
    finest = next((axis for axis in axes if len(axis) <= most), axes[-1])
    return finest[:: max(1, -(-len(finest) // most))]


@cache
def _shown(bucket: int) -> float:
    return rounded(_edge(bucket))


def _edge(bucket: float) -> float:
    return float(2.0 ** (bucket / PER_DOUBLING))
