"""What is not a model's answer: health, readiness, status and the list of models, as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from homeport.errors import Malformed
from homeport.rules import heartbeat, pinning
from homeport.rules.distribution import Spread
from homeport.rules.heartbeat import Beats
from homeport.rules.wording import watched
from homeport.vocabulary import Card, FleetStanding, Incident, Standing

_encode = msgspec.json.Encoder().encode

ANSWERS = ("healthy", "degraded")  # states of a backend that can be asked
HONOURS = ["homeport-private"]  # headers that whoever relies on them should know to be understood
NAMED = 3  # backends in a verdict
WELL = "All is well."


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


class Days(Protocol):
    """What was counted day by day."""

    def heartbeats(self) -> Mapping[str, Mapping[int, Beats]]:
        """Of each backend, what its probes found by day (counted since the epoch, in UTC)."""

    def distributions(self) -> Mapping[str, Spread]:
        """Of each served name that was answered in the last days, how fast; the most asked first."""


class Overview(Protocol):
    """What the pages show of the gateway."""

    version: str
    started_at: float  # seconds since the epoch

    @property
    def id(self) -> str:
        """Of this run, the same for all workers."""

    @property
    def trouble(self) -> str | None:
        """What the owner should see to, or None."""

    @property
    def fleet_standing(self) -> FleetStanding | None:
        """How it stands with the gateways that share its backends; None where there are none."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Settled Asks by outcome."""

    @property
    def incidents(self) -> Sequence[Incident]:
        """The last outages, newest first."""

    def standings(self) -> Sequence[Standing]:
        """Every backend as it is now."""

    @property
    def history(self) -> Days:
        """The days gone by."""

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
    return _encode({"object": "list", "data": data, "has_more": more, **ends, "homeport": itself(overview)})


def itself(overview: Overview) -> dict[str, str]:
    """What tells another Homeport that this is one, and which."""
    return {"version": overview.version, "gateway": overview.id}


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
    found = {field: getattr(card, field) for field in shown} | {"digest": pinning.bare(card) or None}
    return found | {"about": card.about} if card.about else found


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
    beats = overview.history.heartbeats()
    report: dict[str, Any] = {
        "verdict": verdict(standings, overview.trouble, overview.fleet_standing),
        "version": overview.version,
        "uptime_s": round(now - overview.started_at, 1),
        "requests": dict(overview.counts),
        "backends": standings,
        "models": [{"name": name.name, "routes": routes(name)} for name in overview.models()],
        "incidents": [msgspec.structs.replace(incident, backend=watched(incident.backend)) for incident in overview.incidents],
        "distributions": [{"model": name, **spread.figures()} for name, spread in overview.history.distributions().items()],
        "heartbeats": {standing.name: _days(beats.get(standing.name, {})) for standing in standings},
        "fleet": overview.fleet_standing,
        "trouble": overview.trouble,
        "honours": HONOURS,
    }
    return _encode(report)


def brief(overview: Overview) -> bytes:
    """`/status?brief`: how the backends are, and where each name leads."""
    names = [
        {"name": name.name, "location": name.location, "routes": [{"backend": at.backend, "model": at.model} for at in name.places]}
        for name in overview.models()
    ]
    return _encode({**itself(overview), "backends": overview.standings(), "models": names})


def ready(overview: Overview, *, draining: bool = False) -> tuple[int, bytes]:
    """`/ready`: 200 once a backend can answer, 503 before, and while the gateway drains."""
    if draining:
        return 503, _encode({"ready": False, "verdict": "The gateway is stopping: it ends what it has under way, and takes nothing new."})
    standings = overview.standings()
    able = [standing.name for standing in standings if standing.state in ANSWERS]
    return (200 if able else 503), _encode({"ready": bool(able), "verdict": verdict(standings, overview.trouble)})


def verdict(standings: Sequence[Standing], trouble: str | None, fleet: FleetStanding | None = None) -> str:
    """One sentence on how things stand; one more where the fleet's store is away."""
    said = _verdict(standings, trouble)
    if fleet is None or fleet.state == "together":
        return said
    said = "The backends are well." if said == WELL else said
    return f"{said} The fleet's store at {fleet.store} cannot be used ({fleet.reason}), so this gateway keeps to its share, one of {fleet.gateways}."


def _verdict(standings: Sequence[Standing], trouble: str | None) -> str:
    if trouble:
        return f"Receipts cannot be written: {trouble}."
    if not standings:
        return "No backend is configured."
    told = [standing for standing in standings if standing.state != "healthy"]
    if not told:
        return WELL
    more = len(told) - NAMED
    clauses = [_said(standing) for standing in told[:NAMED]] + ([f"{more} more {'is' if more == 1 else 'are'} not well"] if more > 0 else [])
    loading = [standing.name for standing in told if standing.state == "loading"]
    if len(loading) == len(told):
        named = f"{', '.join(loading[:NAMED])}{f' and {more} more' if more > 0 else ''}"
        return f"{named} {'is' if len(loading) == 1 else 'are'} still loading."
    if all(standing.state not in ANSWERS for standing in told) and len(told) == len(standings):
        return f"Nothing can answer: {'; '.join(clauses)}."
    others = len(standings) - len(told)
    if others and any(standing.state not in ANSWERS for standing in told):
        clauses.append("the others answer" if others > 1 else "the other answers")
    return f"{'; '.join(clauses)}."


def _said(standing: Standing) -> str:
    """How one backend that is not well is told to people."""
    why = standing.reason.strip().rstrip(".")
    match standing.state:
        case "loading":
            said, why = "is still loading", ""
        case "degraded":
            said = "answers, but not well"
        case "drained":
            said, why = "is drained and takes no new requests", ""
        case _:
            said = "does not answer"
    return f"{standing.name} {said}{f' ({why})' if why else ''}"


def _days(beats: Mapping[int, Beats]) -> list[dict[str, Any]]:
    return [{"day": heartbeat.date(day), "good": found.good, "bad": found.bad, "neither": found.neither} for day, found in sorted(beats.items())]
