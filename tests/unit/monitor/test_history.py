"""History: what is counted, that it is there after a restart and beside another process, and what stands in the way."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from homeport.errors import HomeportError
from homeport.monitor.archive import FILE, Archive
from homeport.monitor.counts import Counts
from homeport.monitor.history import MAX_NAMES, OTHERS, History
from homeport.rules.distribution import Spread
from homeport.rules.heartbeat import Beats, day
from homeport.vocabulary import Finding, Receipt
from tests.gateway import soon
from tests.unit.monitor.receipts import receipt

MIDNIGHT = 1_795_219_200.0  # 2026-11-21 00:00 UTC
TODAY = day(MIDNIGHT)
GOOD, BAD, NEITHER = Finding(True), Finding(False, "connection refused"), Finding(None)


class Wall:
    """A clock on the wall that a test sets."""

    def __init__(self, at: float = MIDNIGHT + 3600) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


def told(asked: str = "assistant", **fields: Any) -> Receipt:
    return receipt(**{"asked": asked, "ts": MIDNIGHT, "first_token_ms": 420.0, "tok_per_s": 31.0, **fields})


@contextmanager
def running(folder: Path, wall: Wall | None = None) -> Iterator[History]:
    history = History(folder, now=wall or Wall(), retry_s=0.05)
    history.start()
    try:
        yield history
    finally:
        history.stop()


def save(history: History) -> None:
    """Hand over, and wait until it is in the archive."""
    assert soon(lambda: history._kept.upto == history._number)
    asyncio.run(history.save())
    assert soon(lambda: history._kept.upto == history._number)


def test_probes_are_counted_by_day_and_backend_across_midnight(data_dir: Path) -> None:
    wall = Wall(MIDNIGHT - 1)
    with running(data_dir, wall) as history:
        for finding in (GOOD, BAD):
            history.saw("home", finding)
        wall.at = MIDNIGHT
        for finding in (GOOD, NEITHER):
            history.saw("home", finding)
        history.saw("vm", GOOD)
        assert history.heartbeats() == {"home": {TODAY - 1: Beats(1, 1, 0), TODAY: Beats(1, 0, 1)}, "vm": {TODAY: Beats(1)}}


def test_nothing_is_lost_or_counted_twice_at_any_step_to_the_disk_and_after_a_restart(data_dir: Path) -> None:
    with running(data_dir) as history:
        for number in range(1, 4):
            history.saw("home", GOOD)
            history.observe(told())
            assert history.heartbeats() == {"home": {TODAY: Beats(2 * number - 1)}}
            save(history)
            history.saw("home", GOOD)
            assert history.heartbeats() == {"home": {TODAY: Beats(2 * number)}}
            assert history.distributions()["assistant"].first_token_ms.count == number
    with running(data_dir) as history:
        assert soon(lambda: history.heartbeats() == {"home": {TODAY: Beats(6)}})
        history.saw("home", BAD)
        assert history.heartbeats() == {"home": {TODAY: Beats(6, 1)}}
        assert history.distributions()["assistant"].tok_per_s.count == 3


def test_two_processes_keep_one_archive(data_dir: Path) -> None:
    with running(data_dir) as one, running(data_dir) as other:
        one.observe(told(first_token_ms=100.0))
        other.observe(told(first_token_ms=900.0))
        one.saw("home", GOOD)
        other.saw("home", BAD)
        save(one)
        save(other)
        save(one)
        for history in (one, other):
            assert history.heartbeats() == {"home": {TODAY: Beats(1, 1)}}
            found = history.distributions()["assistant"].first_token_ms
            assert (found.count, found.lowest, found.highest) == (2, 100.0, 900.0)


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({}, (1, 1)),
        ({"outcome": "cut"}, (1, 0)),
        ({"outcome": "client_left"}, (1, 0)),
        ({"outcome": "failed"}, (0, 0)),
        ({"outcome": "refused"}, (0, 0)),
        ({"first_token_ms": None}, (0, 0)),
        ({"tok_per_s": None}, (1, 0)),
        ({"tok_per_s": 0.0}, (1, 0)),
    ],
)
def test_what_of_a_receipt_says_how_fast_it_was(data_dir: Path, fields: dict[str, Any], counts: tuple[int, int]) -> None:
    history = History(data_dir, now=Wall())
    history.observe(told(**fields))
    found = history.distributions().get("assistant", Spread())
    assert (found.first_token_ms.count, found.tok_per_s.count) == counts


def test_a_name_counts_with_its_tag_and_without(data_dir: Path) -> None:
    history = History(data_dir, now=Wall())
    for name in ("qwen", "qwen:latest", "qwen:7b"):
        history.observe(told(name))
    assert {name: found.first_token_ms.count for name, found in history.distributions().items()} == {"qwen": 2, "qwen:7b": 1}


def test_names_are_bounded_and_the_most_asked_stands_first(data_dir: Path) -> None:
    with running(data_dir) as history:
        for number in range(3 * MAX_NAMES):
            history.observe(told(f"name-{number}"))
            if number == MAX_NAMES // 2:
                save(history)
        history.observe(told("name-7"))
        found = history.distributions()
        assert len(found) == MAX_NAMES + 1
        assert next(iter(found)) == "name-7"
        assert list(found)[-1] == OTHERS
        assert found[OTHERS].first_token_ms.count == 2 * MAX_NAMES


def test_old_days_are_dropped(data_dir: Path) -> None:
    with closing(Archive(data_dir)) as archive:
        days = (TODAY, TODAY - 6, TODAY - 7, TODAY - 89, TODAY - 90)
        old = Counts({(one, "home"): Beats(1) for one in days}, {(one, "m"): Spread() for one in days})
        kept = archive.add(old, TODAY)
        assert sorted(one for one, _ in kept.beats) == [TODAY - 89, TODAY - 7, TODAY - 6, TODAY]
        assert sorted(one for one, _ in kept.spreads) == [TODAY - 6, TODAY]
        kept = archive.add(Counts(), TODAY + 7)
        assert (sorted(one for one, _ in kept.beats), kept.spreads) == ([TODAY - 7, TODAY - 6, TODAY], {})


def test_what_cannot_be_written_waits_and_is_told_once(data_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    (data_dir / FILE).mkdir()  # no file can be made there
    with running(data_dir) as history:
        history.saw("home", GOOD)
        asyncio.run(history.save())
        assert soon(lambda: "the history of /status is not kept" in caplog.text)
        history.saw("home", GOOD)
        asyncio.run(history.save())
        assert history.heartbeats() == {"home": {TODAY: Beats(2)}}
        (data_dir / FILE).rmdir()
        assert soon(lambda: history._kept.upto == 1)
        assert history.heartbeats() == {"home": {TODAY: Beats(2)}}
    with running(data_dir) as history:
        assert soon(lambda: history.heartbeats() == {"home": {TODAY: Beats(2)}})
    assert caplog.text.count("not kept") == 1


def test_it_ends_where_nothing_can_be_written(data_dir: Path) -> None:
    (data_dir / FILE).mkdir()
    with running(data_dir) as history:
        history.saw("home", GOOD)
        asyncio.run(history.save())


def test_a_spoilt_file_is_put_aside(data_dir: Path) -> None:
    (data_dir / FILE).write_bytes(os.urandom(8192))
    with closing(Archive(data_dir)) as archive:
        assert archive.add(Counts(), TODAY) == Counts()
    assert (data_dir / f"{FILE}.spoilt").exists()


def test_a_file_of_another_version_is_left_alone(data_dir: Path) -> None:
    with closing(sqlite3.connect(data_dir / FILE)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(HomeportError, match="another version"):
        Archive(data_dir)


def test_nobody_else_may_read_it(data_dir: Path) -> None:
    with closing(Archive(data_dir)):
        assert (data_dir / FILE).stat().st_mode & 0o077 == 0
