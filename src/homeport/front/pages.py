"""What is not a model's answer: health, readiness, status and the list of models, as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from homeport.vocabulary import Standing

_encode = msgspec.json.Encoder().encode


class Overview(Protocol):
    """What the pages show of the gateway."""

    version: str
    started_at: float  # seconds since the epoch

    @property
    def trouble(self) -> str | None:
        """What the owner should see to, or None."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Settled Asks by outcome."""

    def standings(self) -> Sequence[Standing]:
        """Every backend as it is now."""

    def models(self) -> Iterable[tuple[str, Sequence[tuple[str, str]], str]]:
        """Each served name, its (backend, model) routes, and its location."""


def models(overview: Overview) -> bytes:
    """`/v1/models`: one list that OpenAI's and Anthropic's clients both accept."""
    created = int(overview.started_at)
    stamp = datetime.fromtimestamp(created, UTC).isoformat().replace("+00:00", "Z")
    data = [
        {
            "id": name,
            "object": "model",
            "created": created,
            "owned_by": "homeport",
            "type": "model",
            "display_name": name,
            "created_at": stamp,
            "homeport": {"routes": [{"backend": backend, "model": model} for backend, model in routes], "location": location},
        }
        for name, routes, location in overview.models()
    ]
    return _encode(
        {"object": "list", "data": data, "has_more": False, "first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None}
    )


def model(overview: Overview, name: str) -> bytes | None:
    """`/v1/models/NAME`: one of them, or None."""
    listed = msgspec.json.decode(models(overview))["data"]
    return next((_encode(entry) for entry in listed if entry["id"] == name), None)


def status(overview: Overview, now: float) -> bytes:
    """`/status` as JSON. `now`: seconds since the epoch."""
    standings = overview.standings()
    report: dict[str, Any] = {
        "verdict": verdict(standings, overview.trouble),
        "version": overview.version,
        "uptime_s": round(now - overview.started_at, 1),
        "requests": dict(overview.counts),
        "backends": standings,
        "models": [{"name": name, "routes": [{"backend": backend, "model": model} for backend, model in routes]} for name, routes, _ in overview.models()],
        "incidents": [],
        "trouble": overview.trouble,
    }
    return _encode(report)


def ready(overview: Overview) -> tuple[int, bytes]:
    """`/ready`: 200 once a backend can answer, 503 before."""
    standings = overview.standings()
    able = [standing.name for standing in standings if standing.state == "healthy"]
    return (200 if able else 503), _encode({"ready": bool(able), "verdict": verdict(standings, overview.trouble)})


def verdict(standings: Sequence[Standing], trouble: str | None) -> str:
    """One sentence on how things stand."""
    if trouble:
        return f"Receipts cannot be written: {trouble}."
    bad = [standing for standing in standings if standing.state == "down"]
    loading = [standing.name for standing in standings if standing.state == "loading"]
    if not standings:
        return "No backend is configured."
    if len(bad) == len(standings):
        return "Nothing can answer: " + "; ".join(f"{standing.name} is down ({standing.reason})" for standing in bad) + "."
    if bad:
        return "; ".join(f"{standing.name} is down ({standing.reason})" for standing in bad) + "; the others answer."
    if loading:
        return f"{', '.join(loading)} still loading." if len(loading) > 1 else f"{loading[0]} is still loading."
    return "All is well."
