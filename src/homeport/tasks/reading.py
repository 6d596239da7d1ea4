"""Reads what a model answered: a value of the type asked for, or a Fault; never a value with something lost."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from homeport.tasks.fault import Fault
from homeport.tasks.mending import mended
from homeport.tasks.shapes import Shape

MAX_CHARS = 1_000_000  # of an answer; beyond it nothing is looked at
MAX_PROSE = 200_000  # of one that is no JSON as a whole
MAX_MENDED = 65_536  # of what is mended in one answer
MOST_LONE = 5  # brackets in prose that are never closed
_BRACKET = re.compile(r"[\[{]")
_ANY_BRACKET = re.compile(r"[\[{}\]]")
_TURNING = re.compile(r"\\.|[\"\[{}\]]", re.DOTALL)
_LIST = re.compile(r"\[\s*(?:[\[{\"'“\d-]|(?:true|false|null|none)\b)", re.IGNORECASE)
_FENCE = re.compile(r"^[ \t]*(?P<mark>```+|~~~+)[^\n`]*\n(?P<body>.*?)(?:\n[ \t]*(?P=mark)[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)


def read(text: str, shape: Shape, sources: Sequence[str] = ()) -> Any:
    """The value that stands in an answer. `sources`: the texts that a Quote must stand in.

    First the whole must be JSON. Where it is not: thought at its beginning is cut, then what stands in code fences, then objects and
    lists in prose are looked at; what is no JSON is mended where nothing of it is lost by that. Raises Fault.
    """
    if len(text) > MAX_CHARS:
        raise Fault("json", f"the answer is longer than {MAX_CHARS:,} characters")
    if shape.text:
        return _plain(without_thought(text))
    found, value = _whole(text)
    if not found:
        rest = without_thought(text, before=_BRACKET)
        found, value = _whole(rest)
        if not found:
            value = _inside(rest, shape)
    if isinstance(value, str) and shape.container is not None:  # JSON that was written as a JSON string
        found, inner = _whole(value)
        value = inner if found else value
    elif isinstance(value, str) and shape.words:
        value = _word(value, shape.words) or value
    made = shape.convert(value, sources)
    return _sound(made, value)


def without_thought(text: str, *, before: re.Pattern[str] | None = None) -> str:
    """The answer without `<think>…</think>` at its beginning, or anywhere ahead of what `before` finds.

    Raises Fault where it ends before the thought does.
    """
    head, tag, rest = text.partition("</think>")  # its first half is left out by templates that begin with it
    if tag and "<think>" not in head and (before is None or before.search(head) is None):
        text = rest
    kept: list[str] = []
    begin = 0
    while (at := text.find("<think>", begin)) >= 0:
        if text[begin:at].strip() if before is None else before.search(text, begin, at):
            break
        end = text.find("</think>", at)
        if end < 0:
            raise Fault("truncated", "the answer ends while the model still thinks")
        kept.append(text[begin:at])
        begin = end + len("</think>")
    return "".join(kept) + text[begin:]


def parsed(text: str) -> Any:
    """JSON by the letter, where every field counts. Raises ValueError: also for a key that comes twice, NaN, and numbers beyond floats."""
    try:
        return _decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _whole(text: str) -> tuple[bool, Any]:
    """Whether all of it is JSON, and what it says."""
    try:
        return True, parsed(text.strip().removeprefix("\ufeff"))
    except _Twice:
        raise Fault("json", "a field comes twice") from None
    except ValueError:
        return False, None


def _plain(text: str) -> str:
    answer = text.strip()
    if not answer:
        raise Fault("empty", "the answer has no text")
    return str(_sound(answer, answer))


def _inside(text: str, shape: Shape) -> Any:
    """The one value in an answer that is not JSON as a whole. Raises Fault where there is none, or two that differ."""
    if not text.strip():
        raise Fault("empty", "the answer has no text")
    if shape.container is None:
        return _small(text, shape)
    if len(text) > MAX_PROSE:
        raise Fault("json", f"an answer of more than {MAX_PROSE:,} characters is no JSON as a whole")
    values: list[Any] = []
    left = MAX_MENDED
    beside = False  # another container with objects in it: which was meant is not ours to guess
    for region, closed in regions(text):
        found, value = _whole(region) if closed else (False, None)
        if not found:
            if region.startswith("[") and shape.container is dict and "{" not in region:  # a remark in prose
                continue
            if left <= 0:
                raise Fault("json", f"more than {MAX_MENDED:,} characters of the answer are no JSON")
            left -= len(region)
            value = mended(region, closed=closed)
        if not isinstance(value, shape.container):
            beside = beside or "{" in region
        elif not any(_same(value, other) for other in values):
            values.append(value)
    if len(values) > 1 or (values and beside):
        raise Fault("several", "different answers in one")
    if not values:
        raise Fault("json", "there is no JSON in the answer")
    return values[0]


def _small(text: str, shape: Shape) -> Any:
    """A number, a truth value, a word: alone in a fence, or bare where only some words are allowed."""
    fenced = [match["body"] for match in _FENCE.finditer(text)]
    values = [value for body in fenced for found, value in [_whole(body)] if found]
    bare = [word for word in (*fenced, text) for word in [_word(word, shape.words)] if word is not None]
    values += [word for word in bare if word not in values]
    if not values:
        raise Fault("json", "there is no JSON in the answer")
    if any(not _same(value, values[0]) for value in values):
        raise Fault("several", f"{len(values)} different answers in one")
    return values[0]


def _word(text: str, words: Sequence[str]) -> str | None:
    """The allowed word that a text is, but for its case, quotes and a full stop."""
    said = text.strip().strip("\"'`*“”‘’").rstrip(".!").strip("\"'`*“”‘’").casefold()
    found = [word for word in words if word.casefold() == said]
    return found[0] if len(found) == 1 else None


def regions(text: str) -> Iterator[tuple[str, bool]]:
    """Each outermost `{…}` and `[…]` of a text, and whether it is closed; brackets inside of strings do not count.

    Raises Fault where brackets do not match, or one is closed that was never opened: what belongs together cannot be told then.
    """
    at = lone = 0
    while (found := _ANY_BRACKET.search(text, at)) is not None:
        begin = found.start()
        if text[begin] in "}]":
            raise Fault("json", "brackets do not match")
        end = _end(text, begin)
        if end is None:
            if text[begin] == "[" and _LIST.match(text, begin) is None:  # in prose a lone bracket is no list
                at, lone = begin + 1, lone + 1
                if lone > MOST_LONE:
                    raise Fault("json", "brackets do not match")
                continue
            yield _before_fence(text[begin:]), False
            return
        yield text[begin:end], True
        at = end


def _end(text: str, begin: int) -> int | None:
    """Behind the bracket that closes the one at `begin`, or None. Raises Fault where another kind does."""
    stack: list[str] = []
    quoted = False
    for found in _TURNING.finditer(text, begin):
        sign = found[0]
        if sign == '"':
            quoted = not quoted
        elif quoted or len(sign) > 1:  # an escaped sign
            continue
        elif sign in "{[":
            stack.append("}" if sign == "{" else "]")
        elif stack.pop() != sign:
            raise Fault("json", "brackets do not match")
        elif not stack:
            return found.end()
    return None


def _before_fence(text: str) -> str:
    return re.split(r"\n[ \t]*(?:```|~~~)[ \t]*(?:\n|\Z)", text, maxsplit=1)[0]


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON, where true is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _sound(made: Any, value: Any) -> Any:
    """`made`, where its text can be sent. Raises Fault for half of a character."""
    try:
        _encode(value).encode()
    except UnicodeEncodeError:
        raise Fault("unicode", "the answer has half of a character in it") from None
    return made


class _Twice(ValueError):
    """An object with a key that comes twice."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _Twice("a key comes twice")
    return made


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number beyond what a float holds")
    return value


# made once: `json.loads` and `json.dumps` make another for each call that says how
_decode = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant, parse_float=_number, strict=False).decode
_encode = json.JSONEncoder(ensure_ascii=False).encode
