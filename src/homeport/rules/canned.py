"""What code answers in place of a model: exact texts, patterns, and look-ups in an owner's data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from homeport.settings import AnswerSettings
from homeport.settings.answers import DATA, Part, parts
from homeport.settings.patterns import MAX_CHARS, compiled


class Canned:
    """The answers that need no model, by the names of the models they stand for; false where there are none."""

    def __init__(self, told: Iterable[AnswerSettings] = (), contents: Mapping[Path, Any] | None = None) -> None:
        """`contents`: what the file of each answer holds."""
        self._of: dict[str, list[_Rule]] = {}
        for answer in told:
            rule = _Rule(answer, (contents or {}).get(answer.data) if answer.data is not None else None)
            for model in answer.models:
                self._of.setdefault(model.removesuffix(":latest"), []).append(rule)

    def __bool__(self) -> bool:
        return bool(self._of)

    def covers(self, model: str) -> bool:
        """Whether there are any for this name."""
        return model.removesuffix(":latest") in self._of

    def reply(self, model: str, text: str) -> str | None:
        """The reply to a message, by the first rule that has one; None where a model is to answer."""
        if len(text) > MAX_CHARS:
            return None
        said = " ".join(text.split())
        for rule in self._of.get(model.removesuffix(":latest"), ()):
            if (reply := rule.reply(said)) is not None:
                return reply
        return None


class _Rule:
    """One `[answers.NAME]`."""

    def __init__(self, told: AnswerSettings, held: Any) -> None:
        self._exact = frozenset(_folded(text) for text in told.exact)
        self._pattern = compiled(told.pattern) if told.pattern is not None else None
        self._parts = parts(told.reply)
        self._held = held

    def reply(self, said: str) -> str | None:
        """Its reply to a message whose spaces are single; None where it has none."""
        groups: dict[str, str | None] = {}
        if _folded(said) not in self._exact:
            found = self._pattern.fullmatch(said) if self._pattern is not None else None
            if found is None:
                return None
            groups = found.groupdict()
        pieces = [self._piece(part, groups) for part in self._parts]
        return None if None in pieces else "".join(piece for piece in pieces if piece is not None)

    def _piece(self, part: Part, groups: Mapping[str, str | None]) -> str | None:
        if isinstance(part, str):
            return part
        if part[0] != DATA:
            return groups.get(part[0]) or ""
        return written(looked_up(self._held, [groups[step] or "" if step in groups else step for step in part[1:]]))


def looked_up(held: Any, path: Sequence[str]) -> Any:
    """What stands there, None where nothing does. A key is found by its letters, else by the only one that differs in case alone."""
    for step in path:
        if not isinstance(held, dict):
            return None
        keys = [step] if step in held else [key for key in held if _folded(key) == _folded(step)]
        if len(keys) != 1:
            return None
        held = held[keys[0]]
    return held


def written(value: Any) -> str | None:
    """A text as it is; a list an entry a line, a table the names in it; anything else as JSON. None stays None."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "\n".join(map(str, value))
    if isinstance(value, list):
        return "\n".join(written(entry) or "" if not isinstance(entry, dict | list) else _json(entry) for entry in value)
    return _json(value)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
