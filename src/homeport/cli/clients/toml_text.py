"""Edits TOML line by line, and leaves everything else in the text as it stands; what it does is checked by parsing anew."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Sequence
from typing import Any

from homeport.cli.clients.client import Spoilt

Path = Sequence[str]
Value = str | int | bool

_HEADER = re.compile(r"\s*\[")
_VALUE = re.compile(r"""\s*("(?:[^"\\]|\\.)*"(?!")|'[^']*'(?!')|true|false|[+-]?\d[\d_]*)(?=\s*(?:#.*)?$)""")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def read(text: str) -> dict[str, Any]:
    """The values of the text. Raises Spoilt."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise Spoilt(1, "is nested too deeply") from None
    except ValueError as error:
        found = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
        line = int(found[1]) if found and found[1] else text.rstrip().count("\n") + 1
        what = str(error)[: found.start()] if found else "a number or date that is none"
        raise Spoilt(line, f"is not TOML: {what[:1].lower()}{what[1:]}") from None


def put(text: str, path: Path, value: Value) -> str:
    """The text with `value` at the path; its table is made at the end where it is missing. Raises Spoilt."""
    values = read(text)
    table, key = tuple(path[:-1]), path[-1]
    lines = text.split("\n")
    shown = f"{_quoted(key)} = {_rendered(value)}"
    region = _region(lines, table)
    if region is None:
        whole = text if text.endswith("\n") or not text else f"{text}\n"
        gap = "\n" if text.strip() and not whole.endswith("\n\n") else ""
        lines = f"{whole}{gap}[{'.'.join(map(_quoted, table))}]\n{shown}\n".split("\n")
    else:
        at = _line_of(lines, region, key)
        if at is None:
            lines.insert(_first(lines) if not table else region[0], shown)
        else:
            found = _VALUE.match(lines[at], lines[at].index("=") + 1)
            if found is None:
                raise Spoilt(at + 1, f"{key} is written in a way that this command does not edit")
            lines[at] = lines[at][: found.start(1)] + _rendered(value) + lines[at][found.end(1) :]
    expected = copy.deepcopy(values)
    inner = expected
    for name in table:
        inner = inner.setdefault(name, {})
        if not isinstance(inner, dict):
            raise Spoilt(1, f"{'.'.join(table)} is no table")
    inner[key] = value
    return _checked("\n".join(lines), expected, path)


def remove(text: str, path: Path) -> str:
    """The text without the line of that key. Raises Spoilt."""
    expected = copy.deepcopy(read(text))
    inner: Any = expected
    for name in path[:-1]:
        inner = inner.get(name) if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or inner.pop(path[-1], None) is None:
        return text
    lines = text.split("\n")
    region = _region(lines, tuple(path[:-1]))
    at = None if region is None else _line_of(lines, region, path[-1])
    if at is None:
        raise _unsure(path)
    del lines[at]
    return _checked("\n".join(lines), expected, path)


def _region(lines: list[str], table: tuple[str, ...]) -> tuple[int, int] | None:
    """The lines of a table, from the one after its header; of the root where `table` is empty."""
    start = 0
    if table:
        names = r"\s*\.\s*".join(_name(name) for name in table)
        header = re.compile(rf"\s*\[\s*{names}\s*\]\s*(?:#.*)?$")
        start = next((number for number, line in enumerate(lines, 1) if header.match(line)), 0)
        if not start:
            return None
    return start, next((number for number in range(start, len(lines)) if _HEADER.match(lines[number])), len(lines))


def _line_of(lines: list[str], region: tuple[int, int], key: str) -> int | None:
    pair = re.compile(rf"\s*{_name(key)}\s*=")
    return next((number for number in range(*region) if pair.match(lines[number])), None)


def _first(lines: list[str]) -> int:
    """Where a first line may stand: behind the comments that open the file, where a blank line sets them apart."""
    number = 0
    while number < len(lines) and lines[number].lstrip().startswith("#"):
        number += 1
    return number + 1 if number and number < len(lines) and not lines[number].strip() else 0


def _name(key: str) -> str:
    bare = f"|{re.escape(key)}" if _BARE.fullmatch(key) else ""
    return rf"(?:{re.escape(json.dumps(key))}|'{re.escape(key)}'{bare})"


def _quoted(key: str) -> str:
    return key if _BARE.fullmatch(key) else json.dumps(key)


def _rendered(value: Value) -> str:
    return json.dumps(value, ensure_ascii=False)


def _checked(text: str, expected: dict[str, Any], path: Path) -> str:
    """The text, where it has become what it was meant to."""
    try:
        good = tomllib.loads(text) == expected
    except ValueError:
        good = False
    if not good:
        raise _unsure(path)
    return text


def _unsure(path: Path) -> Spoilt:
    return Spoilt(1, f"{'.'.join(path)} is written in a way that this command does not edit")
