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
    "fleet": ("tests/faults/test_fleet.py", "tests/faults/test_fleet_store.py"),
    "owner": ("tests/faults/test_owner_events.py",),
    "canary": ("tests/faults/canary",),
    "chain": ("tests/chain/test_outages.py",),
    "article": ("-m tests.chain.article",),
    "mutants": ("-m tests.mutants",),
}
ELSEWHERE = {"outages": "chain", "article": "article"}  # places on the page of the chain, and the section that each shows
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
        own = [figure for figure in found if figure.name.partition(".")[0] == ELSEWHERE.get(name, name)]
        return f"<!-- {name} -->\n{_section(name, own)}<!-- /{name} -->"

    return _PLACE.sub(place, page)


def places(page: str) -> list[str]:
    """The names of a page's places."""
    return [name for name, _ in _PLACE.findall(page)]


def _section(name: str, own: list[Figure]) -> str:
    if not own:
        return "Not measured yet.\n"
    tables = {"matrix": _matrix, "sdks": _sdks, "frozen": _phases, "chain": _recoveries, "outages": _outages, "article": _ways}
    seeds = sorted({figure.seed for figure in own if figure.seed is not None})
    seeded = f", seed {', '.join(map(str, seeds))}" if seeds else ""
    tests = ", ".join(f"`{'python ' if test.startswith('-m') else ''}{test}`" for test in SECTIONS[ELSEWHERE.get(name, name)])
    lines, stamp = tables.get(name, _plain)(own), f"{tests}; commit {own[-1].commit}, {own[-1].day}{seeded}."
    return f"{lines[0]} {stamp}\n" if len(lines) == 1 else "\n".join([*lines, "", stamp, ""])


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
    by_row = _rows(own)
    clock = next((figure.note for figure in own if figure.note.startswith("its clock")), "")
    return _table([f"stopped ({clock})", *words.values()], [[_words(row), *(cells.get(word, "") for word in words)] for row, cells in by_row.items()])


def _recoveries(own: list[Figure]) -> list[str]:
    """In a sentence: how soon home is back after each, and what visitors saw in all."""
    grid = _grid(own)
    back = "; ".join(f"{_words(row)} **{cells['median']:g} s** (at worst {cells['worst']:g} s)" for row, cells in grid.items())
    sums = {
        word: _number(sum(cells[word] for cells in grid.values()))
        for word in ("times", "asks", "errors", "streams", "begun_amid", "failed_amid", "told", "silently_cut")
    }
    amid = f"**{sums['errors']}** errors in {sums['asks']} whole asks, **{sums['failed_amid']}** in {sums['begun_amid']} streams that began while it was away"
    cut = f"of {sums['streams']} streams {sums['told']} were cut and told, **{sums['silently_cut']}** cut silently"
    return [f"Home is back after, by the median: {back}. All {sums['times']} outages: {amid}; {cut}."]


def _outages(own: list[Figure]) -> list[str]:
    words = ["times", "median", "worst", "asks", "errors", "slowest", "streams", "begun_amid", "failed_amid", "told", "silently_cut"]
    heads = ["home goes away by", "times", "back after, median", "worst", "whole asks", "errors", "slowest", "streams"]
    rows = _rows(own)
    notes = {figure.name.split(".")[1]: figure.note for figure in own if figure.note and figure.name.endswith(".times")}
    named = [[_words(row) + (f" ({notes[row]})" if row in notes else ""), *(cells.get(word, "") for word in words)] for row, cells in rows.items()]
    clock = next((figure.note for figure in own if figure.name.endswith(".slowest")), "")
    return [*_table([*heads, "begun while it was away", "of these failed", "cut and told", "silently cut"], named), "", f"{clock}."]


def _ways(own: list[Figure]) -> list[str]:
    words = {"homeport": "Homeport", "route": "the route", "direct": "the engine, asked at home"}
    notes = {figure.name.split(".")[1]: figure.note for figure in own if figure.note}
    rows = [[_words(row) + (f" ({notes[row]})" if row in notes else ""), *(cells.get(word, "") for word in words)] for row, cells in _rows(own).items()]
    return _table(["", *words.values()], rows)


def _rows(own: list[Figure]) -> dict[str, dict[str, str]]:
    """Figures of the form "section.row.word" as rows of cells."""
    rows: dict[str, dict[str, str]] = {}
    for figure in own:
        _, row, word = figure.name.split(".")
        rows.setdefault(row, {})[word] = shown(figure)
    return rows


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
