"""Files are written whole, kept beside, and brought back only where nobody touched them since."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from homeport.cli.clients import files
from homeport.cli.clients.client import Spoilt
from homeport.cli.failure import Failed


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "data" / "connect" / "x.json"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / ".x" / "config"


def put(path: Path, text: str, record: Path) -> Path | None:
    return files.write(files.Text.read(path), text, record)


def test_a_new_file_and_back(path: Path, record: Path) -> None:
    assert put(path, "new\n", record) is None
    assert path.read_text() == "new\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert files.undo(record) == (path, False)
    assert not path.parent.parent.exists()
    assert files.undo(record) is None


def test_folders_in_use_stay(path: Path, record: Path) -> None:
    put(path, "new\n", record)
    (path.parent.parent / "other").write_text("")
    files.undo(record)
    assert not path.parent.exists()
    assert (path.parent.parent / "other").exists()


def test_an_earlier_file_is_kept_beside_and_comes_back(path: Path, record: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xef\xbb\xbfold\r\n")
    path.chmod(0o640)
    assert files.Text.read(path).text == "old\n"
    backup = put(path, "old\nnew\n", record)
    assert backup == path.with_name("config.homeport-backup")
    assert path.read_bytes() == b"\xef\xbb\xbfold\r\nnew\r\n"
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(backup.stat().st_mode) == 0o640
    assert put(path, "other\n", record) == backup
    assert backup.read_bytes() == b"\xef\xbb\xbfold\r\n"
    assert files.undo(record) == (path, True)
    assert path.read_bytes() == b"\xef\xbb\xbfold\r\n"
    assert os.listdir(path.parent) == ["config"]


def test_line_ends_of_both_kinds_stay_as_they_are(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"a\r\nb\n")
    file = files.Text.read(path)
    assert file.encoded(file.text + "c\n") == b"a\r\nb\nc\n"


def test_a_link_stays_a_link(path: Path, record: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles"
    real.write_text("old\n")
    path.parent.mkdir(parents=True)
    path.symlink_to(real)
    put(path, "new\n", record)
    assert path.is_symlink()
    assert real.read_text() == "new\n"
    files.undo(record)
    assert path.is_symlink()
    assert real.read_text() == "old\n"


def test_a_file_that_was_changed_since_is_not_undone(path: Path, record: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("old\n")
    backup = put(path, "new\n", record)
    path.write_text("mine\n")
    with pytest.raises(Failed, match=r"was changed since Homeport wrote it, so it stays as it is\. What it was before is in .*config\.homeport-backup"):
        files.undo(record)
    assert path.read_text() == "mine\n"
    assert put(path, "mine new\n", record) == path.with_name("config.homeport-backup-2")
    assert files.undo(record) == (path, True)
    assert path.read_text() == "mine\n"
    assert backup is not None and backup.read_text() == "old\n"


def test_a_new_file_that_was_changed_since_is_not_undone(path: Path, record: Path) -> None:
    put(path, "new\n", record)
    path.write_text("mine\n")
    with pytest.raises(Failed, match="There was no such file before, or take Homeport's lines out by hand"):
        files.undo(record)
    path.unlink()
    assert files.undo(record) == (path, False)


def test_what_is_gone_is_not_brought_back_in_silence(path: Path, record: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("old\n")
    backup = put(path, "new\n", record)
    assert backup is not None
    path.unlink()
    with pytest.raises(Failed, match=r"is gone\. To have the earlier one, move"):
        files.undo(record)
    path.write_text("new\n")
    backup.unlink()
    with pytest.raises(Failed, match="which holds the earlier file, is gone"):
        files.undo(record)
    assert path.read_text() == "new\n"


def test_a_file_that_changes_at_this_moment_is_not_overwritten(path: Path, record: Path) -> None:
    file = files.Text.read(path)
    path.parent.mkdir(parents=True)
    path.write_text("mine\n")
    with pytest.raises(Failed, match="changed at this moment"):
        files.write(file, "new\n", record)
    assert path.read_text() == "mine\n"
    assert not record.exists()


def test_what_cannot_be_written_leaves_everything_as_it_was(path: Path, record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("old\n")
    replace = os.replace

    def full(source: Path, target: Path) -> None:
        if Path(target) == path:
            raise OSError(28, "No space left on device", str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        put(path, "new\n", record)
    assert path.read_text() == "old\n"
    assert os.listdir(path.parent) == ["config"]
    assert files.undo(record) is None


def test_what_is_not_text_is_refused(path: Path, record: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"a\n\xff\n")
    with pytest.raises(Spoilt, match="line 2: is not UTF-8"):
        files.Text.read(path)
    record.parent.mkdir(parents=True)
    record.write_text("{")
    with pytest.raises(Failed, match="is spoilt"):
        files.undo(record)
