"""What OpenAI's requests share when they cross to another dialect: fields sorted out, pictures, levels of thinking."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from homeport.errors import Malformed, Uncarried
from homeport.wire.body import misfit
from homeport.wire.normal import Image

_encode = msgspec.json.Encoder().encode
_NULL = Raw(b"null")
_DATA = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w.+-]+=[^;,]*)*;base64,", re.IGNORECASE)
_T = TypeVar("_T")


def sort_out(fields: dict[str, Raw], decoder: msgspec.json.Decoder[_T]) -> _T:
    """The fields as the decoder's Struct, which declares what is carried and what is a hint, and forbids all else.

    A null counts as absent. Raises Uncarried for a field it does not declare, Malformed for one of the wrong type.
    """
    try:
        return decoder.decode(_encode({name: raw for name, raw in fields.items() if raw != _NULL}))
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        if "unknown field" not in what:
            raise misfit(str(error)) from None
        name = what.split("`")[1]
        path = f"{where.rstrip('`').removeprefix('.')}.{name}".removeprefix(".")
    raise uncarried(path, "Homeport does not know it, so it cannot say it in another dialect")


def uncarried(param: str, why: str, fix: str = "Leave it out") -> Uncarried:
    """The refusal of a field that has no counterpart where the request goes."""
    return Uncarried(f"`{param}` cannot be carried over to this model's backend: {why}. {fix}.", param=param)


def picture(url: str, param: str) -> Image:
    """The picture of an image URL: a data: URL with base64 in it, or an address. Raises Malformed for anything else."""
    match = _DATA.match(url)
    if match is not None:
        return Image(data=url[match.end() :], media_type=(match[1] or "").lower())
    if url.startswith(("http://", "https://")):
        return Image(url=url)
    raise Malformed(f"`{param}` is neither an http address nor a data: URL in base64. Send `data:image/png;base64,…`.", param=param)


def effort(level: str | None) -> bool | str | None:
    """OpenAI's `reasoning_effort` as the normal form has it: "none" is no thinking at all."""
    return False if level == "none" else level or None


def json_text(value: Any) -> str:
    """A value as JSON text."""
    return _encode(value).decode()
