"""Where homeport.toml is looked for, and where the data goes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from homeport.settings import load, places


def on(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    monkeypatch.setattr(sys, "platform", platform)


def test_folders_on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "linux")
    assert places.config_folder({"HOME": "/h"}) == Path("/h/.config/homeport")
    assert places.data_folder({"HOME": "/h"}) == Path("/h/.local/share/homeport")
    assert places.config_folder({"HOME": "/h", "XDG_CONFIG_HOME": "/c"}) == Path("/c/homeport")
    assert places.data_folder({"HOME": "/h", "XDG_DATA_HOME": "/d"}) == Path("/d/homeport")
    assert places.data_folder({"HOME": "/h", "XDG_DATA_HOME": "d"}) == Path("/h/.local/share/homeport"), "the XDG rule: a relative one does not count"


def test_folders_on_macos(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "darwin")
    assert places.config_folder({"HOME": "/h"}) == places.data_folder({"HOME": "/h"}) == Path("/h/Library/Application Support/homeport")
    assert places.config_folder({"HOME": "/h", "XDG_CONFIG_HOME": "/c"}) == Path("/c/homeport")


def test_folders_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "win32")
    assert places.config_folder({"USERPROFILE": "/u"}) == Path("/u/AppData/Roaming/homeport")
    assert places.data_folder({"USERPROFILE": "/u", "LOCALAPPDATA": "/l"}) == Path("/l/homeport")


def test_the_search_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--config, $HOMEPORT_CONFIG, ./homeport.toml, the platform's folder, nothing."""
    here, usual = tmp_path / "here", tmp_path / "config" / "homeport"
    here.mkdir()
    usual.mkdir(parents=True)
    monkeypatch.chdir(here)
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    files = [tmp_path / "flag.toml", tmp_path / "told.toml", here / "homeport.toml", usual / "homeport.toml"]

    def found(flag: Path | None = None, told: str = "") -> tuple[Path | None, int, str]:
        settings = load(config=flag, environ=environ | ({"HOMEPORT_CONFIG": told} if told else {}))
        return settings.path, settings.server.max_body_mb, settings.origins["config"]

    assert found() == (None, 32, "default")
    for number, file in reversed(list(enumerate(files, 1))):
        file.write_text(f"[server]\nmax_body_mb = {number}\n")
        flag = files[0] if number == 1 else None
        told = str(files[1]) if number <= 2 else ""
        assert found(flag, told) == (file, number, {1: "flag", 2: "environment"}.get(number, "default"))
