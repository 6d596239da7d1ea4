"""The whole round: everything at once, bounded, and what hangs is left behind."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from homeport.doctor import disk, graphics
from homeport.doctor.case import Case
from homeport.doctor.examination import examine
from homeport.settings import BackendSettings, load
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Model

KEY = "hp_c4narykeyc4narykeyc4narykeyc4narykeyc4nary"


@pytest.fixture(autouse=True)
def no_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine that runs the tests may have some."""
    monkeypatch.setattr(graphics, "look", graphics.Graphics)


def config(folder: Path, text: str) -> Path:
    path = folder / "homeport.toml"
    path.write_text(f'[server]\nlisten = "127.0.0.1:0"\ndata = "data"\n{text}', encoding="utf-8")
    path.chmod(0o600)
    return path


def test_engines_are_seen_once_and_nothing_secret_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME_TOKEN", "c4nary-upstream")
    model = Model("qwen3:8b", context=8192, trained=8192, size=1000, vram=400)
    with ScriptedBackend(style="ollama", models=[model], api_key="c4nary-upstream") as scripted:
        text = f'[backends.home]\nkind = "ollama"\nurl = "{scripted.url}"\napi_key = {{ env = "HOME_TOKEN" }}\n'
        settings = load(config=config(tmp_path, text + '[monitor]\nnotify = ["ntfys://c4nary@ntfy.example/t"]\n[tunnel]\nto = "t@vps"\n'))
        usual = (BackendSettings(name="ollama", kind="ollama", url=scripted.url),)  # the same engine, where engines usually are
        found = examine(Case(version="1", settings=settings, key=KEY, usual=usual))
        assert scripted.generations == 0
    told = {one.check: one for one in found}
    assert told["engine.reachable"].what == "home answers: Ollama 0.32.15 with qwen3:8b"
    assert told["engine.gpu"].ok is False
    assert told["clock.skew"].ok is True
    assert told["notify.targets"].ok is True and told["notify.dead_man"].ok is None and told["tunnel.state"].ok is False
    assert [one.check for one in found].count("engine.reachable") == 1
    assert "c4nary" not in str(found)


def test_a_look_that_hangs_is_left_behind_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    healed = threading.Event()

    def hang(data: Path) -> list[object]:
        healed.wait(60)
        return []

    monkeypatch.setattr(disk, "look", hang)
    began = time.monotonic()
    found = {one.check: one for one in examine(Case(version="1", settings=load(config=config(tmp_path, ""))), limit_s=0.5)}
    assert time.monotonic() - began < 10
    healed.set()
    assert (found["doctor.disk"].ok, found["doctor.disk"].what) == (None, "disk could not be looked at: it took too long")
    assert "configuration.valid" in found


def test_a_look_that_fails_does_not_end_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(data: Path) -> list[object]:
        raise OSError("Stale file handle")

    monkeypatch.setattr(disk, "look", fail)
    found = {one.check: one for one in examine(Case(version="1", settings=load(config=config(tmp_path, ""))))}
    assert found["doctor.disk"].what == "disk could not be looked at: Stale file handle"
    assert "permissions.files" in found


@pytest.mark.slow
def test_ten_dead_engines_take_no_longer_than_one(tmp_path: Path) -> None:
    """192.0.2.0/24 is nobody's: packets to it are lost, or refused at once."""
    backends = "".join(f'[backends.b{n}]\nkind = "openai"\nurl = "http://192.0.2.{n}:9"\nlocation = "local"\n' for n in range(1, 11))
    began = time.monotonic()
    found = [one for one in examine(Case(version="1", settings=load(config=config(tmp_path, backends)))) if one.check == "engine.reachable"]
    assert time.monotonic() - began < 12
    assert [one.ok for one in found] == [False] * 10


def test_a_bad_configuration_is_told_line_by_line_and_the_rest_goes_on(tmp_path: Path) -> None:
    settings = load(config=config(tmp_path, ""))
    found = examine(Case(version="1", settings=settings, fault="homeport.toml:3: a\nhomeport.toml:4: b"))
    assert [one.what for one in found if one.check == "configuration.valid"] == ["homeport.toml:3: a", "homeport.toml:4: b"]
    assert any(one.check == "disk.space" for one in found)
