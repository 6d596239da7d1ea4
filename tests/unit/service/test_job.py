"""What a service must know of Homeport and its configuration."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from homeport.errors import HomeportError
from homeport.service import job


def test_what_is_read_of_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "homeport.toml"
    path.write_text(
        '[server]\ndata = "data"\ndrain_timeout_s = 5\n[backends.home]\nkind = "ollama"\napi_key = { env = "NOT_SET_HERE" }\n[backends.big]\nkind = "engine"\n',
        encoding="utf-8",
    )
    assert job.read(path) == {"data": tmp_path / "data", "drain_s": 5.0, "engines": ("big",)}
    path.write_text("", encoding="utf-8")
    assert job.read(path) == {}
    for wrong in ("inf", "nan", "-1", "true"):
        path.write_text(f"[server]\ndrain_timeout_s = {wrong}\n", encoding="utf-8")
        assert job.read(path) == {}, "the gateway says so itself"
    assert job.read(None) == {}


def test_a_configuration_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "homeport.toml"
    path.write_text("[server", encoding="utf-8")
    with pytest.raises(HomeportError, match="config check --config"):
        job.read(path)
    with pytest.raises(HomeportError, match="No such file"):
        job.read(tmp_path / "missing.toml")


def test_how_homeport_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert job.program() == (str(tmp_path / "python"), "-m", "homeport")
    script = tmp_path / "homeport"
    script.touch(mode=0o755)
    assert job.program() == (str(script),)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".cache" / "uv" / "archive-v0" / "x"))
    with pytest.raises(HomeportError, match="uv tool install homeport"):
        job.program()


def test_the_folders_it_is_made_of_are_there_and_not_within_each_other() -> None:
    found = job.needed()
    assert all(path.is_dir() for path in found)
    assert not [path for path in found for other in found if path != other and path.is_relative_to(other)]
    assert any(Path(job.__file__).resolve().is_relative_to(path) for path in found)
