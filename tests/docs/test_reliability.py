"""The page on reliability: a place for each section, tests that exist, and the figures that were kept, unchanged."""

from __future__ import annotations

import pytest

from tests import figures
from tests.docs.pages import ROOT, Page
from tests.reliability import __main__ as reliability
from tests.reliability.page import ELSEWHERE, SECTIONS, Figure, filled, places

PAGE, CHAIN = Page("docs/reliability.md"), Page("docs/chain.md")


def test_every_section_has_its_place_and_its_tests() -> None:
    assert places(PAGE.text) == [name for name in SECTIONS if name not in ELSEWHERE]
    assert places(CHAIN.text) == list(ELSEWHERE)
    for name, tests in SECTIONS.items():
        for test in tests:
            where = test.removeprefix("-m ").replace(".", "/") if test.startswith("-m ") else test
            assert (ROOT / where).exists(), name
        assert reliability.commands(name) != []


def test_the_figures_are_those_that_were_kept() -> None:
    kept = reliability.kept()
    assert {figure.name.partition(".")[0] for figure in kept} <= SECTIONS.keys()
    for page in (PAGE, CHAIN):
        assert filled(page.text, kept) == page.text, "written by hand: use `make reliability`"


def test_figures_get_into_their_places() -> None:
    page = "a\n\n<!-- year -->\nbefore\n<!-- /year -->\n\n<!-- matrix -->\n<!-- /matrix -->\nb\n<!-- disk -->\nbefore\n<!-- /disk -->\n"
    stamp = {"commit": "abc", "day": "2026-11-21"}
    found = [Figure("year.asks", 12345, seed=2, **stamp), Figure("year.asks", 23456, seed=2, note="whole", **stamp), Figure("year.wait", 0.25, "s", **stamp)]
    found += [Figure(f"matrix.openai.stream.{word}", count, **stamp) for word, count in {"faults": 10_000, "cut": 7}.items()]
    written = filled(page, found)
    assert "asks **23 456** (whole); wait **0.25 s**." in written and "12 345" not in written
    many = filled(page, [Figure(f"year.wait{number}", number, "s", note="x") for number in range(9)] + [Figure("year.up_home", 90), Figure("year.up_vm", 99)])
    assert "| wait3 | 3 s | x |" in many and "| up | home 90, vm 99 |  |" in many
    assert "`tests/faults/year/test_year.py`; commit abc, 2026-11-21, seed 2." in written
    assert "**10 000 faults: 0 requests lost, 0 duplicated, 0 silently cut.**" in written
    assert written.count("Not measured yet.") == 1 and "before" not in written
    assert filled(written, found) == written
    with pytest.raises(AssertionError, match="something is wrong"):
        filled(page, [Figure("matrix.openai.stream.lost", 1)])


def test_without_the_variable_nothing_is_noted(monkeypatch: pytest.MonkeyPatch, tmp_path: pytest.TempPathFactory) -> None:
    monkeypatch.setattr(figures, "_FILE", None)
    figures.note("year.asks", 1)
    file = f"{tmp_path}/figures.jsonl"
    monkeypatch.setattr(figures, "_FILE", file)
    figures.note("year.asks", 1, "s", seed=3, note="x")
    figures.note("year.name", "é")
    with open(file, encoding="utf-8") as written:
        assert written.read().splitlines() == [
            '{"name": "year.asks", "value": 1, "unit": "s", "seed": 3, "note": "x"}',
            '{"name": "year.name", "value": "é", "unit": "", "seed": null, "note": ""}',
        ]
