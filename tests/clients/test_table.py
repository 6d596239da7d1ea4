"""The tables of docs/clients.md say what was seen, and a client that fares worse through Homeport is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients import table
from tests.clients.table import COLUMNS, Client, Seen

FORCED = ("tool_choice", "400: it forces a call")
ONE = Client("One", "openai", "one.py", "openai", reasons={("ollama", "schema"): FORCED})
PAGE = f"""# Clients

## {table.THROUGH}

| client | chat |
|---|---|
| Zero 1.0 | gone |

## {table.BARE}

| client | what |
|---|---|

The end.
"""


def seen(**changes: str) -> Seen:
    """All well everywhere, but for `place__cell` = what was seen."""
    places = {place: dict.fromkeys(COLUMNS, "✓") for place in ("homeport:openai", "homeport:ollama", "homeport:engine", "bare:scripted", "bare:engine")}
    places["homeport:ollama"]["schema"] = "✗ BadRequestError: `tool_choice`"
    for name, fact in changes.items():
        place, cell = name.split("__")
        places[place.replace("_", ":")][cell] = fact
    return places


def test_a_row_says_once_what_holds_everywhere_and_names_what_differs() -> None:
    cells = table.row(ONE, seen(homeport_engine__tools="— none | at all")).strip("| ").split(" | ")
    assert cells[0].startswith("One ")
    assert cells[1] == "✓"
    assert cells[3] == "✓; engine: — none \\| at all"
    assert cells[4] == "✓; ollama: — 400: it forces a call"


def test_only_what_differs_without_homeport_is_listed() -> None:
    assert table.bare_rows(ONE, seen()) == []
    (row,) = table.bare_rows(ONE, seen(bare_engine__stream="✗ TypeError: something long"))
    assert row == f"| {ONE.title} | stream | llama.cpp | ✗ `TypeError` | ✓ |"


def test_what_is_worse_is_a_fault_unless_it_is_explained_or_no_better_without() -> None:
    assert table.worse(ONE, seen()) == []
    assert table.worse(ONE, seen(homeport_openai__cut="✗ no exception (end)")) == ["openai cut: ✗ no exception (end)"]
    assert table.worse(ONE, seen(homeport_openai__cut="✗ no exception (end)", bare_scripted__cut="✗ no exception (end)")) == []
    assert table.worse(ONE, seen(homeport_engine__chat="✗ x", bare_scripted__chat="✗ x")) == ["engine chat: ✗ x"]
    assert len(table.worse(ONE, seen(homeport_ollama__schema="✓"))) == 1
    assert len(table.worse(ONE, seen(homeport_ollama__schema="✗ something else"))) == 1


def test_rows_go_into_their_tables_and_replace_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "clients.md"
    page.write_text(PAGE, encoding="utf-8")
    monkeypatch.setattr(table, "PAGE", page)
    two = Client("One, again", "openai", "two.py", "openai")
    table.update([ONE, two], two, [f"| {two.title} | a |", f"| {two.title} | b |"])
    table.update([ONE, two], ONE, [f"| {ONE.title} | c |"])
    table.update([ONE, two], two, [f"| {two.title} | d |"])
    assert (table.written(ONE), table.written(two)) == ([f"| {ONE.title} | c |"], [f"| {two.title} | d |"])
    text = page.read_text(encoding="utf-8")
    assert "Zero" not in text
    assert text.index("| c |") < text.index("| d |") < text.index(table.BARE)
    assert text.endswith("|---|---|\n\nThe end.\n")
