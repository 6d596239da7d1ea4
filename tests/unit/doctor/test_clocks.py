"""Clocks that disagree, jump, or were wrong before."""

from __future__ import annotations

import os
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from homeport.doctor.clocks import Watch
from homeport.doctor.diagnosis import Diagnosis
from homeport.doctor.visit import skew
from homeport.doctor.web import Page

NOW = 1_795_000_000.0


class Clocks:
    """Two clocks of one machine, to be moved by hand."""

    def __init__(self, now: float = NOW) -> None:
        self.now, self.steady = now, 50.0

    def watch(self) -> Watch:
        return Watch(lambda: self.now, lambda: self.steady)


def by_check(watch: Watch, skews: dict[str, float | None], data: Path) -> dict[str, Diagnosis]:
    return {one.check: one for one in watch.judge(skews, data)}


@pytest.mark.parametrize(("skew_s", "words"), [(90.0, "1 min ahead of"), (-7.0, "7.0 s behind"), (-86400.0, "1 d 0 h behind")])
def test_an_engine_whose_clock_is_off(tmp_path: Path, skew_s: float, words: str) -> None:
    found = by_check(Clocks().watch(), {"home": skew_s, "vm": 0.0}, tmp_path)
    assert found["clock.skew"].ok is False
    assert found["clock.skew"].what == f"The clock of home is {words} this machine's"


def test_clocks_that_agree_to_some_seconds_are_well(tmp_path: Path) -> None:
    found = by_check(Clocks().watch(), {"home": 4.0, "vm": None}, tmp_path)
    assert list(found) == ["clock.skew"]
    assert found["clock.skew"].what == "Clocks agree (home)"
    assert by_check(Clocks().watch(), {"vm": None}, tmp_path) == {}


def test_a_clock_that_jumps_while_it_is_looked_at(tmp_path: Path) -> None:
    clocks = Clocks()
    watch = clocks.watch()
    clocks.now, clocks.steady = clocks.now - 60, clocks.steady + 3
    assert "jumped by 1 min" in by_check(watch, {}, tmp_path)["clock.steady"].what


def test_a_machine_that_lives_in_the_past(tmp_path: Path) -> None:
    assert "clock is in 1970" in by_check(Clocks(1000.0).watch(), {}, tmp_path)["clock.past"].what


def test_a_journal_from_the_future(tmp_path: Path) -> None:
    journal = tmp_path / "journal-1.jsonl"
    journal.touch()
    os.utime(journal, (NOW + 7200, NOW + 7200))
    found = by_check(Clocks().watch(), {}, tmp_path)["clock.past"]
    assert (found.ok, found.what) == (False, "The journal was last written 2 h 0 min in the future")
    os.utime(journal, (NOW - 7200, NOW - 7200))
    assert by_check(Clocks().watch(), {}, tmp_path) == {}


def page(date: float, asked_at: float, answered_at: float) -> Page:
    return Page(200, {"date": formatdate(date, usegmt=True)}, b"", asked_at, answered_at)


def test_what_the_way_and_whole_seconds_explain_is_no_skew() -> None:
    assert skew(page(NOW, NOW + 0.9, NOW + 1.5)) == 0
    assert skew(page(NOW + 3, NOW, NOW + 4)) == 0  # a slow answer
    assert skew(page(NOW + 60, NOW, NOW + 1)) == 59
    assert skew(page(NOW - 60, NOW, NOW + 1)) == -59


@pytest.mark.parametrize("headers", [{}, {"date": "yesterday"}, {"date": "Fri, 99 Nov 2026 17:29:53 GMT"}])
def test_a_server_that_does_not_tell(headers: dict[str, str]) -> None:
    assert skew(Page(200, headers, b"", NOW, time.time())) is None
