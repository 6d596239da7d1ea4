"""Where recorded exchanges are found: the distilled ones of the repository, and the full captures where a checkout has them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from homeport.testing.replay import LEFT_OUT, Row, read_rows
from homeport.vocabulary import Surface

FIXTURES = Path(__file__).parent / "fixtures"
SURPRISES = FIXTURES / "surprises.jsonl"
SPEAKS = {"/v1/chat/completions": "openai", "/v1/completions": "openai", "/v1/messages": "anthropic", "/api/chat": "ollama", "/api/generate": "ollama"}


@cache
def surprises() -> dict[str, Row]:
    """What engines do that a caller would not expect, a few events each, by name."""
    return {row.name: row for row in read_rows(SURPRISES)}


@cache
def recorded() -> dict[str, Row]:
    """All distilled rows: the surprises, Ollama's own API, and what engines say on `/v1/messages` and of tools."""
    return {row.name: row for name in ("surprises", "ollama", "dialects") for row in read_rows(FIXTURES / f"{name}.jsonl")}


def said(row: Row) -> bytes:
    """The body of a recorded response, without what was left out of it."""
    return "".join(text for _, text in row.response.pieces if not LEFT_OUT.fullmatch(text)).encode()


def is_stream(row: Row) -> bool:
    """Whether it is a stream of an answer in a dialect that backends speak."""
    kinds = [value for name, value in row.response.headers if name.lower() == "content-type"]
    streams = any(kind.startswith(("text/event-stream", "application/x-ndjson")) for kind in kinds)
    return row.response.status == 200 and streams and row.request.path in SPEAKS and isinstance(row.request.body, dict)


def one_answer(row: Row) -> bool:
    """Whether one answer was asked for, and not several side by side, which no other dialect than OpenAI's can say."""
    return row.request.body.get("n", 1) == 1 and not isinstance(row.request.body.get("prompt"), list)


def dialect_of(row: Row) -> str:
    """The dialect that a row's engine speaks in it."""
    return SPEAKS[row.request.path]


def surface_of(row: Row) -> Surface:
    """Where it was asked."""
    return Surface(row.request.path)


def streams(rows: Iterable[Row]) -> dict[str, Row]:
    """Those of the rows that are streams, by name."""
    return {row.name: row for row in rows if is_stream(row)}


def captures_folder() -> Path | None:
    """`$CAPTURES`, else `../shared/captures` beside the repository, else None."""
    given = os.environ.get("CAPTURES")
    folder = Path(given) if given else Path(__file__).parents[2] / "shared" / "captures"
    return folder if folder.is_dir() else None


@cache
def _read(path: Path) -> dict[str, Row]:
    return {row.name: row for row in read_rows(path)}


def captured(engine: str) -> dict[str, Row]:
    """All rows of one engine ("llamacpp", "vllm", "ollama") by name; skips the test where there are none."""
    folder = captures_folder()
    if folder is None or not (folder / f"{engine}.jsonl").is_file():
        pytest.skip("no captures of real engines here: set CAPTURES to their folder")
    return _read(folder / f"{engine}.jsonl")
