"""What a Homeport says to another: that it is one, what its names can do, how it is, and why it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from homeport.errors import BackendError, CallerError, HomeportError, NotReplayed, Refused, TooLong, Uncarried
from homeport.vocabulary import Behind
from homeport.wire import node

CARD = {"engine": "ollama", "version": "0.32", "context": 4096, "trained": 32768, "max_tokens": None, "capabilities": {"tools": True, "vision": False}}
CARD |= {"format": "yes", "cuts": False, "digest": "ab" * 32}
HOMEPORT = {"version": "0.1.0", "gateway": "ab12"}


def listing(*cards: dict[str, Any] | None, **more: Any) -> bytes:
    """A list of one name whose routes have these cards."""
    routes = [{"backend": "gpu", "model": "m", "card": card} for card in cards]
    return json.dumps(
        {"data": [{"id": "m", "owned_by": "homeport", "homeport": {"routes": routes, "location": "local"}}], "homeport": HOMEPORT, **more}
    ).encode()


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (listing(), "ab12"),
        (b'{"models":[],"homeport":{"version":"1","gateway":"cd"}}', "cd"),
        (b'{"data":[{"id":"homeport"}]}', None),
        (b'{"data":[],"homeport":{}}', None),
        (b'{"data":[],"homeport":"yes"}', None),
        (b'{"homeport"', None),
        (b"", None),
    ],
)
def test_a_homeport_says_that_it_is_one(body: bytes, found: str | None) -> None:
    assert node.gateway(body) == found


def test_a_card_comes_through() -> None:
    card = node.cards(listing(CARD))["m"]
    assert (card.engine, card.version, card.context, card.trained, card.format, card.cuts) == ("homeport", "0.1.0", 4096, 32768, "yes", False)
    assert card.weights.digest == "ab" * 32
    assert card.lacks == {"vision"}


def test_of_several_routes_the_least_room_and_every_ability() -> None:
    other = CARD | {"context": 2048, "capabilities": {"tools": False, "vision": True}, "cuts": True, "format": "no", "digest": "cd" * 32}
    card = node.cards(listing(CARD, other))["m"]
    assert (card.context, card.capabilities, card.cuts, card.format, card.weights.digest) == (2048, {"tools": True, "vision": True}, True, "unknown", "")


@pytest.mark.parametrize("cards", [(CARD, None), (None,), ()])
def test_a_route_of_which_nothing_is_known_lacks_nothing_and_has_no_digest(cards: tuple[dict[str, Any] | None, ...]) -> None:
    card = node.cards(listing(*cards))["m"]
    assert (card.lacks, card.weights.digest, card.format) == (frozenset(), "", "unknown")


def test_a_strange_card_is_kept_within_bounds() -> None:
    strange = {"context": -5, "trained": 10**30, "max_tokens": 0, "format": "x" * 9999, "capabilities": {"tools": True, **{f"w{n}": False for n in range(999)}}}
    card = node.cards(listing(CARD | strange))["m"]
    assert (card.context, card.trained, card.max_tokens, card.format, card.capabilities) == (None, node.TOKENS, None, "unknown", {"tools": True})


@pytest.mark.parametrize("homeport", [5, {"routes": 5}, {"routes": [{"card": {"context": "many"}}]}, {"routes": [None]}])
def test_a_strange_row_is_a_card_that_says_nothing(homeport: Any) -> None:
    body = json.dumps({"data": [{"id": "m", "homeport": homeport}], "homeport": HOMEPORT}).encode()
    assert node.cards(body)["m"].lacks == frozenset()


def test_a_report_is_read_and_made_printable() -> None:
    backend = {"name": "gpu", "kind": "ollama", "state": "open", "reason": "re\x1b[31mason" + "x" * 999, "in_flight": 1, "max_in_flight": 4, "queued": 2}
    found = node.report(json.dumps({"version": "1", "backends": [backend], "models": [{"name": "m", "routes": [{"backend": "gpu", "model": "x"}]}]}).encode())
    assert found is not None
    assert (found.backends[0].in_flight, found.backends[0].queued, len(found.backends[0].reason)) == (1, 2, node.LONGEST - 1)
    assert "\x1b" not in found.backends[0].reason
    assert found.models[0].routes[0].backend == "gpu"


def test_a_report_is_bounded() -> None:
    """What is strange in it is put right: an unknown state is none that answers."""
    strange = {"name": "gpu", "state": "x" * 9999, "location": 9999 * "y", "in_flight": -7, "max_in_flight": 10**30, "queued": -1}
    routes = [{"backend": "gpu", "model": "m"}] * (node.MOST + 1)
    body = {"version": "\x1b" + "1" * 99, "backends": [strange] * 999, "models": [{"name": f"m{number}", "routes": routes} for number in range(node.NAMES + 1)]}
    found = node.report(json.dumps(body).encode())
    assert found is not None
    assert found.backends == [Behind("gpu", "open", "", 0, node.PLACES, 0, "local")] * node.MOST
    assert (len(found.models), len(found.models[0].routes), found.version) == (node.NAMES, node.MOST, "1" * 40)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"backends":[5]}', b'{"backends":[{"name":5}]}', b"<html>", b"[" * 100_000])
def test_what_is_no_report(body: bytes) -> None:
    assert node.report(body) is None


SAID = Refused("HTTP 503 (server_error)")


@pytest.mark.parametrize(
    ("code", "status", "outcome", "says"),
    [
        ("queue_full", 503, "full", "no room"),
        ("rate_limit_exceeded", 429, "full", "limit of our key"),
        ("stopping", 503, "full", "being stopped"),
        ("no_route", 503, "refused", "nothing behind it"),
        ("loop", 508, "loop", "where it came from"),
        ("invalid_api_key", 401, "refused", "refuses our key"),
        ("cannot_record", 503, "refused", "receipts"),
    ],
)
def test_why_it_refuses(code: str, status: int, outcome: str, says: str) -> None:
    error = node.refusal(status, {b"x-homeport-error": code.encode(), b"retry-after": b"7"}, SAID)
    assert isinstance(error, BackendError)
    assert (error.outcome, says in str(error), error.retry_in_s) == (outcome, True, 7.0 if status in (429, 503) else None)


def test_what_may_not_be_answered_there_is_no_failure() -> None:
    error = node.refusal(503, {b"x-homeport-error": b"no_route", b"x-should-retry": b"false"}, SAID)
    assert isinstance(error, BackendError)
    assert error.outcome == "barred"


def test_what_another_server_refuses_stays_as_it_was_read() -> None:
    assert node.refusal(503, {}, SAID) is SAID
    assert node.refusal(503, {b"x-homeport-error": b"new_code"}, SAID) is SAID
    assert node.refusal(500, {b"x-homeport-error": b"queue_full"}, SAID) is SAID
    assert Refused.outcome == SAID.outcome == "refused"


def test_faults_of_the_request_stay_the_requests() -> None:
    told: HomeportError = CallerError("The prompt is long.")
    assert isinstance(node.refusal(400, {b"x-homeport-error": b"context_length_exceeded"}, told), TooLong)
    assert isinstance(node.refusal(400, {b"x-homeport-error": b"not_carried"}, told), Uncarried)
    assert isinstance(node.refusal(503, {b"x-homeport-error": b"not_replayed"}, SAID), NotReplayed)
