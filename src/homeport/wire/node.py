"""What a Homeport behind this one says: that it is one, what its models can do, how it is, and why it refuses.

`/v1/models` and `/api/tags` have `"homeport": {version, gateway}` at their top; how it is stands in `/status?brief`; a refusal
has its code in the header `x-homeport-error`, whatever the dialect.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from homeport.errors import CallerError, HomeportError, NotReplayed, Refused, TooLong, Uncarried
from homeport.vocabulary import STATES, Behind, Card, Weights
from homeport.wire import cards as wire

BRIEF = "/status?brief"
WANTED = f"{BRIEF}&wanted"  # an ask would have gone there: what sleeps behind it may be woken
LIST = "/v1/models"
CODE = b"x-homeport-error"
MOST = 256  # backends behind it, and routes of one name, that are looked at
NAMES = 1024  # names there whose routes are looked at
LARGEST = 1024 * 1024  # bytes of a report
LONGEST = 300  # characters of a reason
PLACES = 1_000_000  # no more than these are counted at one of them
TOKENS = 1_000_000_000  # … of what a model can take
FORMATS = {"yes", "schema", "no", "unknown"}  # Card.format
RETRY_S = 60  # no longer than this is waited, whatever it says


class NoRoom(Refused):
    """It has no room for us, or is about to stop: no failure."""

    outcome = "full"


class Crowded(NoRoom):
    """It has no room for this name; for another one it may."""

    one_name = True


class SentBack(Refused):
    """It leads back to where the request came from: no failure of its own."""

    outcome = "loop"


class Barred(Refused):
    """It has no route that may answer this request, which is private, or whose model is pinned: no failure."""

    outcome = "barred"


class Way(Struct, frozen=True):
    """One route of a name there."""

    backend: str


class Name(Struct, frozen=True):
    """A name that is served there."""

    name: str
    routes: list[Way] = []


class Report(Struct, frozen=True):
    """`/status?brief`."""

    version: str = ""
    backends: list[Behind] = []
    models: list[Name] = []


class _Self(Struct, frozen=True):
    version: str = ""
    gateway: str = ""


class _Listing(Struct, frozen=True):
    homeport: _Self | None = None


class _Told(Card, frozen=True):
    digest: str | None = None  # hexadecimal SHA-256


class _Place(Struct, frozen=True):
    card: _Told | None = None


class _Served(Struct, frozen=True):
    routes: list[_Place] = []


_listing = msgspec.json.Decoder(_Listing)
_report = msgspec.json.Decoder(Report)


def gateway(listing: bytes) -> str | None:
    """Which Homeport gave this list of models: the id of its run; None where it is another server's."""
    return _itself(listing).gateway or None if b'"homeport"' in listing else None


def _itself(listing: bytes) -> _Self:
    try:
        return _listing.decode(listing).homeport or _Self()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Self()


def report(page: bytes) -> Report | None:
    """How it is; None where the page does not say."""
    try:
        found = _report.decode(page)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    backends = [_bounded(behind) for behind in found.backends[:MOST]]
    models = [name if len(name.routes) <= MOST else Name(name.name, name.routes[:MOST]) for name in found.models[:NAMES]]
    return Report(_printed(found.version)[:40], backends, models)


def _bounded(behind: Behind) -> Behind:
    """The same within bounds; a state that is not known here is none that answers."""
    in_flight, max_in_flight, queued = (max(0, min(figure, PLACES)) for figure in (behind.in_flight, behind.max_in_flight, behind.queued))
    state, location = behind.state if behind.state in STATES else "open", "cloud" if behind.location == "cloud" else "local"
    return Behind(_printed(behind.name), state, _printed(behind.reason), in_flight, max_in_flight, queued, location)


def cards(listing: bytes) -> dict[str, Card]:
    """What its names can do, by its `/v1/models`."""
    version = _itself(listing).version[:40] or None
    return {name: _card(row, version) for row in wire.rows(listing) if (name := wire.name_of(row)) is not None}


def _card(row: dict[str, Any], version: str | None) -> Card:
    """A name with several routes can do what any of them can, for it sends a request to one that can; it has the least room of them.

    Its digest is told where all routes lead to a model that has it: else another one might answer than was pinned.
    """
    try:
        routes = msgspec.convert(row.get("homeport"), _Served).routes[:MOST]
    except msgspec.ValidationError:
        routes = []
    known = [place.card for place in routes if place.card is not None]
    words = [word for word in wire.CAPABILITIES if any(word in card.capabilities for card in known)]
    capabilities = {word: any(card.capabilities.get(word, True) for card in known) or len(known) < len(routes) for word in words}
    formats = {card.format for card in known} if len(known) == len(routes) else {"unknown"}
    digests = {card.digest for card in known} if len(known) == len(routes) else set()
    return Card(
        engine="homeport",
        version=version,
        context=min(_tokens(card.context for card in known), default=None),
        trained=min(_tokens(card.trained for card in known), default=None),
        max_tokens=max(_tokens(card.max_tokens for card in known), default=None),
        capabilities=capabilities,
        format=formats.pop() if len(formats) == 1 and formats <= FORMATS else "unknown",
        cuts=any(card.cuts for card in known),
        weights=Weights(digest=(digests.pop() or "")[:80] if len(digests) == 1 else ""),
    )


def _tokens(told: Iterable[int | None]) -> list[int]:
    return [min(number, TOKENS) for number in told if number is not None and number > 0]


def refusal(status: int, headers: dict[bytes, bytes], error: HomeportError) -> HomeportError:
    """What a refusal means that was read as `error`: the same, unless a Homeport gave it, which says more.

    One without room, or about to stop, is no failure: its outcome is "full". One that leads in a circle is none either: "loop".
    """
    code = headers.get(CODE)
    if code is None:
        return error
    if code == b"not_replayed" and status == 503:
        return NotReplayed(
            "A backend behind the Homeport that was asked went away with this request, which asks for an answer by a schema or a grammar. Engines have "
            "died of such, so it is not sent to another one. Ask without it, or with a simpler one."
        )
    if code == b"context_length_exceeded" and isinstance(error, CallerError) and not isinstance(error, TooLong):
        return TooLong(str(error), param="messages")
    if code == b"not_carried" and isinstance(error, CallerError):
        return Uncarried(str(error), param=error.param)
    if code == b"no_route" and headers.get(b"x-should-retry") == b"false":
        return Barred(f"HTTP {status}: nothing behind it may answer this: it is private, or its model is pinned")
    told = _TOLD.get((status, code))
    if told is None:
        return error
    kind, reason = told
    refused = kind(f"HTTP {status}: {reason}")
    wait = headers.get(b"retry-after", b"")
    if wait.isdigit() and status in (429, 503):
        refused.retry_in_s = float(min(int(wait[:6]), RETRY_S))
    return refused


_TOLD: dict[tuple[int, bytes], tuple[type[Refused], str]] = {  # a status and a code, as an engine's may be any: what kind of refusal it is, and why
    (503, b"queue_full"): (Crowded, "it has no room, and its queue is full"),
    (429, b"rate_limit_exceeded"): (NoRoom, "the limit of our key there is reached"),
    (503, b"stopping"): (NoRoom, "it is being stopped"),
    (503, b"no_route"): (Refused, "nothing behind it could answer"),
    (503, b"cannot_record"): (Refused, "it cannot write its receipts"),
    (508, b"loop"): (SentBack, "it sends the request back to where it came from"),
    (401, b"invalid_api_key"): (Refused, "it refuses our key"),
    (403, b"forbidden"): (Refused, "it wants a key"),
}


def _printed(text: str) -> str:
    return "".join(sign for sign in text[:LONGEST] if sign.isprintable())
