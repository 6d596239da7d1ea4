"""What one ask came to, as its caller, the backends and the journal saw it, and what must not be."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from homeport.vocabulary import Surface
from tests.caller import Heard
from tests.dialects import Told, error_kind, told
from tests.faults.matrix.wires import FIRST, SECOND, Plan, Wire

UNREADABLE = (ValueError, KeyError, TypeError, AssertionError, AttributeError, IndexError)  # what a strict reader meets in a document that is none


class Case(Struct, frozen=True):
    """One ask: its number, by which surface, as a stream or not, with another backend behind the faulty one or not, and the fault."""

    number: int
    surface: Surface
    stream: bool
    alone: bool
    upstream: str
    plan: Plan

    def __str__(self) -> str:
        where = "alone" if self.alone else "with another"
        return f"{self.surface} {'stream' if self.stream else 'whole'} from {self.upstream}, {where}: {self.plan.kind} at byte {self.plan.at}"


class Outcome(Struct):
    """What it came to: `seen` is one word for the statistics, `faults` what must not be."""

    seen: str
    faults: list[str]


def judged(case: Case, one: Wire, heard: Heard) -> Outcome:
    """As the caller saw it."""
    if heard.status == 0:
        return Outcome("nothing", ["lost: the connection ended without a word"])
    if heard.status != 200:
        return _refused(case, heard)
    try:
        said = told(case.surface, heard.body, stream=case.stream)
    except UNREADABLE:
        seen = "unreadable" if heard.end == "complete" else "cut"
        return Outcome(seen, _visible(case, one, seen) if seen == "cut" else [])
    if heard.end == "complete":
        return _complete(case, said)
    faults = _visible(case, one, "cut")
    if not case.stream:
        faults.append("lost: a whole reply was cut")
    if len(said.errors) != 1:
        faults.append(f"untold: cut with {len(said.errors)} error objects")
    if said.ended:
        faults.append("silently cut: the terminal event came, and then a cut")
    if not (FIRST.startswith(said.text) or SECOND.startswith(said.text)):
        faults.append(f"duplicated or spliced: {said.text!r}")
    return Outcome("cut", faults)


def _refused(case: Case, heard: Heard) -> Outcome:
    faults = []
    try:
        error_kind(case.surface, heard.body)
    except UNREADABLE:
        faults.append("lost: a refusal that is no error of the dialect")
    if heard.end != "complete":
        faults.append("lost: a refusal that is cut")
    if not case.alone:
        faults.append(f"visible: {heard.status} while another backend could answer")
    return Outcome("refused", faults)


def _complete(case: Case, said: Told) -> Outcome:
    if said.errors:
        return Outcome("cut", ["untold: an error, and then a proper end"])
    if not said.whole:
        return Outcome("short", [f"silently cut: {said.text!r} ends properly without its end"])
    if said.text == FIRST:
        return Outcome("first", [])
    if said.text == SECOND and not case.alone:
        return Outcome("second", [])
    return Outcome("other", [f"silently cut, duplicated or spliced: {said.text!r}"])


def _visible(case: Case, one: Wire, what: str) -> list[str]:
    """A stream may be cut once text was shown; before that the other backend answers."""
    early = case.plan.at < (one.said_at if case.plan.kind == "end" else one.shown_at)
    return [f"visible: {what} before anything was shown"] if early and not case.alone else []


def recorded(case: Case, outcome: Outcome, receipts: list[dict[str, Any]], first: int, second: int) -> None:
    """As the journal and the backends saw it, who were sent it so many times; what must not be is added to the outcome."""
    if not first:
        outcome.faults.append(f"the fault was never met: {[receipt['attempts'] for receipt in receipts if 'attempts' in receipt]}")
    if len(receipts) != 1:
        outcome.faults.append(f"{'duplicated' if receipts else 'lost'}: {len(receipts)} receipts")
    elif (receipts[0]["outcome"] == "ok") != (outcome.seen in ("first", "second", "unreadable")):
        outcome.faults.append(f"lost: the receipt says {receipts[0]['outcome']}, the caller saw {outcome.seen}")
    if first > 1 + (case.plan.at == 0) or second > 1:  # a kept connection that closes unanswered was stale: it is tried once more
        outcome.faults.append(f"duplicated: sent {first} and {second} times")
    if second and outcome.seen in ("first", "cut", "unreadable"):
        outcome.faults.append(f"duplicated: sent on although the caller saw {outcome.seen}")
