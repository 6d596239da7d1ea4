"""Levels that workers share: two of one gateway count the same key."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from homeport.errors import OverBudget
from homeport.fleet.alone import Alone
from homeport.journey.limits import Limits
from homeport.settings import LimitSettings
from tests.properties.test_rates import Clock, ask, receipt

if sys.platform == "win32":
    pytest.skip("workers need POSIX", allow_module_level=True)

from homeport.fleet import levels
from homeport.fleet.levels import Levels


def pair(folder: Path, settings: LimitSettings, clock: Clock) -> tuple[Limits, Limits]:
    crew = Alone()
    first, second = (Limits(settings, clock, levels=Levels(folder).at, places=crew.at) for _ in range(2))
    return first, second


def refused(limits: Limits, number: int, key: str | None = "ada") -> bool:
    try:
        limits.spend(ask(number, key))
    except OverBudget:
        return True
    return False


def test_requests_and_tokens(tmp_path: Path) -> None:
    clock = Clock()
    first, second = pair(tmp_path, LimitSettings(requests_per_minute=4, tokens_per_minute=100), clock)
    assert [refused(limits, number) for number, limits in enumerate((first, second, first, second, first, second))] == [False] * 4 + [True] * 2
    assert not refused(first, 9, "bob")
    clock.now = 60.0
    first.settled(receipt(ask(0, "ada"), 160))
    assert refused(second, 10)
    clock.now = 60.0 + 61 * 0.6
    assert not refused(second, 11)


def test_places(tmp_path: Path) -> None:
    first, second = pair(tmp_path, LimitSettings(max_in_flight=2), Clock())
    assert [refused(first, 1), refused(second, 2), refused(first, 3), refused(second, 4)] == [False, False, True, True]
    second.settled(receipt(ask(2, "ada"), 0))
    assert not refused(first, 5)
    assert refused(second, 6)
    first.keep([])  # revoked: its places are free at once, once only
    second.keep([])
    first.settled(receipt(ask(1, "ada"), 0))
    assert [refused(limits, number) for number, limits in enumerate((first, second, first, second), 10)] == [False, False, True, True]


def test_a_key_that_is_made_again_begins_anew(tmp_path: Path) -> None:
    first, second = pair(tmp_path, LimitSettings(requests_per_minute=1), Clock())
    assert [refused(first, 1), refused(second, 2)] == [False, True]
    first.keep([])
    second.keep([])
    assert [refused(second, 3), refused(first, 4)] == [False, True]


def test_more_keys_than_rows_are_counted_by_each_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "ROWS", 128)  # a page of memory
    first, second = pair(tmp_path, LimitSettings(requests_per_minute=1), Clock())
    for number in range(128):
        assert not refused(first, number, f"key-{number}")
    assert refused(second, 200, "key-127")
    assert [refused(first, 201, "late"), refused(second, 202, "late"), refused(first, 203, "late")] == [False, False, True]


def test_no_room_no_sharing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pwrite", lambda *_: 100)
    first, second = pair(tmp_path, LimitSettings(requests_per_minute=1), Clock())
    assert [refused(first, 1), refused(second, 2), refused(first, 3)] == [False, False, True]


def test_no_folder_no_sharing(tmp_path: Path) -> None:
    first, second = pair(tmp_path / "gone", LimitSettings(requests_per_minute=1), Clock())
    assert [refused(first, 1), refused(second, 2), refused(first, 3)] == [False, False, True]
