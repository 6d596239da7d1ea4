"""The outbox: what is kept, what is forgotten, and what stands in the way."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from homeport.errors import HomeportError
from homeport.monitor.outbox import FILE, KEPT_S, Outbox, incidents
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
    assert [file.name for file in data_dir.iterdir()] == [FILE]
    if os.path.isdir("/proc/self/fd"):
        assert not any(FILE in os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd"))


def test_its_own_version_is_in_the_file_and_a_later_one_is_another(data_dir: Path) -> None:
    Outbox(data_dir).close()
    Outbox(data_dir).close()
    with closing(sqlite3.connect(data_dir / FILE)) as other:
        assert other.execute("PRAGMA user_version").fetchone() == (1,)
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        other.execute("PRAGMA user_version = 2")
    with pytest.raises(HomeportError, match="another version"):
        Outbox(data_dir)


def test_a_spoilt_one_is_put_aside(data_dir: Path) -> None:
    (data_dir / FILE).write_bytes(b"no database at all" * 100)
    for end in ("-wal", "-shm"):
        (data_dir / (FILE + end)).write_bytes(b"what was left beside it")
    with closing(Outbox(data_dir)) as outbox:
        assert outbox.states() == {}
        assert not any((data_dir / (FILE + end)).read_bytes().startswith(b"what was left") for end in ("-wal", "-shm"))
    assert (data_dir / f"{FILE}.spoilt").read_bytes().startswith(b"no database")


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(HomeportError, match=r"outbox\.sqlite cannot be used: File exists\. Make the folder writable"):
        Outbox(tmp_path / "data")


def test_what_fails_in_the_middle_leaves_nothing(data_dir: Path) -> None:
    with closing(Outbox(data_dir)) as outbox:
        outbox.record(event(1, backend="vm"), [], T0)
        with pytest.raises(HomeportError, match="UNIQUE"):
            outbox.record(event(1), ["t"], T0)
        assert set(outbox.states()) == {"vm"}
        assert outbox.waiting("t") == []
        assert outbox.record(event(2), ["t"], T0)


def test_one_with_torn_pages_is_put_aside_too(data_dir: Path) -> None:
    with closing(sqlite3.connect(data_dir / FILE)) as other:
        other.execute("CREATE TABLE begun (number INTEGER)")
        other.commit()
    pages = (data_dir / FILE).read_bytes()
    (data_dir / FILE).write_bytes(pages[:100] + b"\xff" * 100 + pages[200:])
    with closing(Outbox(data_dir)) as outbox:
        assert outbox.record(event(1), ["t"], T0)
    assert (data_dir / f"{FILE}.spoilt").exists()


def test_one_that_is_locked_is_waited_for_and_never_put_aside(data_dir: Path) -> None:
    with closing(Outbox(data_dir)) as patient, closing(Outbox(data_dir, busy_s=0.01)) as outbox, closing(sqlite3.connect(data_dir / FILE)) as other:
        assert patient._connection.execute("PRAGMA busy_timeout").fetchone() == (10_000,)
        outbox.settle("vm", "up", T0)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(HomeportError, match="cannot be used: database is locked"):
            outbox.keep(["vm"], T0)  # alone among all, even where there is nothing to change
        other.rollback()
        outbox.keep([], T0)
        assert patient.states() == {}
    with closing(sqlite3.connect(data_dir / FILE)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(HomeportError, match="locked"):
            Outbox(data_dir, busy_s=0.01)
    assert not (data_dir / f"{FILE}.spoilt").exists()


def test_the_folder_is_made_for_its_owner(tmp_path: Path) -> None:
    with closing(Outbox(tmp_path / "new" / "data")) as outbox:
        assert outbox._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    if os.name == "posix":
        assert (tmp_path / "new" / "data").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "new" / "data" / FILE).stat().st_mode & 0o777 == 0o600


def test_after_close_it_cannot_be_used(data_dir: Path) -> None:
    outbox = Outbox(data_dir)
    outbox.close()
    with pytest.raises(HomeportError, match="cannot be used: Cannot operate on a closed database"):
        outbox.states()


def test_only_up_and_down_are_states(data_dir: Path) -> None:
    with closing(Outbox(data_dir)) as outbox:
        assert outbox.record(event(1, "drift"), ["t"], T0)
        assert outbox.record(event(2, "drift"), ["t"], T0)
        assert outbox.record(Event("evt-3", "up", None, T0, "", None, None), ["t"], T0)  # type: ignore[arg-type]
        assert (outbox.states(), len(outbox.waiting("t")), outbox.incidents()) == ({}, 3, ())
        outbox.settle("vm", "up", T0)
        outbox.settle("vm", "down", T0 + 1)
        assert outbox.states() == {"vm": ("down", T0 + 1)}


def test_events_are_kept_for_ninety_days(data_dir: Path) -> None:
    with closing(Outbox(data_dir)) as outbox:
        outbox.record(event(1, "drift"), ["t"], T0)
        outbox.prune(T0 + 90 * 86400, ["t"])
        assert len(outbox.waiting("t")) == 1
        outbox.prune(T0 + 90 * 86400 + 1, ["t"])
        assert outbox.waiting("t") == []
        assert outbox._connection.execute("SELECT count(*) FROM events").fetchone() == (0,)


def test_an_outage_lasts_until_its_backend_is_up_or_gone_and_never_less_than_nothing() -> None:
    begun, moved = event(1), event(2, "up", since=T0 - 5)  # the clock was set back meanwhile
    [incident] = incidents([begun, event(9, "up", backend="vm"), moved])
    assert (incident.id, incident.kind, incident.backend, incident.since, incident.until, incident.downtime_s) == ("evt-1", "down", "home", T0, T0 - 5, 0.0)
    [incident] = incidents([begun, event(3, "removed", since=T0 + 5)])
    assert (incident.reason, incident.downtime_s) == ("connection refused", 5.0)
    [incident] = incidents([begun])
    assert (incident.until, incident.downtime_s, incident.traffic) == (None, None, "to vm (assistant)")
    first, second = incidents([begun, moved, event(4, since=T0 + 9)])
    assert (first.id, second.id) == ("evt-4", "evt-1")
