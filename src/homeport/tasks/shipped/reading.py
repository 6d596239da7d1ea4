"""The tasks that read a text: classify, extract, ask."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from homeport.errors import Malformed
from homeport.tasks.declared import Task, planned
from homeport.tasks.plan import Call
from homeport.tasks.quote import Quote
from homeport.tasks.shapes import Shape
from homeport.tasks.shipped import prompts

MOST = 100  # labels or fields


class Answer(Struct):
    """What the context says, word by word, or null."""

    answer: Quote | None


@planned(str)
def classify(task: Task[Any, Any], text: str, labels: list[str] = list(prompts.LABELS)) -> Call:  # noqa: B006  # never changed, and shown in the schema
    """Which of the labels fits the text?"""
    names = _names("labels", labels)
    return task.asked(prompts.classify(text, names), shape=_labels(names))


@planned(dict[str, Quote | None])
def extract(task: Task[Any, Any], text: str, fields: list[str] = list(prompts.FIELDS)) -> Call:  # noqa: B006  # likewise
    """Each field as it stands in the text, or null."""
    names = _names("fields", fields)
    if any(sign in '"\\' or sign < " " for name in names for sign in name):
        raise Malformed("`fields` takes names without quotation marks, backslashes, line breaks and other control characters.", param="input")

    def take(value: Any) -> dict[str, Quote | None]:
        return dict(zip(names, msgspec.structs.astuple(value), strict=True))

    return task.asked(prompts.extract(text, names), shape=_fields(names), sources=[text], take=take)


@planned(Answer)
def ask(task: Task[Any, Any], question: str, context: str) -> Call:
    """The answer as the context says it, or null where it does not."""
    return task.asked(prompts.ask(question, context), sources=[context])


def _names(what: str, given: Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        raise Malformed(f"`{what}` takes a list of texts, not one text.", param="input")
    if not 1 <= len(given) <= MOST or len(set(given)) != len(given) or not all(name.strip() for name in given):
        raise Malformed(f"`{what}` takes 1 to {MOST} different texts.", param="input")
    return tuple(given)


@functools.lru_cache(maxsize=64)
def _labels(names: tuple[str, ...]) -> Shape:
    return Shape(Literal[names])


@functools.lru_cache(maxsize=64)
def _fields(names: tuple[str, ...]) -> Shape:
    places = {f"field_{number}": name for number, name in enumerate(names)}
    return Shape(msgspec.defstruct("Fields", [(place, Quote | None) for place in places], rename=places))
