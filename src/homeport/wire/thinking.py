"""Thinking that an engine left in the text of its answer, between tags, told apart from the answer."""

from __future__ import annotations

import enum

_OPENINGS = ("<think>", "<thinking>")


class _At(enum.Enum):
    """Where in the answer the splitter stands."""

    START = enum.auto()  # nothing but blanks, or a part of an opening tag
    FRESH = enum.auto()  # behind the opening tag, and nothing but blanks since
    THINKING = enum.auto()
    BEHIND = enum.auto()  # behind the closing tag, and nothing but blanks since
    TEXT = enum.auto()


class Splitter:
    """Takes the text of one answer in pieces, cut anywhere, and gives back what is answer and what is thinking.

    Only an answer that begins with `<think>` or `<thinking>`, after blanks at most, has thinking in it: the same tags
    further on are what the model talks about. The tags go, and so do the blanks beside them.
    """

    __slots__ = ("_at", "_closing", "_held")

    def __init__(self) -> None:
        self._at = _At.START
        self._closing = ""
        self._held = ""  # blanks and parts of tags that the next piece decides about

    @property
    def settled(self) -> bool:
        """Whether all that comes from now on is answer."""
        return self._at is _At.TEXT

    def feed(self, piece: str) -> tuple[str, str]:
        """What is known now: (answer, thinking)."""
        if self._at is _At.TEXT:
            return piece, ""
        held = self._held + piece
        self._held = ""
        if self._at is _At.START:
            bare = held.lstrip()
            opening = next((tag for tag in _OPENINGS if bare.startswith(tag)), None)
            if opening is None:
                if any(tag.startswith(bare) for tag in _OPENINGS):
                    self._held = held
                    return "", ""
                self._at = _At.TEXT
                return held, ""
            self._closing = "</" + opening[1:]
            self._at = _At.FRESH
            held = bare[len(opening) :]
        thought = ""
        if self._at is _At.FRESH:
            held = held.lstrip()
            if not held:
                return "", ""
            self._at = _At.THINKING
        if self._at is _At.THINKING:
            thought, closing, rest = held.partition(self._closing)
            if not closing:
                sure = _sure(held, self._closing)
                self._held = held[sure:]
                return "", held[:sure]
            thought, held = thought.rstrip(), rest
            self._at = _At.BEHIND
        held = held.lstrip()
        if held:
            self._at = _At.TEXT
        return held, thought

    def end(self) -> tuple[str, str]:
        """What was still held, at the end of the answer or where it is known to have no tags: (answer, thinking)."""
        held, self._held = self._held, ""
        thinking = self._at is _At.THINKING
        self._at = _At.TEXT
        return ("", held) if thinking else (held, "")


def split(text: str) -> tuple[str, str]:
    """A whole answer as (answer, thinking)."""
    splitter = Splitter()
    said, thought = splitter.feed(text)
    rest, more = splitter.end()
    return said + rest, thought + more


def _sure(held: str, closing: str) -> int:
    """How much of the thinking stands before what may be the blanks and the first part of its closing tag."""
    end = len(held)
    for length in range(min(len(closing) - 1, end), 0, -1):
        if held.endswith(closing[:length]):
            end -= length
            break
    return len(held[:end].rstrip())
