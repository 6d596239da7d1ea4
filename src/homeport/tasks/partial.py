"""The object so far: JSON that is still being written, as far as it can be shown."""

from __future__ import annotations

import json
from typing import Any

_OPEN, _SHUT = "<think>", "</think>"


class Growing:
    """The same for plain text: what was said so far, without thought; with `thought` kept, all of it as it is."""

    def __init__(self, *, thought: bool = False) -> None:
        self._kept = thought
        self._pieces: list[str] = []
        self._length = self._look_at = 0

    def take(self, piece: str) -> str | None:
        """The text with `piece`; None while the model still thinks, and where a long text grew by little."""
        self._pieces.append(piece)
        self._length += len(piece)
        if self._length < self._look_at:
            return None
        self._look_at = self._length * 65 // 64  # as below: all that is shown of a text is linear in it
        text = "".join(self._pieces)
        self._pieces = [text]
        if not _whole(text):
            return None
        if self._kept:
            return text or None
        if _OPEN.startswith(text.lstrip()[: len(_OPEN)]) and _SHUT not in text:
            return None
        return text.rpartition(_SHUT)[2].lstrip() or None


class Partial:
    """Takes the pieces of a stream; `value` is what they say so far. What it shows is not checked, and may still change."""

    def __init__(self) -> None:
        self._text = ""
        self._ahead = ""  # thought, a fence or prose that may stand before it
        self._stack: list[str] = []
        self._quoted = self._escaped = self._begun = False
        self._name_at: int | None = None  # where a name began whose value is not whole yet
        self._named = True  # the next text in an object is a name
        self._shown: Any = None
        self._look_at = 0

    def take(self, piece: str) -> Any:
        """The value with `piece`, where it says more than before, else None."""
        if not self._begun:
            self._ahead += piece
            if "<think>" in self._ahead and "</think>" not in self._ahead:
                return None
            piece = self._ahead.rpartition("</think>")[2]
            begin = min((at for at in (piece.find("{"), piece.find("[")) if at >= 0), default=-1)
            if begin < 0:
                return None
            self._begun, piece = True, piece[begin:]
        elif not self._stack:  # it is whole
            return None
        for at, sign in enumerate(piece, 1):
            self._step(sign, len(self._text) + at)
            if not self._stack:
                piece = piece[:at]
                break
        self._text += piece
        if self._stack and len(self._text) < self._look_at:
            return None
        self._look_at = len(self._text) * 65 // 64  # a long text is looked at less often, so that all looks together stay linear
        value = self._value()
        if value is None or value == self._shown:
            return None
        self._shown = value
        return value

    def _step(self, sign: str, length: int) -> None:
        if self._quoted:
            self._quoted = self._escaped or sign != '"'
            self._escaped = not self._escaped and sign == "\\"
        elif sign == '"':
            self._quoted = True
            if self._named and self._stack and self._stack[-1] == "}":
                self._name_at = length - 1
                self._named = False
        elif sign in "{[":
            self._stack.append("}" if sign == "{" else "]")
            self._named, self._name_at = sign == "{", None
        elif sign in "}]" and self._stack:
            self._stack.pop()
            self._name_at = None
        elif sign == ",":
            self._named, self._name_at = bool(self._stack) and self._stack[-1] == "}", None

    def _value(self) -> Any:
        """With the brackets closed: the last value as far as it came, or, where that cannot be shown, without its name."""
        text = self._text[:-1] if self._quoted and self._escaped else self._text
        ways = [text + '"' if self._quoted else text.rstrip().rstrip(",")]
        if self._name_at is not None:
            ways.append(text[: self._name_at].rstrip().rstrip(","))
        for way in ways:
            try:
                value = json.loads(way + "".join(reversed(self._stack)), strict=False)
            except (ValueError, RecursionError):
                continue
            if _whole(json.dumps(value, ensure_ascii=False) if "\\u" in way else way):
                return value
        return None


def _whole(text: str) -> bool:
    """Whether no character of it is a half, which cannot be shown."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
