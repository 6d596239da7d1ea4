"""The fault matrix sees what it looks for: each kind of wrong answer, receipt and sending is called by its name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from homeport.vocabulary import CHAT
from tests.caller import Heard
from tests.faults.engines import Goes, events, whole
from tests.faults.matrix.verdicts import Case, judged, recorded
from tests.faults.matrix.wires import FAULTS, FIRST, JUNK, SECOND, Plan, plans, sampled, sent, wire

ERROR = b'data: {"error":{"message":"m","type":"server_error","param":null,"code":null}}\n\n'
DONE = b"data: [DONE]\n\n"


def stream(text: str, *, tokens: int | None = None, end: bytes | None = None) -> bytes:
    opening, said, closing = events("openai", CHAT.value, Goes(text=text))
    return opening + b"".join(said[:tokens]) + (closing if end is None else end)


def case(*, alone: bool = False, streamed: bool = True, at: int = 600) -> Case:
    return Case(1, CHAT, streamed, alone, "openai", Plan("FIN", at))


def heard(body: bytes, *, end: str = "complete", status: int = 200, streamed: bool = True) -> Heard:
    return Heard(status, {"content-type": "text/event-stream" if streamed else "application/json"}, body, end)


def verdict(found: Heard, one: Case) -> tuple[str, list[str]]:
    outcome = judged(one, wire("openai", streamed=True), found)
    return outcome.seen, [fault.partition(":")[0] for fault in outcome.faults]


REFUSAL = json.dumps({"error": {"message": "m", "type": "t", "param": None, "code": None}}).encode()
CASES: dict[str, tuple[Heard, Case, str, list[str]]] = {
    "the first's": (heard(stream(FIRST)), case(), "first", []),
    "the second's": (heard(stream(SECOND)), case(), "second", []),
    "the second's where there is none": (heard(stream(SECOND)), case(alone=True), "other", ["silently cut, duplicated or spliced"]),
    "cut and told": (heard(stream(FIRST, tokens=2, end=ERROR), end="aborted"), case(), "cut", []),
    "cut before anything was shown": (heard(ERROR, end="aborted"), case(at=10), "cut", ["visible"]),
    "cut and not told": (heard(stream(FIRST, tokens=2, end=b""), end="aborted"), case(), "cut", ["untold"]),
    "an error, then a proper end": (heard(stream(FIRST, tokens=2, end=ERROR)), case(), "cut", ["untold"]),
    "a word is missing": (heard(stream("alfa charlie")), case(), "other", ["silently cut, duplicated or spliced"]),
    "a word twice": (heard(stream("alfa alfa bravo charlie")), case(), "other", ["silently cut, duplicated or spliced"]),
    "two answers in one": (heard(stream("alfa two three four")), case(), "other", ["silently cut, duplicated or spliced"]),
    "spliced, then cut": (heard(stream("alfa two three", tokens=2, end=ERROR), end="reset"), case(), "cut", ["duplicated or spliced"]),
    "no end": (heard(stream(FIRST, end=DONE)), case(), "short", ["silently cut"]),
    "no terminal event": (heard(stream(FIRST, end=b"")), case(), "short", ["silently cut"]),
    "not a word": (heard(b"", status=0, end="reset"), case(), "nothing", ["lost"]),
    "refused where another could answer": (heard(REFUSAL, status=503, streamed=False), case(), "refused", ["visible"]),
    "refused": (heard(REFUSAL, status=503, streamed=False), case(alone=True), "refused", []),
    "refused in no dialect": (heard(b"<h1>oops</h1>", status=502, streamed=False), case(alone=True), "refused", ["lost"]),
    "a whole reply": (heard(whole("openai", CHAT.value, Goes(text=FIRST)), streamed=False), case(streamed=False), "first", []),
    "half of one": (heard(whole("openai", CHAT.value, Goes(text=FIRST))[:90], streamed=False, end="aborted"), case(streamed=False, at=0), "cut", ["visible"]),
    "garbage": (heard(stream(FIRST).replace(b"bravo", JUNK)), case(), "unreadable", []),
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_caller_sees(name: str) -> None:
    found, one, seen, faults = CASES[name]
    assert verdict(found, one) == (seen, faults)


@pytest.mark.parametrize(
    ("seen", "receipts", "met", "behind", "fault"),
    [
        ("second", ["ok"], 1, 1, None),
        ("cut", ["cut"], 1, 0, None),
        ("second", ["ok"], 0, 1, "the fault was never met: []"),
        ("second", [], 1, 1, "lost: 0 receipts"),
        ("second", ["ok", "ok"], 1, 1, "duplicated: 2 receipts"),
        ("cut", ["ok"], 1, 0, "lost: the receipt says ok"),
        ("first", ["failed"], 1, 0, "lost: the receipt says failed"),
        ("second", ["ok"], 2, 1, "duplicated: sent 2 and 1 times"),
        ("cut", ["cut"], 1, 1, "duplicated: sent on although"),
    ],
)
def test_what_the_books_say(seen: str, receipts: list[str], met: int, behind: int, fault: str | None) -> None:
    bodies = {"second": stream(SECOND), "first": stream(FIRST), "cut": stream(FIRST, tokens=1, end=ERROR)}
    outcome = judged(case(), wire("openai", streamed=True), heard(bodies[seen], end="aborted" if seen == "cut" else "complete"))
    assert (outcome.seen, outcome.faults) == (seen, [])
    rows: list[dict[str, Any]] = [{"outcome": word} for word in receipts]
    recorded(case(), outcome, rows, met, behind)
    assert len(outcome.faults) == (fault is not None)
    assert fault is None or outcome.faults[0].startswith(fault)


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("dialect", ["openai", "anthropic", "ollama"])
def test_every_byte_is_in_the_matrix(dialect: str, streamed: bool) -> None:
    one = wire(dialect, streamed=streamed)
    for kind in FAULTS:
        offsets = [plan.at for plan in plans(one) if plan.kind == kind]
        whole_size = sum(map(len, one.pieces)) if kind == "end" else one.size
        assert offsets[:whole_size] == list(range(whole_size))
        assert len(offsets) - whole_size in (0, 1)
    assert all(sent(one, plan) != one.bytes for plan in plans(one))
    assert sampled(one, 24, 1) == sampled(one, 24, 1) != sampled(one, 24, 2)
