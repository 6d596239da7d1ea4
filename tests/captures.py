"""Where recorded exchanges are found: the distilled ones of the repository, and the full captures where a checkout has them."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest

from homeport.testing.replay import Row, read_rows

SURPRISES = Path(__file__).parent / "fixtures" / "surprises.jsonl"


@cache
def surprises() -> dict[str, Row]:
    """What engines do that a caller would not expect, a few events each, by name."""
    return {row.name: row for row in read_rows(SURPRISES)}


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
