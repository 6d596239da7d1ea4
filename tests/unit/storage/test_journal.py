"""The journal: lines in the kernel at once, nothing torn, nothing lost while the disk is full."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from homeport.errors import HomeportError
from homeport.storage import journal, locks
from homeport.storage.journal import Journal
from homeport.storage.lines import Started, StartedLine, encoded
from tests.unit.storage.samples import TS, ask, ids, largest_file, lines, receipt, small_disk


def test_both_lines_are_there_when_the_calls_return(data_dir: Path) -> None:
    book = Journal(data_dir)
    book.started(ask("a"), TS, "laptop")
    assert lines(data_dir) == [
        {
            "started": {
                "id": "a",
                "ts": TS,
                "key": "laptop",
                "app": "curl",
                "dialect": "openai",
                "asked": "assistant",
                "stream": True,
                "prompt_chars": 12,
            }
        }
    ]
    book.settled(receipt("a"))
    settled = lines(data_dir)[1]["settled"]
    assert tuple(settled) == receipt().__struct_fields__
    assert settled["attempts"][0] == {"backend": "vm", "model": "qwen", "outcome": "unreachable", "reason": "no connection: “refused”", "ms": 3.5}
    book.close()


def test_names_modes_and_the_folder_that_was_not_there(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    book = Journal(folder)
    book.started(ask(), TS)
    (file,) = journal.files(folder)
    assert file.path == book.path
    assert file.name.startswith("journal-20")
    assert file.run in file.name
    if os.name == "posix":
        assert file.path.stat().st_mode & 0o777 == 0o600
        assert folder.stat().st_mode & 0o777 == 0o700
    book.close()


def test_an_unused_file_goes_and_a_used_one_stays(data_dir: Path) -> None:
    unused, used = Journal(data_dir), Journal(data_dir)
    used.started(ask(), TS)
    unused.close()
    used.close()
    assert [file.path for file in journal.files(data_dir)] == [used.path]
    assert ids(data_dir, "started") == ["req-1"]


def test_a_large_file_is_followed_by_a_new_one_and_both_are_locked(data_dir: Path) -> None:
    book = Journal(data_dir, max_bytes=2000)
    for number in range(20):
        book.started(ask(f"a{number:02}"), TS)
        book.settled(receipt(f"a{number:02}"))
    found = journal.files(data_dir)
    assert len(found) > 3
    assert {file.run for file in found} == {found[0].run}
    assert all(2000 <= file.size < 3000 for file in found[:-1])
    assert ids(data_dir, "settled") == [f"a{number:02}" for number in range(20)], "names are in the order of writing"
    assert [locks.held(file.path) for file in found[-2:]] == [True, True]
    book.close()
    assert [locks.held(file.path) for file in found] == [False] * len(found)


def test_held_lines_go_out_with_flush(data_dir: Path) -> None:
    book = Journal(data_dir)
    book.hold = True
    for number in range(1000):
        book.started(ask(f"a{number}"), TS)
    assert lines(data_dir) == []
    assert book.waiting == 1000
    assert book.flush()
    assert ids(data_dir, "started") == [f"a{number}" for number in range(1000)]
    assert book.waiting == 0
    book.close()


def test_text_that_utf8_cannot_hold_and_huge_numbers_are_written(data_dir: Path) -> None:
    book = Journal(data_dir)
    book.started(ask("a", model="bad \ud800 name\n"), TS)
    book.settled(receipt("a", asked="bad \ud800 name\n", prompt_tokens=10**30))
    book.close()
    assert [list(line) for line in lines(data_dir)] == [["started"], ["settled"]]
    assert lines(data_dir)[0]["started"]["asked"] == "bad ? name\n"


def test_a_write_that_is_cut_short_is_completed_first(data_dir: Path) -> None:
    book = Journal(data_dir)
    book.started(ask("a"), TS)
    with largest_file(journal.files(data_dir)[0].size + 50):
        book.started(ask("b"), TS)
        assert book.trouble is not None
        book.settled(receipt("a"))
        book.started(ask("c"), TS)
        assert book.waiting == 3
        assert not book.flush()
    assert ids(data_dir, "started") == ["a"], "b is torn so far"
    book.started(ask("d"), TS)
    assert book.trouble is None
    assert book.waiting == 0
    assert ids(data_dir, "started") == ["a", "b", "c", "d"]
    assert ids(data_dir, "settled") == ["a"]
    book.close()


def test_a_torn_line_is_never_followed_by_a_new_file(data_dir: Path) -> None:
    book = Journal(data_dir, max_bytes=300)
    with largest_file(350):
        for number in range(4):
            book.started(ask(f"a{number}"), TS)
    book.flush()
    assert ids(data_dir, "started") == ["a0", "a1", "a2", "a3"]
    assert all(file.path.read_bytes().endswith(b"\n") for file in journal.files(data_dir))
    book.close()


def test_held_lines_cut_short_are_completed_in_the_same_file(data_dir: Path) -> None:
    line = len(encoded([StartedLine(Started("a0", TS, None, "curl", "openai", "assistant", True, 12))]))
    book = Journal(data_dir, max_bytes=line + 1)
    book.hold = True
    for number in range(6):
        book.started(ask(f"a{number}"), TS)
    for room in (line + 10, line + 20, 2 * line - 1):
        with largest_file(room):
            assert not book.flush()
            assert len(journal.files(data_dir)) == 1
    assert book.flush()
    assert ids(data_dir, "started") == [f"a{number}" for number in range(6)]
    assert all(file.path.read_bytes().endswith(b"\n") for file in journal.files(data_dir) if file.size)
    book.close()


def test_beyond_the_bounds_asks_are_refused_and_receipts_kept(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MAX_WAITING_LINES", 10)
    book = Journal(data_dir)
    with largest_file(0):
        for number in range(10):
            book.started(ask(f"a{number}"), TS)
        with pytest.raises(HomeportError, match=r"cannot record.*File too large") as refused:
            book.started(ask("b"), TS)
        assert refused.value.status == 503
        for number in range(15):
            book.settled(receipt(f"a{number}"))
        assert (book.waiting, book.lost) == (20, 5), "twice the bounds, and no more"
    book.started(ask("b"), TS)
    assert ids(data_dir, "started") == [f"a{number}" for number in range(10)] + ["b"]
    assert ids(data_dir, "settled") == [f"a{number}" for number in range(10)]
    book.close()


def test_many_bytes_waiting_are_too_much_too(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MAX_WAITING_BYTES", 1000)
    book = Journal(data_dir)
    with largest_file(0):
        book.settled(receipt("a", checks=["x" * 2000]))
        with pytest.raises(HomeportError, match="cannot record"):
            book.started(ask("b"), TS)
    book.close()
    assert ids(data_dir, "settled") == ["a"]


def test_a_disk_that_is_full_and_gets_room_again(tmp_path: Path) -> None:
    with small_disk(tmp_path, "128k") as disk:
        book = Journal(disk)
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file:
            file.write(bytes(100 << 10))
        for number in range(100):
            book.started(ask(f"a{number}"), TS)
            book.settled(receipt(f"a{number}"))
        assert book.trouble is not None
        assert "No space left" in book.trouble
        written = ids(disk, "settled")
        assert 0 < len(written) < 100
        filler.unlink()
        assert book.flush()
        assert book.trouble is None
        assert ids(disk, "started") == ids(disk, "settled") == [f"a{number}" for number in range(100)]
        book.close()


def test_a_disk_that_is_full_from_the_start(tmp_path: Path) -> None:
    with small_disk(tmp_path, "16k") as disk:
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file:
            file.write(bytes(1 << 20))
        book = Journal(disk)
        book.started(ask("a"), TS)
        assert book.trouble is not None
        filler.unlink()
        book.settled(receipt("a"))
        assert (ids(disk, "started"), ids(disk, "settled")) == (["a"], ["a"])
        book.close()


def test_a_folder_that_cannot_be_made_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(HomeportError, match=r"Cannot write to .*data.*server\.data"):
        Journal(tmp_path / "file" / "data")


def test_other_files_in_the_folder_are_not_the_journals(data_dir: Path) -> None:
    for name in ("journal.jsonl", "journal-x.jsonl.gz", "notes-journal-1-2.jsonl"):
        (data_dir / name).write_text("{}\n")
    assert journal.files(data_dir) == []
    assert journal.files(data_dir / "nowhere") == []


def test_after_close_a_late_receipt_still_finds_its_way(data_dir: Path) -> None:
    book = Journal(data_dir)
    book.started(ask("a"), TS)
    book.close()
    book.settled(receipt("a"))
    book.close()
    assert ids(data_dir, "settled") == ["a"]
