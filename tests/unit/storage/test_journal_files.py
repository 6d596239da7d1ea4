"""The journal's files: their names, how many are open, how they end, and what is written to them after trouble."""

from __future__ import annotations

import errno
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import pytest

from homeport.errors import HomeportError
from homeport.storage import journal, locks
from homeport.storage.journal import Journal
from homeport.storage.lines import Started, StartedLine, encoded
from tests.unit.storage.samples import TS, ask, ids, receipt


class Disk:
    """Writes and new files of the journal, counted; `full` refuses both, `no_files` the latter; `room` is what it takes before it is full."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = self.no_files = False
        self.room: list[int] = []  # bytes of the next writes
        self.written: list[int] = []  # lines of each write
        self.asked = 0  # for new files
        self._write, self._open = os.write, os.open
        monkeypatch.setattr(journal.os, "write", self.write)
        monkeypatch.setattr(journal.os, "open", self.open)

    def write(self, fd: int, data: bytes) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        if self.room:
            data = data[: self.room.pop(0)]
            self.full = not self.room
        self.written.append(data.count(b"\n"))
        return self._write(fd, data)

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        if "journal-" in str(path):
            self.asked += 1
            if self.full or self.no_files:
                raise OSError(errno.ENOSPC, "No space left on device")
        return self._open(path, flags, mode)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_the_bounds_are_those_of_the_documentation(data_dir: Path) -> None:
    assert (journal.MAX_WAITING_LINES, journal.MAX_WAITING_BYTES) == (20_000, 16 * 1024 * 1024)
    book = Journal(data_dir)
    assert (book._max_bytes, book._rotate_at) == (64 * 1024 * 1024, 64 * 1024 * 1024)
    book.close()


def test_a_name_is_its_time_and_its_run(data_dir: Path) -> None:
    book = Journal(data_dir)
    (file,) = journal.files(data_dir)
    assert re.fullmatch(r"journal-\d{8}T\d{6}\.\d{6}Z-[0-9a-f]{8}\.jsonl", file.name)
    assert file.name.endswith(f"-{file.run}.jsonl")
    assert len(file.run) == 8
    assert (file.size, file.path, book.hold, book.trouble, book.lost) == (0, data_dir / file.name, False, None, 0)
    book.started(ask(), TS)
    assert journal.files(data_dir)[0].size == book._size > 0
    book.close()


def test_files_are_listed_oldest_first(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"journal-2026010{day}T000000.000000Z-00000000.jsonl" for day in range(1, 6)]
    for name in names:
        (data_dir / name).touch()
    monkeypatch.setattr(journal.os, "listdir", lambda folder: [*names[3:], "notes.jsonl", *names[:3]])
    assert [file.name for file in journal.files(data_dir)] == names


def test_names_never_step_back_with_the_clock(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([datetime(2026, 3, 1, second=second, tzinfo=UTC) for second in (9, 5, 9, 30)])
    monkeypatch.setattr(journal, "datetime", mock.Mock(now=lambda zone: next(moments), min=datetime(1, 1, 1, tzinfo=UTC)))
    book = Journal(data_dir, max_bytes=1)
    for number in range(3):
        book.started(ask(f"a{number}"), TS)
    stamps = [file.name.split("-")[1] for file in journal.files(data_dir)]
    assert stamps == ["20260301T000009.000000Z", "20260301T000009.000001Z", "20260301T000009.000002Z", "20260301T000030.000000Z"]
    book.close()


def test_only_the_newest_two_files_stay_open(data_dir: Path) -> None:
    book = Journal(data_dir, max_bytes=1)
    for number in range(4):
        book.started(ask(f"a{number}"), TS)
    found = journal.files(data_dir)
    assert [locks.held(file.path) for file in found] == [False, False, False, True, True]
    held = (book._fd, book._previous)
    book.close()
    assert (book._fd, book._previous) == (-1, -1)
    for fd in held:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


def test_close_puts_both_files_on_the_disk_and_says_where_it_cannot(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []

    def fsync(fd: int) -> None:
        synced.append(fd)
        raise OSError(errno.EIO, "Input/output error")

    book = Journal(data_dir, max_bytes=1)
    book.started(ask(), TS)
    fds = [book._fd, book._previous]
    monkeypatch.setattr(journal.os, "fsync", fsync)
    book.close()
    assert synced == fds
    assert book.trouble is not None
    assert "Input/output error" in book.trouble
    book.close()
    assert synced == fds, "nothing is left to put there"


def test_close_writes_what_is_held_and_finds_its_file_gone(data_dir: Path) -> None:
    book, unused = Journal(data_dir), Journal(data_dir)
    book.hold = True
    book.started(ask("a"), TS)
    book.close()
    book.close()
    assert ids(data_dir, "started") == ["a"], "what has lines stays, however often it is closed"
    assert unused.path is not None
    unused.path.unlink()
    unused.close()


def test_a_first_file_that_cannot_be_made_is_made_later(data_dir: Path, disk: Disk) -> None:
    disk.full = True
    book = Journal(data_dir)
    assert (book.path, book.waiting) == (None, 0)
    assert book.trouble is not None
    assert "No space left on device" in book.trouble
    book.started(ask("a"), TS)
    book.settled(receipt("a"))
    assert (book.waiting, journal.files(data_dir)) == (2, [])
    disk.full = False
    assert book.flush()
    assert (book.trouble, book.waiting, book._waiting_bytes) == (None, 0, 0)
    assert (ids(data_dir, "started"), ids(data_dir, "settled")) == (["a"], ["a"])
    book.close()
    assert len(journal.files(data_dir)) == 1


def test_one_that_never_had_a_file_can_be_closed(data_dir: Path, disk: Disk) -> None:
    disk.full = True
    Journal(data_dir).close()
    assert list(data_dir.iterdir()) == []


def test_another_error_at_the_start_is_one(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal.os, "open", mock.Mock(side_effect=PermissionError(errno.EACCES, "Permission denied")))
    with pytest.raises(HomeportError, match=r"Cannot write to .*data: Permission denied\. Make that folder writable"):
        Journal(data_dir)


def test_after_trouble_one_line_is_tried_and_then_many_at_once(data_dir: Path, disk: Disk) -> None:
    book = Journal(data_dir)
    disk.full = True
    for number in range(600):
        book.started(ask(f"a{number:03}"), TS)
    assert book.waiting == 600
    assert book._waiting_bytes == sum(map(len, book._waiting))
    book.hold = True
    book.started(ask("a600"), TS)
    assert book.waiting == 601
    disk.full = False
    assert book.flush()
    assert disk.written == [1, 256, 256, 88]
    assert ids(data_dir, "started") == [f"a{number:03}" for number in range(601)]
    book.close()


def test_where_no_new_file_can_be_made_the_old_one_grows_and_is_not_asked_each_time(data_dir: Path, disk: Disk) -> None:
    line = len(encoded([StartedLine(Started("a00", TS, None, "curl", "openai", "assistant", True, 12))]))
    book = Journal(data_dir, max_bytes=32 * line)
    disk.asked, disk.no_files = 0, True
    tried = []
    for number in range(40):
        before = disk.asked
        book.started(ask(f"a{number:02}"), TS)
        tried += [number + 1] * (disk.asked - before)
    assert tried == [32, 35, 38], "as soon as it is full, and after each sixteenth more, and a byte"
    assert (book.trouble, len(journal.files(data_dir))) == (None, 1)
    disk.no_files = False
    book.started(ask("a40"), TS)
    assert len(journal.files(data_dir)) == 2
    assert book._rotate_at == 32 * line
    book.started(ask("a41"), TS)
    assert [file.size for file in journal.files(data_dir)] == [41 * line, line]
    assert (book._size, disk.asked) == (line, 4)
    book.close()


def test_the_refusal_says_when_to_come_again(data_dir: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MAX_WAITING_LINES", 1)
    book = Journal(data_dir)
    disk.full = True
    book.started(ask("a"), TS)
    with pytest.raises(HomeportError, match="Make room there") as refused:
        book.started(ask("b"), TS)
    assert (refused.value.status, refused.value.code, refused.value.retry_after_s) == (503, "cannot_record", 5)
    disk.full = False
    book.started(ask("c"), TS)  # what waited went out first
    assert ids(data_dir, "started") == ["a", "c"]
    book.close()


def test_bytes_are_counted_to_the_bound_and_forgotten_as_they_go(data_dir: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    line = len(encoded([StartedLine(Started("a0", TS, None, "curl", "openai", "assistant", True, 12))]))
    monkeypatch.setattr(journal, "MAX_WAITING_BYTES", 2 * line)
    book = Journal(data_dir)
    for _ in range(3):
        disk.full = True
        book.started(ask("a0"), TS)
        book.started(ask("a1"), TS)
        with pytest.raises(HomeportError):
            book.started(ask("a2"), TS)
        for number in range(6):
            book.settled(receipt(f"b{number}"))
        assert book.waiting == 3, "as many bytes again for receipts, and one that goes beyond"
        assert book._waiting_bytes > 4 * line
        disk.full = False
        assert book.flush()
        assert book._waiting_bytes == 0
    assert book.lost == 15
    book.close()


def test_an_ask_is_served_as_soon_as_there_is_room_for_its_line(data_dir: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MAX_WAITING_LINES", 2)
    book = Journal(data_dir)
    disk.full = True
    book.started(ask("a0"), TS)
    book.started(ask("a1"), TS)
    disk.full, disk.room = False, [1000]
    book.started(ask("a2"), TS)
    assert (book.waiting, ids(data_dir, "started")) == (2, ["a0"])
    with pytest.raises(HomeportError):
        book.started(ask("a3"), TS)
    disk.full = False
    book.close()
    assert ids(data_dir, "started") == ["a0", "a1", "a2"]


@pytest.mark.parametrize(("more", "sizes"), [(0, [1, 1, 0]), (1, [2, 0]), (-1, [1, 1, 0])])
def test_a_write_cut_at_a_lines_end_is_not_torn(data_dir: Path, disk: Disk, more: int, sizes: list[int]) -> None:
    """A file that has all it should is followed by the next one, unless the cut went through a line."""
    line = len(encoded([StartedLine(Started("a0", TS, None, "curl", "openai", "assistant", True, 12))]))
    book = Journal(data_dir, max_bytes=line - 1)
    book.hold = True
    book.started(ask("a0"), TS)
    book.started(ask("a1"), TS)
    disk.room = [line + more, *[10 * line] * 3]
    assert book.flush()
    assert [file.size for file in journal.files(data_dir)] == [size * line for size in sizes]
    assert book.trouble is None
    book.close()


def test_the_trouble_is_the_last_one(data_dir: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    book = Journal(data_dir)
    disk.full = True
    book.started(ask("a"), TS)
    assert "No space left on device" in str(book.trouble)
    with monkeypatch.context() as patch:
        patch.setattr(journal.os, "write", mock.Mock(side_effect=OSError(errno.EROFS, "Read-only file system")))
        assert not book.flush()
    assert "Read-only file system" in str(book.trouble)
    disk.full = False
    book.close()
    assert ids(data_dir, "started") == ["a"]
