"""Figures into the places that `docs/reliability.md` has for them: its prose is written there, by hand."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

SECTIONS: dict[str, tuple[str, ...]] = {  # what figures' names begin with: what pytest runs for them, or a module
    "matrix": ("tests/faults/matrix/test_matrix.py",),
    "sdks": ("tests/faults/matrix/test_sdks.py",),
    "year": ("tests/faults/year/test_year.py",),
    "frozen": ("tests/faults/test_frozen_phases.py",),
    "overload": ("tests/faults/test_overload.py",),
    "disk": ("tests/faults/test_full_disk.py",),
    "descriptors": ("tests/faults/test_descriptors.py",),
    "clock": ("tests/faults/test_moved_clock.py",),
    "kills": ("tests/faults/test_killed_gateway.py",),
    "owner": ("tests/faults/test_owner_events.py",),
    "canary": ("tests/faults/canary",),
    "mutants": ("-m tests.mutants",),
}
FEW = 8  # figures that make no table
_PLACE = re.compile(r"<!-- (\w+) -->\n(.*?)<!-- /\1 -->", re.DOTALL)


class Figure(Struct, frozen=True):
    """One line of `docs/reliability.jsonl`: a figure, and when it was measured on which commit."""

    name: str
    value: float | int | str | bool
    unit: str = ""
    seed: int | None = None
    note: str = ""
    commit: str = ""
    day: str = ""


def filled(page: str, figures: Iterable[Figure]) -> str:
    """The page with these figures, and nothing but these, in its places."""
    found = list({figure.name: figure for figure in figures}.values())

    def place(match: re.Match[str]) -> str:
        name = match[1]
        own = [figure for figure in found if figure.name.partition(".")[0] == name]
        return f"<!-- {name} -->\n{_section(name, own)}<!-- /{name} -->"

    return _PLACE.sub(place, page)


def places(page: str) -> list[str]:
    """The names of a page's places."""
    return [name for name, _ in _PLACE.findall(page)]


def _section(name: str, own: list[Figure]) -> str:
    if not own:
        return "Not measured yet.\n"
    tables = {"matrix": _matrix, "sdks": _sdks, "frozen": _phases}
    seeds = sorted({figure.seed for figure in own if figure.seed is not None})
    seeded = f", seed {', '.join(map(str, seeds))}" if seeds else ""
    tests = ", ".join(f"`{'python ' if test.startswith('-m') else ''}{test}`" for test in SECTIONS[name])
    return "\n".join([*tables.get(name, _plain)(own), "", f"{tests}; commit {own[-1].commit}, {own[-1].day}{seeded}.", ""])


def _plain(own: list[Figure]) -> list[str]:
    """A few figures in a sentence; else a row for each, where those of both backends of the year share one."""
    if len(own) <= FEW:
        return ["; ".join(f"{_words(figure.name.partition('.')[2])} **{shown(figure)}**{f' ({figure.note})' if figure.note else ''}" for figure in own) + "."]
    rows: dict[str, list[str]] = {}
    for figure in own:
        name, _, backend = figure.name.partition(".")[2].rpartition("_")
        if backend not in ("home", "vm"):
            rows[figure.name] = [_words(figure.name.partition(".")[2]), shown(figure), figure.note]
        elif name in rows:
            rows[name][1] += f", {backend} {shown(figure)}"
        else:
            rows[name] = [_words(name), f"{backend} {shown(figure)}", figure.note]
    return _table(["", "", ""], list(rows.values()))


def _matrix(own: list[Figure]) -> list[str]:
    grid = _grid(own)
    words = ["faults", "lost", "duplicated", "silently_cut", "visible", "untold", "first", "second", "cut", "refused", "unreadable"]
    rows = [[*row.split("."), *(_number(cells.get(word, 0)) for word in words)] for row, cells in grid.items()]
    sums = [_number(sum(cells.get(word, 0) for cells in grid.values())) for word in words]
    wrong = sum(cells.get(word, 0) for cells in grid.values() for word in ("lost", "duplicated", "silently_cut"))
    head = f"**{sums[0]} faults: {sums[1]} requests lost, {sums[2]} duplicated, {sums[3]} silently cut.**"
    assert wrong == 0, "the tests of the matrix passed, and yet something is wrong in their figures"
    return [head, "", *_table(["backend", "mode", *map(_words, words)], [*rows, ["all", "", *sums]])]


def _sdks(own: list[Figure]) -> list[str]:
    words = ["raised", "right", "silent"]
    return _table(["SDK", "mode", *words], [[*row.split("."), *(_number(cells.get(word, 0)) for word in words)] for row, cells in _grid(own).items()])


def _phases(own: list[Figure]) -> list[str]:
    words = {"given_up": "given up after", "later": "more than without it, median of the next 20 asks", "slowest": "the slowest of them"}
    by_row: dict[str, dict[str, str]] = {}
    for figure in own:
        _, row, word = figure.name.split(".")
        by_row.setdefault(row, {})[word] = shown(figure)
    clock = next((figure.note for figure in own if figure.note.startswith("its clock")), "")
    return _table([f"stopped ({clock})", *words.values()], [[_words(row), *(cells.get(word, "") for word in words)] for row, cells in by_row.items()])


def _grid(own: list[Figure]) -> dict[str, dict[str, Any]]:
    """Names of the form "section.row.row.word" as rows and cells."""
    grid: dict[str, dict[str, Any]] = {}
    for figure in own:
        _, _, rest = figure.name.partition(".")
        row, _, word = rest.rpartition(".")
        grid.setdefault(row, {})[word] = figure.value
    return grid


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows)]


def _words(name: str) -> str:
    return name.replace("_", " ").replace(".", ", ")


def _number(value: float | int | str | bool) -> str:
    return f"{value:,}".replace(",", " ") if isinstance(value, int) and not isinstance(value, bool) else str(value)


def shown(figure: Figure) -> str:
    """A value with its unit."""
    value = (
        _number(figure.value)
        if isinstance(figure.value, int)
        else f"{figure.value:g}"
        if isinstance(figure.value, float) and figure.unit
        else str(figure.value)
    )
    return f"{value} {figure.unit}".strip()
