"""What a task says to a model where its prompt is a docstring: the docstring, what an answer looks like, the arguments."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from homeport.tasks.shapes import Shape, plain


def prompt(instructions: str, shape: Shape, arguments: Mapping[str, Any], placeholders: Iterable[str] = ()) -> str:
    """One message: nothing in it is replaced or formatted, so no argument can change what stands before it."""
    marks = ", ".join(f"{{{name}}}" for name in placeholders)
    kept = f"Write each of these placeholders where its value belongs, letter by letter: {marks}" if marks else ""
    parts = [instructions, kept, _wanted(shape), *(f"{name}: {written(value)}" for name, value in arguments.items())]
    return "\n\n".join(part for part in parts if part)


def _wanted(shape: Shape) -> str:
    if shape.text:
        return ""
    if shape.words:
        return f"Answer with one of these, as a JSON string: {', '.join(shape.words)}"
    copied = " Copy quotes exactly as they stand in the text; what is not there is null." if shape.quotes else ""
    return f"Answer with JSON of this schema, and nothing else.{copied}\n{shape.compact}"


def written(value: Any) -> str:
    """A text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False)


def sources(values: Iterable[Any]) -> list[str]:
    """Every text in the arguments of a call: what a Quote may be taken from."""
    found: list[str] = []
    for value in values:
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, Mapping):
            found += sources(value.values())
        elif isinstance(value, list | tuple | set | frozenset):
            found += sources(value)
        elif value is not None and not isinstance(value, bool | int | float):
            found += sources([plain(value)])
    return found
