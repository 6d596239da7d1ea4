"""Placeholders: what the model must not write is put in by code, literally and in one pass."""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

from homeport.tasks.fault import Fault


class Withheld:
    """Marks an argument that the model is never told."""


Placeholder = Annotated[str, Withheld()]
"""The type of an argument that the model writes as `{name}` and code puts in: `client: Placeholder`."""

_MARK = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_EDGES = re.compile(r"^\W+|\W+$")
_NUMBER = re.compile(r"\d+(?:[.,:/'’-]?\d+| \d{3}(?!\d))*")  # with the signs that group its digits; a date is one, too
_CENTS = re.compile(r"[.,]\d\d\Z")
_UNIT = 4  # letters beside a number that is still one: a currency, or days
_SHORTEST, _SHORTEST_NUMBER = 3, 2  # letters and digits of a value that is looked for in the model's text; a shorter one stands there by chance


def filled(text: str, values: Mapping[str, str]) -> str:
    """`text` with each `{name}` replaced by its value; what a value holds is never looked at again, and any other `{…}` stays."""
    return _MARK.sub(lambda mark: values.get(mark[1], mark[0]), text)


def checked(text: str, values: Mapping[str, str], *, needed: Iterable[str] = ()) -> None:
    """Raises Fault ("placeholder") where the model's text holds a real value, a placeholder that there is none of, or lacks one of `needed`."""
    found = set(_MARK.findall(text))
    if invented := found - values.keys():
        raise Fault("placeholder", "a placeholder that there is none of", f"there is no {', '.join(f'{{{name}}}' for name in sorted(invented))}")
    if missing := [name for name in needed if name not in found]:
        raise Fault("placeholder", f"the placeholder {{{missing[0]}}} is missing")
    bare = _MARK.sub(" ", text)
    if "{" in bare or "}" in bare:
        raise Fault("placeholder", "a brace that belongs to no placeholder", "braces stand around the names of placeholders only")
    bare = _folded(bare)
    numbers = {_digits(number) for number in _NUMBER.findall(bare)}
    for name, value in values.items():
        core = _EDGES.sub("", _folded(value))  # "1,250.00" of "$1,250.00" gives it away, too
        number = _number(core)
        if (number is not None and number in numbers) or (_telling(core) and re.search(rf"(?<!\w){re.escape(core)}(?!\w)", bare)):
            raise Fault("placeholder", f"the value of {{{name}}} was written by the model")


def _folded(text: str) -> str:
    """Without difference of case and of blanks."""
    return " ".join(text.split()).casefold()


def hidden(hint: Any) -> bool:
    """Whether a Placeholder stands somewhere inside of a type."""
    if withheld(hint) or any(hidden(part) for part in typing.get_args(hint)):
        return True
    fields = getattr(hint, "__annotations__", None) if isinstance(hint, type) else None
    if not fields:
        return False
    try:
        return any(hidden(part) for part in typing.get_type_hints(hint, include_extras=True).values() if part is not hint)
    except (NameError, TypeError, RecursionError):
        return False


def withheld(hint: Any) -> bool:
    """Whether a type is Placeholder."""
    return any(isinstance(mark, Withheld) for mark in getattr(hint, "__metadata__", ()))


def throughout(value: Any, change: Callable[[str], str]) -> Any:
    """A decoded JSON value with each of its texts changed, names of fields too. Raises Fault where two then have one name."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [throughout(one, change) for one in value]
    if isinstance(value, dict):
        made = {change(name): throughout(one, change) for name, one in value.items()}
        if len(made) != len(value):
            raise Fault("json", "a field comes twice")
        return made
    return value


def texts(value: Any) -> list[str]:
    """Each text in a decoded JSON value, and each name with a brace: a type's own fields have none."""
    if isinstance(value, dict):
        return [*(name for name in value if "{" in name or "}" in name), *texts(list(value.values()))]
    if isinstance(value, list):
        return [text for inner in value for text in texts(inner)]
    return [value] if isinstance(value, str) else []


def _telling(value: str) -> bool:
    return sum(map(str.isalnum, value)) >= _SHORTEST


def _number(value: str) -> str | None:
    """The digits of a value that is one number, such as an amount with its currency; None for any other, and for a number of one digit."""
    found = _NUMBER.findall(value)
    if len(found) != 1 or sum(map(str.isalpha, value)) > _UNIT:
        return None
    digits = _digits(found[0])
    return digits if len(digits) >= _SHORTEST_NUMBER else None


def _digits(number: str) -> str:
    """A number without what groups its digits, and without cents that are none: "1,250.00" is 1250."""
    cents = _CENTS.search(number)
    whole = "".join(filter(str.isdigit, number[: cents.start()] if cents is not None else number))
    return f"{whole}.{cents[0][1:]}" if cents is not None and cents[0].strip(".,0") else whole
