"""The ledger: one row an Ask, the same whether made in steps or anew, whoever else is at work."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from homeport.errors import HomeportError
from homeport.storage import journal, locks, migrations, view
from homeport.storage.journal import Journal
from homeport.storage.ledger import Ledger
from homeport.storage.lines import COLUMNS
from homeport.vocabulary import Receipt
from tests.unit.storage.samples import TS, ask, receipt


@pytest.fixture
def ledger(data_dir: Path) -> Iterator[Ledger]:
    with closing(Ledger(data_dir)) as opened:
        yield opened


def raw(folder: Path) -> list[Any]:
    """The table as it lies there, values and types."""
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as connection:
        types = ", ".join(f"typeof({column})" for column in COLUMNS)
        return connection.execute(f"SELECT *, {types} FROM receipts").fetchall()


def busy(folder: Path, count: int, prefix: str = "a", *, max_bytes: int = 64 << 20) -> Journal:
    """A journal with `count` settled Asks in it, still open."""
    book = Journal(folder, max_bytes=max_bytes)
    for number in range(count):
        book.started(ask(f"{prefix}{number:04}"), TS + number)
        book.settled(receipt(f"{prefix}{number:04}", TS + number))
    return book


def test_a_column_for_each_field_of_a_receipt(data_dir: Path, ledger: Ledger) -> None:
    assert ledger.count() == 0
    with closing(sqlite3.connect(data_dir / "ledger.sqlite")) as connection:
        assert tuple(row[1] for row in connection.execute("PRAGMA table_info(receipts)")) == Receipt.__struct_fields__


def test_a_receipt_comes_back_as_it_was(data_dir: Path, ledger: Ledger) -> None:
    busy(data_dir, 0).close()
    book = Journal(data_dir)
    full = receipt("a", cost_usd=0.25, cache="hit", stream=False, app="naïve “app”")
    book.settled(full)
    assert ledger.catch_up() == 1
    (row,) = ledger.last(5)
    attempts = [{name: getattr(attempt, name) for name in attempt.__struct_fields__} for attempt in full.attempts]
    assert row == {**{name: getattr(full, name) for name in COLUMNS}, "attempts": attempts}
    assert list(row) == list(COLUMNS)
    assert row["stream"] is False
    book.close()


def test_last_is_oldest_first_by_arrival(data_dir: Path, ledger: Ledger) -> None:
    book = Journal(data_dir)
    for ts in (3.0, 1.0, 4.0, 2.0):
        book.settled(receipt(f"at{ts:.0f}", ts))
    ledger.catch_up()
    assert [row["id"] for row in ledger.last(3)] == ["at2", "at3", "at4"]
    book.close()


def test_only_what_is_new_is_read(data_dir: Path, ledger: Ledger) -> None:
    book = busy(data_dir, 3)
    assert [ledger.catch_up(), ledger.catch_up()] == [3, 0]
    book.settled(receipt("b"))
    assert [ledger.catch_up(), ledger.catch_up()] == [1, 0]
    book.close()


def test_a_limit_is_kept_and_nothing_is_lost_by_it(data_dir: Path, ledger: Ledger) -> None:
    book = busy(data_dir, 100, max_bytes=20_000)
    made = [ledger.catch_up(7) for _ in range(16)]
    assert made == [7] * 14 + [2, 0]
    assert [row["id"] for row in ledger.last(200)] == [f"a{number:04}" for number in range(100)]
    book.close()


def test_an_ask_going_on_is_no_row_and_one_whose_gateway_ended_is_unsettled(data_dir: Path, ledger: Ledger) -> None:
    book = Journal(data_dir)
    book.started(ask("a", model="big"), TS, "laptop")
    assert ledger.catch_up() == 0
    assert ledger.rebuild() == 0
    book.close()
    assert ledger.catch_up() == 1
    (row,) = ledger.last(1)
    nothing = {
        **dict.fromkeys(COLUMNS),
        **dict.fromkeys(("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "queue_ms", "total_ms"), 0),
    }
    said = {"id": "a", "ts": TS, "key": "laptop", "app": "curl", "dialect": "openai", "asked": "big", "stream": True, "prompt_chars": 12}
    assert row == {**nothing, **said, "outcome": "unsettled", "attempts": [], "checks": []}


def test_unsettled_rows_keep_to_the_limit(data_dir: Path, ledger: Ledger) -> None:
    book = Journal(data_dir)
    for number in range(10):
        book.started(ask(f"a{number}"), TS)
    book.close()
    assert [ledger.catch_up(4) for _ in range(4)] == [4, 4, 2, 0]


def test_a_settled_line_in_the_file_after_its_started_line(data_dir: Path, ledger: Ledger) -> None:
    book = Journal(data_dir, max_bytes=1)  # a file a line
    book.started(ask("a"), TS)
    assert ledger.catch_up() == 0
    book.settled(receipt("a"))
    book.close()
    assert len(journal.files(data_dir)) == 2
    assert ledger.catch_up() == 1
    assert [row["outcome"] for row in ledger.last(5)] == ["ok"]


def test_a_run_that_went_on_to_a_new_file_has_not_ended(data_dir: Path, ledger: Ledger) -> None:
    book = Journal(data_dir, max_bytes=1)
    for number in range(5):
        book.started(ask(f"a{number}"), TS)
    assert [locks.held(file.path) for file in journal.files(data_dir)][:2] == [False, False]
    assert ledger.catch_up() == 0
    book.close()
    assert ledger.catch_up() == 5


def test_a_run_that_goes_on_to_new_files_while_it_is_looked_at_has_not_ended(data_dir: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    book = Journal(data_dir, max_bytes=1)
    book.started(ask("a"), TS)
    held, looks = locks.held, []

    def after_two_more_files(path: Path) -> bool | None:
        looks.append(path)
        if len(looks) == 1:
            book.started(ask("b"), TS)
            book.started(ask("c"), TS)
            assert held(path) is False
            with closing(Ledger(data_dir)) as other:
                assert other.catch_up() == 0  # so nothing is left unread that would give the new files away
        return held(path)

    monkeypatch.setattr(locks, "held", after_two_more_files)
    assert ledger.catch_up() == 0
    assert len(looks) > 1
    book.close()


def test_a_new_file_that_is_not_locked_yet_says_nothing(data_dir: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    book = Journal(data_dir, max_bytes=300)
    book.started(ask("a"), TS)
    assert ledger.catch_up() == 0
    take, rows = locks.take, []

    def looked_at_before(fd: int) -> bool:
        rows.append(ledger.catch_up())
        return take(fd)

    monkeypatch.setattr(locks, "take", looked_at_before)
    for number in range(5):
        book.started(ask(f"b{number}"), TS)
    assert rows == [0, 0]
    book.close()


def test_a_run_that_settles_and_ends_while_it_is_looked_at(data_dir: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    book = Journal(data_dir)
    book.started(ask("a"), TS)
    held = locks.held

    def after_its_end(path: Path) -> bool | None:
        monkeypatch.undo()
        book.settled(receipt("a"))
        book.close()
        return held(path)

    monkeypatch.setattr(locks, "held", after_its_end)
    assert ledger.catch_up() == 1
    assert [row["outcome"] for row in ledger.last(5)] == ["ok"]


def test_rows_lie_by_arrival_whatever_order_they_came_in(data_dir: Path, ledger: Ledger) -> None:
    books = [Journal(data_dir), Journal(data_dir)]
    for number in (5, 2, 7, 1, 4):
        books[number % 2].settled(receipt(f"a{number}", TS + number))
        ledger.catch_up()
    before = raw(data_dir)
    assert [row[0] for row in before] == ["a1", "a2", "a4", "a5", "a7"]
    ledger.rebuild()
    assert raw(data_dir) == before
    for book in books:
        book.close()


def test_where_the_file_system_has_no_locks_an_hour_of_silence_tells(data_dir: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "held", lambda path: None)
    book = Journal(data_dir)
    book.started(ask("a"), TS)
    book.close()
    assert ledger.catch_up() == 0
    monkeypatch.setattr(view, "_SILENT_S", -1.0)
    assert ledger.catch_up() == 1
    late = Journal(data_dir)  # and if it comes back all the same, its receipt is what counts
    late.settled(receipt("a"))
    late.close()
    ledger.catch_up()
    assert [row["outcome"] for row in ledger.last(5)] == ["ok"]


def test_torn_and_damaged_lines_are_skipped_and_reported(data_dir: Path, ledger: Ledger) -> None:
    book = busy(data_dir, 2)
    assert book.path is not None
    with book.path.open("ab") as file:
        file.write(b'{"settled": {"id": 5}}\nnot json\n\x00\x00\x00\n\xff\xfe\n[1]\n{"settled":{"ts":1}}\n{"later kind":{}}\n')
    book.settled(receipt("z", TS + 9))
    with book.path.open("ab") as file:
        file.write(b'{"started":{"id":"torn","ts":1')
    assert ledger.catch_up() == 3
    assert ledger.damage() == [f"{book.path.name}: 6 lines cannot be read and are skipped"], "while the run lives, its last line may still be finished"
    book.close()
    assert ledger.catch_up() == 0
    assert ledger.damage()[1] == f"{book.path.name}: the last line, 30 bytes, was never finished and is skipped"
    assert [row["id"] for row in ledger.last(9)] == ["a0000", "a0001", "z"]


def test_a_line_in_two_parts_is_read_once_it_is_whole(data_dir: Path, ledger: Ledger) -> None:
    book = busy(data_dir, 1)
    assert book.path is not None
    whole = book.path.read_bytes().split(b"\n")[1].replace(b"a0000", b"b0000") + b"\n"
    for part in (whole[:100], whole[100:-1], b"\n"):
        ledger.catch_up()
        assert ledger.count() == 1
        with book.path.open("ab") as file:
            file.write(part)
    assert ledger.catch_up() == 1
    book.close()


def test_lines_of_other_versions_and_of_odd_values(data_dir: Path, ledger: Ledger) -> None:
    (data_dir / "journal-20250101T000000.000000Z-00000000.jsonl").write_text(
        '{"settled":{"id":"old","ts":5,"outcome":"ok","stream":true}}\n'
        '{"settled":{"id":"new","ts":6,"outcome":"ok","stream":true,"mood":{"good":true}}}\n'
        '{"settled":{"id":"odd","ts":7,"outcome":"ok","stream":false,"prompt_tokens":1000000000000000000000,"total_ms":null}}\n'
    )
    assert ledger.catch_up() == 3
    assert [(row["id"], row["prompt_tokens"], row["attempts"]) for row in ledger.last(3)] == [("old", 0, []), ("new", 0, []), ("odd", 2**63 - 1, [])]
    assert ledger.damage() == []


def test_a_line_longer_than_a_block(data_dir: Path, ledger: Ledger) -> None:
    book = Journal(data_dir)
    book.settled(receipt("a", checks=["x" * 3_000_000]))
    book.settled(receipt("b"))
    assert ledger.catch_up(1) == 1
    assert ledger.catch_up() == 1
    book.close()


def test_made_anew_it_is_the_same_to_the_byte(data_dir: Path, ledger: Ledger) -> None:
    books = [busy(data_dir, 30, prefix, max_bytes=6000) for prefix in "abc"]
    for step, book in enumerate(books):
        book.started(ask(f"open{step}"), TS - step)
        ledger.catch_up(11)
    books[0].close()
    path = books[1].path
    assert path is not None
    with path.open("ab") as file:
        file.write(b'{"settled":{"id":"torn')
    while ledger.catch_up(13):
        pass
    before = raw(data_dir)
    assert len(before) == 91
    assert ledger.rebuild() == 91
    assert raw(data_dir) == before
    with closing(sqlite3.connect(data_dir / "ledger.sqlite")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    for book in books[1:]:
        book.close()
    ledger.catch_up()
    assert ledger.count() == 93
    assert not (data_dir / "ledger.rebuild.sqlite").exists()


def test_a_rebuild_that_was_killed_leaves_no_trace(data_dir: Path, ledger: Ledger) -> None:
    busy(data_dir, 3).close()
    (data_dir / "ledger.rebuild.sqlite").write_bytes(b"half a database")
    assert ledger.rebuild() == 3
    assert not (data_dir / "ledger.rebuild.sqlite").exists()


def test_another_versions_ledger_is_made_anew(data_dir: Path) -> None:
    busy(data_dir, 3).close()
    with closing(sqlite3.connect(data_dir / "ledger.sqlite")) as connection:
        connection.executescript(f"CREATE TABLE receipts (old); INSERT INTO receipts VALUES (1); PRAGMA user_version = {migrations.VERSION + 1}")
    with closing(Ledger(data_dir)) as ledger:
        assert ledger.count() == 3


def test_a_ledger_rebuilt_by_another_version_meanwhile_is_left_alone(data_dir: Path, ledger: Ledger) -> None:
    with closing(sqlite3.connect(data_dir / "ledger.sqlite")) as connection:
        connection.execute(f"PRAGMA user_version = {migrations.VERSION + 1}")
    with pytest.raises(HomeportError, match="another version"):
        ledger.catch_up()


@pytest.mark.parametrize("content", [b"", b"this is no database, but long enough to be read as one" * 40, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_spoilt_ledger_is_made_anew(data_dir: Path, content: bytes) -> None:
    busy(data_dir, 3).close()
    (data_dir / "ledger.sqlite").write_bytes(content)
    with closing(Ledger(data_dir)) as ledger:
        ledger.catch_up()
        assert ledger.count() == 3


def test_a_ledger_spoilt_within_is_mended_by_a_rebuild(data_dir: Path) -> None:
    busy(data_dir, 500).close()
    with closing(Ledger(data_dir)) as ledger:
        ledger.catch_up()
    content = bytearray((data_dir / "ledger.sqlite").read_bytes())
    content[8192:-8192] = b"\xaa" * (len(content) - 16384)
    (data_dir / "ledger.sqlite").write_bytes(content)
    with closing(Ledger(data_dir)) as ledger:
        with pytest.raises(HomeportError, match="ledger rebuild"):
            ledger.last(500)
        assert ledger.rebuild() == 500
        assert len(ledger.last(500)) == 500


def test_a_ledger_removed_under_a_running_gateway_comes_back(data_dir: Path, ledger: Ledger) -> None:
    book = busy(data_dir, 3)
    ledger.catch_up()
    for path in data_dir.glob("ledger.sqlite*"):
        path.unlink()
    assert ledger.catch_up() == 3
    assert len(raw(data_dir)) == 3
    book.close()


def test_a_folder_that_cannot_be_used_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HomeportError, match=r"ledger\.sqlite cannot be used.*journal"):
        Ledger(tmp_path / "file")


def test_many_at_once_make_each_row_once(data_dir: Path) -> None:
    """A gateway writes while three processes catch up, rebuild and read; at every moment a reader sees whole rows, none twice."""
    program = """
import sys
from pathlib import Path
from homeport.storage.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
print("ready", flush=True)
for turn in range(12):
    if sys.argv[2] == "rebuild": ledger.rebuild()
    else: ledger.catch_up(50)
    ids = [row["id"] for row in ledger.last(5000)]
    assert len(ids) == len(set(ids)) and ids == sorted(ids)
ledger.close()
"""
    book = busy(data_dir, 200, max_bytes=50_000)
    others = [subprocess.Popen([sys.executable, "-c", program, str(data_dir), kind], stdout=subprocess.PIPE) for kind in ("rebuild", "rebuild", "catch up")]
    for other in others:
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
    for number in range(200, 600):
        book.settled(receipt(f"a{number:04}", TS + number))
    assert [other.wait(60) for other in others] == [0, 0, 0]
    for other in others:
        assert other.stdout is not None
        other.stdout.close()
    with closing(Ledger(data_dir)) as ledger:
        ledger.catch_up()
        assert [row["id"] for row in ledger.last(1000)] == [f"a{number:04}" for number in range(600)]
    book.close()


def test_two_that_open_at_once_make_one_ledger(tmp_path: Path) -> None:
    for turn in range(10):
        folder = tmp_path / str(turn)
        busy(folder, 5).close()
        together = threading.Barrier(3)

        def look(folder: Path, together: threading.Barrier = together) -> int:
            together.wait()
            with closing(Ledger(folder)) as ledger:
                ledger.catch_up()
                return ledger.count()

        with ThreadPoolExecutor(3) as threads:
            assert list(threads.map(look, [folder] * 3)) == [5, 5, 5]
