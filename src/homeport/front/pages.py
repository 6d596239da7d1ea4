"""What is not a model's answer: health, readiness, status and the list of models, as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from homeport.errors import Malformed
from homeport.vocabulary import Card, Incident, Standing

_encode = msgspec.json.Encoder().encode


class Place(Struct, frozen=True):
    """A model that a name may lead to."""

    backend: str
    model: str
    state: str = "healthy"  # of the backend
    card: Card | None = None


class Name(Struct, frozen=True):
    """A name that is served."""

    name: str
    places: list[Place]
    location: str  # local | mixed | cloud


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

    @property
    def incidents(self) -> Sequence[Incident]:
        """The last outages, newest first."""

    def standings(self) -> Sequence[Standing]:
        """Every backend as it is now."""

    def models(self) -> Iterable[Name]:
        """Each served name, and what stands behind it."""


def models(overview: Overview, query: Mapping[str, str] = {}) -> bytes:
    """`/v1/models`: one list that OpenAI's and Anthropic's clients both accept.

    `query` pages through it as Anthropic's clients do: `limit`, and `after_id` or `before_id`. Raises Malformed.
    """
    created = int(overview.started_at)
    listed = list(overview.models())
    page, more = _paged(listed, query)
    data = [
        {
            "id": name.name,
            "object": "model",
            "created": created,
            "owned_by": "homeport",
            "type": "model",
            "display_name": name.name,
            "created_at": stamp(created),
            "homeport": {"routes": routes(name), "location": name.location},
        }
        for name in page
    ]
    ends = {"first_id": page[0].name, "last_id": page[-1].name} if page else {"first_id": None, "last_id": None}
    return _encode({"object": "list", "data": data, "has_more": more, **ends})


def _paged(listed: list[Name], query: Mapping[str, str]) -> tuple[list[Name], bool]:
    limit = query.get("limit")
    if limit is not None and not (limit.isdecimal() and 1 <= int(limit[:9]) <= MAX_PAGE):
        raise Malformed(f"`limit` is {limit[:20]!r}; it is a number from 1 to {MAX_PAGE}.", param="limit")
    most = int(limit) if limit is not None else len(listed)
    ids = [name.name for name in listed]
    if (before := query.get("before_id")) in ids:
        earlier = listed[: ids.index(str(before))]
        return earlier[-most:] if most else [], len(earlier) > most
    after = query.get("after_id")
    rest = listed[ids.index(str(after)) + 1 :] if after in ids else listed
    return rest[:most], len(rest) > most


MAX_PAGE = 1000  # as at Anthropic


def routes(name: Name) -> list[dict[str, Any]]:
    """What stands behind a name, in order, and what is known of each model; `card` is null where nothing is."""
    return [{"backend": place.backend, "model": place.model, "card": _card(place.card)} for place in name.places]


def _card(card: Card | None) -> dict[str, Any] | None:
    if card is None:
        return None
    shown = ("engine", "version", "context", "trained", "max_tokens", "capabilities", "format", "cuts")
    return {field: getattr(card, field) for field in shown}


def stamp(at: float) -> str:
    """A moment, seconds since the epoch, in RFC 3339."""
    return datetime.fromtimestamp(int(at), UTC).isoformat().replace("+00:00", "Z")


def named(overview: Overview, name: str) -> Name | None:
    """What is served under a name; Ollama's `:latest` may be there or not."""
    listed = {entry.name: entry for entry in overview.models()}
    return listed.get(name) or listed.get(f"{name}:latest") or listed.get(name.removesuffix(":latest"))


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
        "models": [{"name": name.name, "routes": routes(name)} for name in overview.models()],
        "incidents": overview.incidents,
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
