"""A room is installed once and kept; one that cannot be had says why, and leaves nothing that looks finished."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients import installing


@pytest.fixture
def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Locks and rooms of this test's own, and a pip that cannot fetch."""
    (tmp_path / "locks").mkdir()
    monkeypatch.setattr(installing, "LOCKS", tmp_path / "locks")
    monkeypatch.setattr(installing, "ROOMS", tmp_path / "rooms")
    monkeypatch.setattr(installing, "REFUSED", {})
    monkeypatch.setattr(installing, "USERS", {name: value for name, value in installing.USERS.items() if name != "PIP_FIND_LINKS"} | {"PIP_NO_INDEX": "1"})
    return tmp_path


def test_a_room_is_made_once_and_anew_when_its_lock_changes(rooms: Path) -> None:
    lock = rooms / "locks" / "empty.lock"
    lock.write_text("# nothing\n", encoding="utf-8")
    folder = installing.room("empty")
    assert installing.python(folder).exists()
    (folder / "kept").touch()
    assert installing.room("empty") == folder
    assert (folder / "kept").exists()
    lock.write_text("# nothing else\n", encoding="utf-8")
    assert not (installing.room("empty") / "kept").exists()


def test_what_cannot_be_had_is_told_at_once_the_second_time(rooms: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (rooms / "locks" / "absent.lock").write_text(f"absent-from-every-place==1.0 --hash=sha256:{'0' * 64}\n", encoding="utf-8")
    installing.main()
    assert "absent cannot be installed here: ERROR" in capsys.readouterr().out
    assert not (rooms / "rooms" / "absent" / "installed").exists()
    with pytest.raises(installing.CannotInstall, match="absent-from-every-place"):
        installing.room("absent")


def test_every_version_that_the_tables_name_is_locked() -> None:
    assert installing.version("", "openai").split(".")[0].isdigit()
    assert installing.version("vercel", "ai").split(".")[0].isdigit()
    with pytest.raises(AssertionError, match="in no lock file"):
        installing.version("litellm", "absent")
