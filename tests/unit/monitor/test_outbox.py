"""The outbox: what is kept, what is forgotten, and what stands in the way."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from homeport.errors import HomeportError
from homeport.monitor.outbox import FILE, KEPT_S, Outbox
from homeport.vocabulary import Event

T0 = 1_795_000_000.0


def event(number: int, kind: str = "down", backend: str = "home", since: float = T0, downtime_s: float | None = None) -> Event:
    return Event(f"evt-{number}", kind, backend, since, "connection refused", downtime_s, "to vm (assistant)")


def test_a_state_is_told_once_whoever_says_it(data_dir: Path) -> None:
    with closing(Outbox(data_dir)) as one, closing(Outbox(data_dir)) as other:
        assert one.record(event(1), ["t"], T0)
        assert not other.record(event(2), ["t"], T0)
        assert [found.id for found in other.waiting("t")] == ["evt-1"]
        assert other.states() == {"home": ("down", T0)}
        assert other.record(event(3, "up", since=T0 + 60, downtime_s=60), ["t"], T0)
        assert one.states() == {"home": ("up", T0 + 60)}


def test_each_target_has_its_own_row_of_events(data_dir: Path) -> None:
    with closing(Outbox(data_dir)) as outbox:
        first, second = event(1), event(2, "up", downtime_s=3)
        outbox.record(first, ["a", "b"], T0)
        outbox.record(second, ["a", "b"], T0)
        outbox.acknowledge("evt-1", "a")
        outbox.acknowledge("evt-1", "a")
        assert (outbox.waiting("a"), outbox.waiting("b")) == ([second], [first, second])
        assert outbox.waiting("c") == []


def test_what_is_configured_no_more_is_forgotten_and_its_outage_ends(data_dir: Path) -> None:
    with closing(Outbox(data_dir)) as outbox:
        outbox.record(event(1), ["t"], T0)
        outbox.settle("vm", "up", T0)
        outbox.keep(["vm"], T0 + 90)
        assert outbox.states() == {"vm": ("up", T0)}
        [incident] = outbox.incidents()
        assert (incident.id, incident.until, incident.downtime_s) == ("evt-1", T0 + 90, 90.0)
        assert [found.kind for found in outbox.waiting("t")] == ["down"]


def test_old_events_and_targets_that_are_gone_are_dropped(data_dir: Path) -> None:
    with closing(Outbox(data_dir)) as outbox:
        outbox.record(event(1), ["a", "gone"], T0)
        outbox.record(event(2, "up"), ["a"], T0 + 1)
        outbox.record(event(3, backend="vm"), ["a"], T0 + 2)
        outbox.prune(T0 + 3, ["a"])
        assert (len(outbox.waiting("a")), outbox.waiting("gone")) == (3, [])
        outbox.prune(T0 + 3 + KEPT_S, ["a"])
        assert [found.id for found in outbox.waiting("a")] == ["evt-3"], "an outage that lasts is kept"
        assert [found.backend for found in outbox.incidents()] == ["vm"]


def test_incidents_are_the_newest_first(data_dir: Path) -> None:
    with closing(Outbox(data_dir)) as outbox:
        for number in range(120):
            outbox.record(event(number, "up" if number % 2 else "down", since=T0 + number, downtime_s=1.0 if number % 2 else None), [], T0)
        found = outbox.incidents()
        assert [incident.id for incident in found] == [f"evt-{number}" for number in range(118, 18, -2)]
        assert all(incident.until == incident.since + 1 for incident in found)


def test_it_is_for_its_owner_only(data_dir: Path) -> None:
    with closing(Outbox(data_dir)):
        assert (data_dir / FILE).stat().st_mode & 0o077 == 0 or os.name != "posix"


def test_another_version_is_not_touched(data_dir: Path) -> None:
    with closing(sqlite3.connect(data_dir / FILE)) as other:
        other.execute("PRAGMA user_version = 7")
    with pytest.raises(HomeportError, match=r"another version of Homeport\. Use that one, or remove the file"):
        Outbox(data_dir)


def test_a_spoilt_one_is_put_aside(data_dir: Path) -> None:
    (data_dir / FILE).write_bytes(b"no database at all" * 100)
    with closing(Outbox(data_dir)) as outbox:
        assert outbox.states() == {}
    assert (data_dir / f"{FILE}.spoilt").read_bytes().startswith(b"no database")


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(HomeportError, match="cannot be used"):
        Outbox(tmp_path / "data")


def test_what_fails_in_the_middle_leaves_nothing(data_dir: Path) -> None:
    with closing(Outbox(data_dir)) as outbox:
        outbox.record(event(1, backend="vm"), [], T0)
        with pytest.raises(HomeportError, match="UNIQUE"):
            outbox.record(event(1), ["t"], T0)
        assert set(outbox.states()) == {"vm"}
        assert outbox.waiting("t") == []
        assert outbox.record(event(2), ["t"], T0)
