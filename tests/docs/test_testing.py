"""The page on the fakes: its examples run, and every fault, behaviour and module there is stands in it."""

from __future__ import annotations

import ast
import enum
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from homeport.testing import clock, memory, process, proxy, replay, script, shapes, talker
from homeport.testing.backend import ScriptedBackend
from tests.docs.pages import ROOT, Page, rows

PAGE = Page("docs/testing.md")
EXAMPLES = PAGE.blocks("python")


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_examples_run(number: int, tmp_path: Path) -> None:
    environ = {**os.environ, "PYTHONWARNINGS": "error"}
    done = subprocess.run([sys.executable, "-c", EXAMPLES[number]], env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if not line.startswith("req-")] == []  # but for what a gateway says of attempts that failed


def named(heading: str) -> set[str]:
    """All that stands between backticks in the first cells of a section's tables."""
    return {name.strip("`") for row in rows(PAGE.section(heading)) for name in row.split("` · `")}


def test_every_field_of_a_behaviour_is_there() -> None:
    assert named("A backend that says what you chose") - {"Answer"} == {field.name for field in msgspec.structs.fields(script.Answer)}
    assert named("A network that goes wrong") - {"Faults"} == {field.name for field in msgspec.structs.fields(proxy.Faults)}
    assert named("Where an answer goes wrong") - {"how"} == set(get_args(script.How))
    assert {f"{style}" for style in get_args(shapes.StyleName)} <= PAGE.code


def test_every_point_is_there() -> None:
    assert issubclass(script.Point, enum.Enum)
    assert {point.name for point in script.Point} <= PAGE.code


def test_what_stands_for_others_is_named() -> None:
    public = (ScriptedBackend, proxy.FaultProxy, process.BackendProcess, replay.CapturedBackend, clock.ManualClock, clock.ManualLoop, memory.MemoryBackend)
    for what in (*public, talker.write_talker, replay.read_rows):
        assert what.__name__ in PAGE.text
        assert what.__doc__


def test_every_public_thing_of_the_fakes_says_what_it_is() -> None:
    for path in sorted((ROOT / "src/homeport/testing").glob("*.py")):
        kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        found = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, kinds) and not node.name.startswith("_")]
        assert [node.name for node in found if not ast.get_docstring(node)] == [], path.name
