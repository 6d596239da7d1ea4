"""The digest of a file: right, read once, and again where the file has changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from homeport.backends.file_digest import BLOCK, FileDigest


def test_right_and_read_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"x" * (2 * BLOCK + 5))
    digest = FileDigest(file)
    assert digest.value == ""
    digest.look()
    assert digest.value == hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setattr(hashlib, "sha256", None)
    digest.look()
    monkeypatch.undo()
    file.write_bytes(b"other")
    digest.look()
    assert digest.value == hashlib.sha256(b"other").hexdigest()
    file.unlink()
    digest.look()
    assert digest.value == ""
