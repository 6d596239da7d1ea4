"""A gateway as the status page sees it: good days and bad ones, and names that mean harm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from homeport.rules.distribution import Spread
from homeport.rules.heartbeat import Beats, day
from homeport.vocabulary import FleetStanding, Incident, Standing

NOW = 1_795_266_000.0  # 2026-11-21 13:00 UTC
TODAY = day(NOW)
EVIL = '<script>alert(1)</script>"><img src=x onerror=alert(2)>&amp;\x00\u202e'


def standing(name: str = "home", state: str = "healthy", reason: str = "", **fields: Any) -> Standing:
    plain = {"kind": "ollama", "location": "local", "since": NOW - 600, "in_flight": 1, "max_in_flight": 4, "queued": 2, "models": ["m"]}
    return Standing(name=name, state=state, reason=reason, **{**plain, **fields})


def spread(*figures: tuple[float, float]) -> Spread:
    """Of milliseconds to the first token and tokens a second."""
    found = Spread()
    for first, speed in figures:
        found.first_token_ms.add(first)
        found.tok_per_s.add(speed)
    return found


class Days:
    """What was counted."""

    def __init__(self, beats: Mapping[str, Mapping[int, Beats]], spreads: Mapping[str, Spread]) -> None:
        self._beats, self._spreads = beats, spreads

    def heartbeats(self) -> Mapping[str, Mapping[int, Beats]]:
        return self._beats

    def distributions(self) -> Mapping[str, Spread]:
        return self._spreads


class Sample:
    """An Overview."""

    version = "0.1.0"
    id = "ab12"
    started_at = NOW - 7200
    trouble: str | None = None
    fleet_standing: FleetStanding | None = None

    def __init__(
        self,
        *standings: Standing,
        incidents: Sequence[Incident] = (),
        beats: Mapping[str, Mapping[int, Beats]] = {},
        spreads: Mapping[str, Spread] = {},
        counts: Mapping[str, int] = {},
    ) -> None:
        self.incidents, self.counts = incidents, counts
        self.history = Days(beats, spreads)
        self._standings = standings

    def standings(self) -> Sequence[Standing]:
        return self._standings

    def models(self) -> list[Any]:
        return []


def incident(**fields: Any) -> Incident:
    plain = {"id": "evt-1", "kind": "down", "backend": "home", "since": NOW - 3600, "until": None, "reason": "connection refused", "downtime_s": None}
    return Incident(**{**plain, "traffic": "to vm (assistant)", **fields})
