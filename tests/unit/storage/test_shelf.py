"""The folder of pulled models."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport.storage.shelf import Shelf, is_name


def test_only_whole_models_are_found(tmp_path: Path) -> None:
    names = ("b.gguf", "a-00001-of-00002.gguf", "a-00002-of-00002.gguf", "c-00001-of-00002.gguf", "d.gguf.part", "d.json", ".e.lock")
    for name in (*names, "mmproj-b.gguf", "default.gguf", "ä.gguf", "f.GGUF"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "g.gguf").symlink_to(tmp_path / "nothing")
    found = Shelf(tmp_path).found()
    assert {name: stored.path.name for name, stored in found.items()} == {"a": "a-00001-of-00002.gguf", "b": "b.gguf"}
    assert [file for file, _, _ in found["a"].files] == ["a-00001-of-00002.gguf", "a-00002-of-00002.gguf"]


def test_a_change_shows(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    (tmp_path / "a.gguf").write_bytes(b"x")
    before = shelf.found()
    assert shelf.found() == before
    (tmp_path / "a.gguf").write_bytes(b"xy")
    assert shelf.found() != before


def test_no_folder_holds_nothing(tmp_path: Path) -> None:
    assert Shelf(tmp_path / "none").found() == {}
    (tmp_path / "file").write_bytes(b"")
    assert Shelf(tmp_path / "file").found() == {}


def test_a_record_is_kept_whole(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    assert shelf.record("a") == {}
    shelf.note("a", {"source": "x"})
    assert shelf.record("a") == {"source": "x"}
    (tmp_path / "a.json").write_bytes(b"[1, 2")
    assert shelf.record("a") == {}
    with pytest.raises(OSError):
        Shelf(tmp_path / "none").note("a", {})


def test_files_of_a_model(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    assert shelf.file("a", 1, 1) == tmp_path / "a.gguf"
    assert shelf.file("a", 2, 3) == tmp_path / "a-00002-of-00003.gguf"


@pytest.mark.parametrize(
    ("name", "good"), [("Qwen3-8B-Q4_K_M", True), ("a.b", True), ("", False), ("../a", False), (".a", False), ("Pilot", False), ("a" * 101, False)]
)
def test_names(name: str, good: bool) -> None:
    assert is_name(name) == good
