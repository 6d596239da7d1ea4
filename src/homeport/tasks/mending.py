"""Mends what is nearly JSON, and gives it up where that would lose, add or cut anything."""

from __future__ import annotations

import json
import re
from typing import Any

from homeport.tasks.fault import Fault

MAX_CHARS = 32_768  # of what is mended: it takes a while
_WORDS = {"true": "true", "false": "false", "null": "null", "none": "null", "undefined": "null", "nil": "null"}
_TOKEN = re.compile(
    r"""(?P<gap>\s*)(?:(?P<sign>[{}\[\],:])|(?P<number>-?\d[\w.+-]*)|(?P<word>[^\W\d]\w*)
    |"(?P<double>[^"\\]*(?:\\.[^"\\]*)*)"|'(?P<single>[^'\\]*(?:\\.[^'\\]*)*)'|“(?P<curly>[^”\\]*(?:\\.[^”\\]*)*)”)""",
    re.DOTALL | re.VERBOSE,
)
_ESCAPED = re.compile(r"\\.|\"", re.DOTALL)
_KEY = re.compile(r"\s*:")
_BRACKETS = re.compile(r"[\[\]{}]")
_TIGHT, _LOOSE = re.compile(r"\d,\d"), re.compile(r",\s")  # both in one list: 1,250 may be a number there
_decode = json.JSONDecoder(strict=False).decode


def mended(region: str, *, closed: bool) -> Any:
    """What an object or a list was meant to say, by json-repair. `closed`: its last bracket is there.

    Only the shape is mended: quotes, commas, Python's words. Every text, number, word and bracket must be the same before and after,
    with the same borders and in the same order; and where the end is missing, it may lack nothing but the brackets of objects. Raises Fault.
    """
    if len(region) > MAX_CHARS:
        raise Fault("json", f"what is no JSON is longer than {MAX_CHARS:,} characters")
    if not closed:
        region = _closed(region)
    try:
        said = _tokens(region)
        _decode("".join(said))  # ahead of the library, which takes long over what cannot be mended
    except (RecursionError, ValueError):
        raise Fault("json", "what stands there is no JSON, and can be read in several ways or in none") from None
    from json_repair import repair_json  # only where an answer is broken

    try:
        value = repair_json(region, return_objects=True)
        made = _tokens(json.dumps(value, allow_nan=False))
    except (RecursionError, ValueError):
        raise Fault("json", "what stands there is no JSON") from None
    if said != made:
        raise Fault("json", "what stands there is no JSON, and mending it would change it")
    return value


def _closed(region: str) -> str:
    """A truncated region with its brackets closed. Raises Fault where more than closing brackets of objects is missing.

    A text, a number or a list that is cut looks whole once it is closed, but is not: what came after is lost.
    """
    cut = Fault("truncated", "the answer ends in the middle")
    stack: list[str] = []
    quoted = escaped = False
    for sign in region:
        if quoted:
            quoted = escaped or sign != '"'
            escaped = not escaped and sign == "\\"
        elif sign == '"':
            quoted = True
        elif sign in "{[":
            stack.append(sign)
        elif sign in "}]" and stack:
            stack.pop()
    if quoted or "[" in stack or re.search(r"(?:[\"}\]]|\btrue|\bfalse|\bnull)\s*\Z", region) is None:
        raise cut
    return region + "}" * len(stack)


def _tokens(region: str) -> list[str]:
    """What a region says, as the tokens of JSON: a comma too many left out, one that lacks before a quoted key put in, quotes around keys.

    Raises ValueError for what is none, and where its borders can be read in several ways, as with an apostrophe amid a text in apostrophes.
    """
    found: list[str] = []
    outside: list[str] = []  # all but the texts
    at = 0
    while (match := _TOKEN.match(region, at)) is not None:
        at = match.end()
        kind = str(match.lastgroup)
        token, before = _token(kind, match[kind]), found[-1] if found else ""
        if kind == "word" and token[0] == '"' and not _KEY.match(region, at):
            raise ValueError("a text without quotes has no borders")
        if token in ("}", "]") and before == "," and found[-2] not in ("{", "[", ",", ":"):
            found.pop()
        elif match["gap"] and kind in ("double", "single", "curly") and before not in ("{", "[", ",", ":") and _KEY.match(region, at):
            found.append(",")
        found.append(token)
        outside.append(match[0] if kind in ("sign", "number") else match["gap"] + '"')
    if region[at:].strip() or any(_TIGHT.search(part) and _LOOSE.search(part) for part in _BRACKETS.split("".join(outside))):
        raise ValueError("no JSON")
    return found


def _token(kind: str, said: str) -> str:
    """One token as JSON writes it. Raises ValueError."""
    if kind == "sign":
        return said
    if kind == "word":
        return _WORDS.get(said.casefold()) or json.dumps(said)
    if kind != "number":
        said = f'"{_ESCAPED.sub(_escaped, said)}"'
    return json.dumps(_decode(said), allow_nan=False)


def _escaped(match: re.Match[str]) -> str:
    return {"\\'": "'", '"': '\\"'}.get(match[0], match[0])
