"""What one check came to."""

from __future__ import annotations

from msgspec import Struct


class Diagnosis(Struct, frozen=True):
    """One finding. `check` is `group.thing`; `ok` None: nothing is broken, and yet it is worth knowing, or it could not be looked at."""

    check: str
    ok: bool | None
    what: str  # a sentence without its full stop
    why: str = ""  # what it leads to, or how it comes about
    fix: str = ""  # what to do


def well(check: str, what: str) -> Diagnosis:
    """All is as it should be."""
    return Diagnosis(check, True, what)


def wrong(check: str, what: str, why: str, fix: str) -> Diagnosis:
    """Something is broken, or will be."""
    return Diagnosis(check, False, what, why, fix)


def unsure(check: str, what: str, why: str = "", fix: str = "") -> Diagnosis:
    """Nothing is known to be broken; the owner may want to know."""
    return Diagnosis(check, None, what, why, fix)
