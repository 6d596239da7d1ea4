"""The bundled files against their sums."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport import pilot
from homeport.doctor import bundled


def test_what_ships_is_as_it_was_made() -> None:
    problems = [found.what for found in bundled.look() if not found.ok and "pilot-mini.gguf cannot be read" not in found.what]
    assert problems == []


def test_each_file_that_is_not_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pilot, "SPANS", tmp_path / "spans.bin")
    monkeypatch.setattr(pilot, "INTENT", tmp_path / "intent.bin")
    pilot.SPANS.write_bytes(b"other")
    found = [one for one in bundled.look() if one.ok is False]
    told = [one.what for one in found]
    assert any("spans.bin is not as it was made: its SHA-256 begins" in what for what in told)
    assert any("intent.bin cannot be read" in what for what in told)
    assert all(one.check == "pilot.files" and one.fix == "pip install --force-reinstall homeport" for one in found)


def test_small_files_are_checked_as_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pilot, "FOLDER", tmp_path)
    (tmp_path / "spans.bin").write_bytes(b"other")
    with pytest.raises(pilot.Spoilt, match=r"spans\.bin is not as it was made\. Install Homeport anew"):
        pilot.read(tmp_path / "spans.bin")
    with pytest.raises(pilot.Spoilt, match=r"gone\.bin cannot be read"):
        pilot.read(tmp_path / "gone.bin")
    assert pilot.digest(tmp_path / "unknown.gguf") is None and pilot.digest(Path("/elsewhere/pilot.gguf")) is None
