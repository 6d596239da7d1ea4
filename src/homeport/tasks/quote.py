"""Quote: a text that must stand, letter by letter, in what the model was given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Quote(str):
    """A str that must stand verbatim in the input: `name: Quote | None` in the result type of a task.

    A value that does not is a fault of the answer, never passed on. Engines that take a grammar (llama.cpp, vLLM) can write nothing else.
    """

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """How pydantic, where it is used, checks one: the sources come as the validation's context."""
        from pydantic_core import core_schema

        def check(value: str, info: Any) -> Quote:
            sources = (info.context or {}).get("sources")
            return cls(value) if sources is None else anchored(value, sources)

        return core_schema.with_info_after_validator_function(check, core_schema.str_schema())

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return dict(SCHEMA)


class Unanchored(ValueError):
    """A value that is no Quote of the input; the message is without the value."""


SCHEMA = {"type": "string", "format": "quote"}  # how a Quote is marked in schemas; engines get it without the mark


def anchored(value: object, sources: Sequence[str]) -> Quote:
    """`value` as a Quote. Raises Unanchored where it is blank, or stands in none of the sources."""
    if not isinstance(value, str):
        raise Unanchored("is no text")
    if not value.strip():
        raise Unanchored("is empty; what is not there is null")
    if not any(value in source for source in sources):
        raise Unanchored("does not stand in the input word by word")
    return Quote(value)
