"""What a gateway counts of its days: probes of each backend, and how fast each served name was answered."""

from __future__ import annotations

from msgspec import Struct

from homeport.rules.distribution import Spread
from homeport.rules.heartbeat import Beats


class Counts(Struct):
    """By day (counted since the epoch, in UTC) and backend, or served name."""

    beats: dict[tuple[int, str], Beats] = {}
    spreads: dict[tuple[int, str], Spread] = {}
