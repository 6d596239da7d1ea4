"""Drift: recorded cases of tasks and digests of models, kept in a file and held against what they are now."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from homeport.errors import HomeportError

FILE = "drift.json"
PLACES = 3  # decimals of a number that count: a vector is never the same to the last one


Behind = dict[str, dict[str, str]]  # of each served name, of each "BACKEND/MODEL" behind it: the digest, "" where none is known


class Case(Struct):
    """One call of a task and what it gave."""

    task: str
    input: dict[str, Any]
    output: Any
    at: float  # when it was recorded, seconds since the epoch


class Record(Struct):
    """What is held against now."""

    digests: Behind = {}  # of a name {} where nothing is known of it yet
    cases: list[Case] = []
    told: list[str] = field(default_factory=list)  # drifts that the owner was told of, so that each is told once


class _Stored(Record):
    """A record as it may stand in the file: at first there was one digest a name, which nothing can be held against any more."""

    digests: dict[str, dict[str, str] | str] = {}  # type: ignore[assignment]


class Drift(Struct, frozen=True):
    """One thing that is not as it was recorded. No text of an answer is in it."""

    kind: str  # "digest" "answer" "gone"
    name: str  # of the model, or of the task
    reason: str

    @property
    def key(self) -> str:
        """The same for the same drift."""
        return f"{self.kind} {self.name} {self.reason}"


def load(folder: Path) -> Record | None:
    """What was recorded in the data folder, or None. Raises HomeportError where the file cannot be read."""
    path = folder / FILE
    try:
        stored = msgspec.json.decode(path.read_bytes(), type=_Stored)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise HomeportError(f"{path} cannot be read ({error}). Put it right, or delete it to begin anew.") from None
    return Record({name: behind if isinstance(behind, dict) else {} for name, behind in stored.digests.items()}, stored.cases, stored.told)


def save(folder: Path, record: Record) -> None:
    """Keep a record; readable by its owner only, for it holds inputs and answers. Raises HomeportError."""
    path = folder / FILE
    beside = path.with_suffix(".new")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(record)))
        beside.replace(path)
    except OSError as error:
        raise HomeportError(f"{path} cannot be written: {error.strerror}.") from None


def digests(before: Behind, now: Behind) -> list[Drift]:
    """Names behind which another model stands, or none any more. New names are no drift, nor is a digest that is, or was, not known."""
    found = []
    for name, recorded in before.items():
        if name not in now:
            found.append(Drift("gone", name, "it is not served any more"))
        elif recorded and now[name] and not _models(recorded) & _models(now[name]) and not known(recorded) & known(now[name]):
            found.append(Drift("digest", name, f"another model answers to it: {', '.join(recorded)} was recorded, {', '.join(now[name])} is there"))
        else:
            for place, digest in now[name].items():
                was = known({place: recorded[place]} if place in recorded else recorded)
                if digest and was and digest not in was:
                    told = ", ".join(sorted(one[:12] for one in was))
                    found.append(Drift("digest", name, f"another model answers at {place}: {told} was recorded, {digest[:12]} is there"))
    return found


def learned(before: Behind, now: Behind) -> Behind:
    """What was recorded, with the digests that were not known then and are now."""
    places = {name: recorded or dict.fromkeys(now.get(name, {}), "") for name, recorded in before.items()}
    return {name: {place: digest or now.get(name, {}).get(place, "") for place, digest in recorded.items()} for name, recorded in places.items()}


def known(places: Mapping[str, str]) -> set[str]:
    """The digests that are known."""
    return {digest for digest in places.values() if digest}


def _models(places: Mapping[str, str]) -> set[str]:
    return {place.partition("/")[2] for place in places}


def same(one: Any, other: Any) -> bool:
    """Whether two outputs are the same, numbers to PLACES decimals."""
    if isinstance(one, int | float) and isinstance(other, int | float) and not isinstance(one, bool) and not isinstance(other, bool):
        return round(one, PLACES) == round(other, PLACES)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    return type(one) is type(other) and bool(one == other)


def fields_changed(before: Any, now: Any) -> str:
    """Where two outputs differ, by the names of fields and never by their values."""
    if isinstance(before, dict) and isinstance(now, dict):
        names = [name for name in dict.fromkeys([*before, *now]) if name not in before or name not in now or not same(before[name], now[name])]
        return f"its {', '.join(names)} changed"
    return "its answer changed"
