"""Grammars of quotes: all contiguous runs of words of a text, in a size linear in the text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

# A number with its points and dashes, a word with its accents, a run of blanks, or one other sign. Scripts that put no blank between
# words are taken letter by letter.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_PIECE = re.compile(rf"[{_UNSPACED}]|[0-9]+(?:[.,:/-][0-9]+)+|(?:(?![{_UNSPACED}])[\w\u0300-\u036f])+|\s+|.", re.DOTALL)
MAX_PIECES = 20_000  # about 10,000 words; beyond it no grammar is made, and the check alone holds


class Runs:
    """The suffix automaton of some texts' pieces: it takes every contiguous run of them, and nothing else.

    Each state is the set of places where a run may have got to, so that what comes next is never a guess: one engine state a token. For n
    pieces there are at most 2n states and 3n steps between them (Blumer et al., 1985).
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.steps: list[dict[str, int]] = [{}]
        self.ends: list[bool] = [False]  # whether a run may end there: not on a blank
        self._links = [-1]
        self._lengths = [0]
        for text in texts:
            last = 0
            for piece in pieces(text):
                last = self._extend(last, piece)

    def _extend(self, last: int, piece: str) -> int:
        known = self.steps[last].get(piece)
        if known is not None and self._lengths[known] == self._lengths[last] + 1:  # another text went this way before
            return known
        if known is not None:
            return self._split(last, known, piece)
        state = self._add(self._lengths[last] + 1, {}, piece)
        at = last
        while at >= 0 and piece not in self.steps[at]:
            self.steps[at][piece] = state
            at = self._links[at]
        if at < 0:
            self._links[state] = 0
        else:
            follows = self.steps[at][piece]
            self._links[state] = follows if self._lengths[follows] == self._lengths[at] + 1 else self._split(at, follows, piece)
        return state

    def _split(self, at: int, state: int, piece: str) -> int:
        """A copy of `state` for the shorter runs that lead to it."""
        copy = self._add(self._lengths[at] + 1, dict(self.steps[state]), piece)
        self._links[copy] = self._links[state]
        self._links[state] = copy
        while at >= 0 and self.steps[at].get(piece) == state:
            self.steps[at][piece] = copy
            at = self._links[at]
        return copy

    def _add(self, length: int, steps: dict[str, int], piece: str) -> int:
        self.steps.append(steps)
        self.ends.append(not piece.isspace())
        self._links.append(0)
        self._lengths.append(length)
        return len(self.steps) - 1


def pieces(text: str) -> list[str]:
    """A text as words, blanks and single signs; nothing of it is lost but blanks at its two ends."""
    return _PIECE.findall(text.strip())


def rules(texts: Sequence[str], name: str = "quote") -> list[str] | None:
    """Rules of GBNF for a JSON string that is a run of the texts' words; the first is called `name`.

    Right-linear: each state is one rule, whose alternatives are a piece and the state behind it. None where nothing can be quoted, or
    the texts are longer than MAX_PIECES.
    """
    if sum(len(pieces(text)) for text in texts) > MAX_PIECES:
        return None
    runs = Runs(texts)
    if not any(not piece.isspace() for piece in runs.steps[0]):
        return None
    found = [f'{name} ::= "\\"" {name}-0']
    for state, steps in enumerate(runs.steps):
        ways = [f"{literal(said(piece))} {name}-{target}" for piece, target in steps.items() if state or not piece.isspace()]
        if runs.ends[state]:
            ways.append('"\\""')
        found.append(f"{name}-{state} ::= {' | '.join(ways)}")
    return found


def said(piece: str) -> str:
    """A piece as it stands in a JSON string."""
    return json.dumps(piece, ensure_ascii=False)[1:-1]


def literal(text: str) -> str:
    """A text as a literal of GBNF."""
    signs = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(signs.get(sign) or (sign if sign.isprintable() else _code(sign)) for sign in text) + '"'


def _code(sign: str) -> str:
    number = ord(sign)
    return f"\\x{number:02x}" if number < 0x80 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def every_run(text: str) -> Iterator[str]:
    """Each run that the rules of one text allow; quadratic, for tests and short texts."""
    found = pieces(text)
    for begin, first in enumerate(found):
        for end in range(begin, len(found)):
            if not first.isspace() and not found[end].isspace():
                yield "".join(found[begin : end + 1])
