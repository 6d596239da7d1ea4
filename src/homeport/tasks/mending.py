"""Mends what is nearly JSON, and gives it up where that would lose, add or cut anything."""

from __future__ import annotations

import json
import re
from typing import Any

from homeport.tasks.fault import Fault

MAX_CHARS = 32_768  # of what is mended: it takes a while
_EMPTY = r"\"\"|''|“”"  # an empty text: one that was not written may not come of it
_WORDS = {"none": "null", "undefined": "null", "nil": "null"}


def mended(region: str, *, closed: bool) -> Any:
    """What an object or a list was meant to say, by json-repair. `closed`: its last bracket is there.

    Only the shape is mended: quotes, commas, brackets, Python's words. All other signs must be the same before and after, in the
    same order; and where the end is missing, it may lack nothing but the brackets of objects. Raises Fault.
    """
    if len(region) > MAX_CHARS:
        raise Fault("json", f"what is no JSON is longer than {MAX_CHARS:,} characters")
    if not closed:
        region = _closed(region)
    from json_repair import repair_json  # only where an answer is broken

    try:
        value = repair_json(region, return_objects=True)
    except (RecursionError, ValueError):
        raise Fault("json", "what stands there is no JSON") from None
    made = json.dumps(value, ensure_ascii=False)
    odd = len(re.findall(r'(?<!\\)"', region)) % 2  # one of the texts has no end: where it ended is a guess
    if odd or _kept(region) != _kept(made) or len(re.findall(_EMPTY, made)) > len(re.findall(_EMPTY, region)):
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


def _kept(text: str) -> str:
    """A text without what JSON is punctuated with: blanks, quotes, brackets, commas, colons and backslashes."""
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    text = re.sub(r"\\[nrtbf]", " ", text)
    bare = re.sub(r"[\s\"'“”‘’`{}\[\],:\\]+", "\x00", text)
    return "".join(_WORDS.get(word.casefold(), word.casefold()) for word in bare.split("\x00"))
