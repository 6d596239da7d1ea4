"""The journal's lines: one JSON object each, `{"started": {…}}` before dispatch and `{"settled": {…}}` at the end.

    {"started": {"id", "ts", "key", "app", "dialect", "asked", "stream", "prompt_chars"}}
    {"settled": {every field of a Receipt}}

Readers take what they know: a field that a line lacks has its empty value, one that they do not know is passed over,
and so is a whole line of another kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from homeport.vocabulary import Receipt

COLUMNS: tuple[str, ...] = Receipt.__struct_fields__  # of the ledger too, in this order
LARGEST = 2**63 - 1  # what an INTEGER of SQLite holds


class Started(Struct, frozen=True, gc=False):
    """An Ask that is about to be dispatched. `ts` is when it arrived, seconds since the epoch, as in its Receipt."""

    id: str
    ts: float
    key: str | None
    app: str | None
    dialect: str
    asked: str
    stream: bool
    prompt_chars: int


class StartedLine(Struct, frozen=True, gc=False):
    """`{"started": {…}}`."""

    started: Started


class SettledLine(Struct, frozen=True, gc=False):
    """`{"settled": {…}}`."""

    settled: Receipt


_encoder = msgspec.json.Encoder()


def encoded(lines: Sequence[StartedLine | SettledLine]) -> bytes:
    """Lines as bytes, each with its newline. Text that UTF-8 cannot hold is bent, never refused."""
    try:
        return _encoder.encode_lines(lines)
    except (UnicodeEncodeError, OverflowError):
        return _encoder.encode_lines([bent(line) for line in lines])


def bent(value: Any) -> Any:
    """`value` as plain objects, with lone surrogates replaced and integers beyond 64 bits at their limit."""
    if isinstance(value, Struct):
        value = msgspec.structs.asdict(value)
    if isinstance(value, dict):
        return {key: bent(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [bent(inner) for inner in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, int) and not isinstance(value, bool):
        return max(-LARGEST, min(LARGEST, value))
    return value
