"""An owner's pattern: a regular expression of which it is known that no text can make it search for long."""

from __future__ import annotations

import math
import re
import re._parser as parser  # type: ignore[import-not-found]  # the tree of an expression: there is no public way to it
from typing import Any

MAX_CHARS = 200  # of a message that is held against patterns
MAX_PATTERN = 500  # characters of one
MOST_WAYS = 5_000_000  # in which a text of MAX_CHARS may be taken apart; all of them tried are a tenth of a second
FEW = 8  # a repeat of up to so many counts as that many choices
ONE = {"LITERAL", "NOT_LITERAL", "ANY", "IN", "AT"}  # take one character, or none, in one way
REPEATS = {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}


def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern, for the whole of a text, in any case.

    Raises ValueError for what is no regular expression, or one that some text could keep busy: a repeat of what repeats, more than three open
    repeats, look-arounds and back-references.
    """
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"is longer than {MAX_PATTERN} characters")
    try:
        found = re.compile(pattern, re.IGNORECASE)
        tree = parser.parse(pattern, re.IGNORECASE)
    except re.error as error:
        where = f" at character {error.colno}" if error.colno else ""
        raise ValueError(f"is no regular expression: {error.msg}{where}") from None
    except (RecursionError, OverflowError):
        raise ValueError("is no regular expression: it is nested too deeply, or repeats too often") from None
    ways, open_ = _ways(tree)
    if ways * math.comb(MAX_CHARS + open_, open_) > MOST_WAYS:
        raise ValueError(f"leaves too much open: a message could keep it busy for long. Up to three of `*`, `+` and `{{{FEW + 1},}}` are taken")
    return found


def _ways(tree: Any) -> tuple[int, int]:
    """In how many ways it can match, but for its open repeats, and how many of these it has. Raises ValueError."""
    ways, open_ = 1, 0
    for op, value in tree:
        more, opens = _one(str(op), value)
        ways, open_ = min(ways * more, MOST_WAYS + 1), open_ + opens
    return ways, open_


def _one(op: str, value: Any) -> tuple[int, int]:
    if op in ONE:
        return 1, 0
    if op == "SUBPATTERN":
        return _ways(value[3])
    if op == "ATOMIC_GROUP":
        return _ways(value)
    if op == "BRANCH":
        found = [_ways(branch) for branch in value[1]]
        return sum(ways for ways, _ in found), max(opens for _, opens in found)
    if op in REPEATS:
        return _repeat(*value)
    raise ValueError("has a look-around or a back-reference, which are not taken: a message could keep it busy for long")


def _repeat(least: int, most: int, tree: Any) -> tuple[int, int]:
    ways, open_ = _ways(tree)
    if most <= 1:
        return ways + 1, open_
    if len(tree) == 1 and str(tree[0][0]) in ONE:
        return (1, 0) if least == most else (most - least + 1, 0) if most <= FEW else (1, 1)
    raise ValueError("repeats a group more than once, which is not taken: a message could keep it busy for long. Repeat single characters, such as `[\\w ]+`")
