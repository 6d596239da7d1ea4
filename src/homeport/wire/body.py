"""A request's body, read once: what every dialect does with it before it looks at its own fields."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw

from homeport.errors import Malformed, UnknownModel

MAX_DEPTH = 96  # nested arrays and objects; engines parse recursively
MAX_NAME = 256  # characters of a model's name
_STRING = re.compile(rb'"(?:[^"\\]+|\\.)*+"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_ALIKE = bytes.maketrans(b"{}", b"[]")
_fields = msgspec.json.Decoder(dict[str, Raw])

Reading = tuple[dict[str, Raw], str, bool, bool, int]
"""A body that was read: its raw fields, the model, whether a stream and its usage are wanted, the prompt's characters."""


def decode(body: bytes, decoder: msgspec.json.Decoder[Any]) -> tuple[dict[str, Raw], Any]:
    """Its top-level fields as raw JSON, and what `decoder` makes of it.

    Raises Malformed: not JSON, nested deeper than MAX_DEPTH, or a field of the wrong type; `param` names the field.
    """
    check_depth(body)
    try:
        body.decode()  # what stays raw is not looked at below
        return _fields.decode(body), decoder.decode(body)
    except msgspec.ValidationError as error:
        raise misfit(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"The body is not valid JSON: {error}. Send one JSON object.", code="invalid_json") from None
    except RecursionError:
        raise _too_deep() from None


def value(raw: Raw) -> Any:
    """What a raw field holds. Raises Malformed for what passes as JSON until it is read: a number beyond all floats."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"A field of the body cannot be read: {error}. Send it as JSON that fits.", code="invalid_json") from None


def check_name(model: str) -> None:
    """Raises Malformed where no model is named, UnknownModel for a name that nothing can have."""
    if not model:
        raise Malformed("`model` is empty. Name a model; GET /v1/models lists them.", param="model")
    if len(model) > MAX_NAME:
        raise UnknownModel(f"No model has a name of more than {MAX_NAME} characters. GET /v1/models lists what is served.")


def check_depth(body: bytes) -> None:
    """Peel the brackets from the inside, a level a turn. Raises Malformed where some are left after MAX_DEPTH."""
    if body.count(b"{") + body.count(b"[") <= MAX_DEPTH:
        return
    brackets = _STRING.sub(b"", body).translate(_ALIKE, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        inner = brackets
        brackets = brackets.replace(b"[]", b"")
        if len(brackets) == len(inner):  # all closed, or unbalanced: the decoder will say so
            return
    if brackets:
        raise _too_deep()


def _too_deep() -> Malformed:
    return Malformed(f"The body is nested deeper than {MAX_DEPTH} levels. Flatten it.", code="too_deep")


def misfit(message: str) -> Malformed:
    """msgspec's "Expected `int`, got `str` - at `$.max_tokens`", as an error that names the field."""
    what, _, where = message.partition(" - at `$")
    path = where.rstrip("`").removeprefix(".") or None
    if path is None and "missing required field" in what:
        path = what.rpartition("field `")[2].rstrip("`")
        return Malformed(f"`{path}` is missing. It is required here.", param=path)
    if "missing required field" in what:
        path = f"{path}.{what.rpartition('field `')[2].rstrip('`')}"
        return Malformed(f"`{path}` is missing. It is required here.", param=path)
    return Malformed(f"`{path}`: {what[0].lower()}{what[1:]}." if path else f"The body: {what[0].lower()}{what[1:]}.", param=path)
