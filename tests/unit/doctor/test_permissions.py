"""Who else may read what is not for them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from homeport.doctor.diagnosis import Diagnosis
from homeport.doctor.permissions import look
from homeport.settings import load
from homeport.storage.keys import Keys

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder as Homeport makes it, with a key."""
    folder = tmp_path / "data"
    Keys(folder).add("laptop")
    return folder


def by_check(data: Path, config: Path | None = None, **environ: str) -> dict[str, Diagnosis]:
    return {one.check: one for one in look(load(config=config, environ={"HOMEPORT_DATA": str(data), **environ})) if one.check != "permissions.root"}


def test_what_homeport_makes_is_closed_to_others(data: Path) -> None:
    assert [(one.check, one.ok) for one in by_check(data).values()] == [("permissions.files", True)]


def test_an_open_folder_and_the_open_files_in_it(data: Path) -> None:
    data.chmod(0o755)
    (data / "journal-1.jsonl").touch()
    (data / "journal-1.jsonl").chmod(0o644)
    found = by_check(data)
    assert found["permissions.folder"].ok is found["permissions.files"].ok is False
    assert found["permissions.folder"].fix == f"chmod 700 {data}"
    assert "journal-1.jsonl" in found["permissions.files"].what and "keys.json" not in found["permissions.files"].what
    assert found["permissions.files"].fix == f"chmod 600 {data}/journal-*.jsonl"


def test_open_files_in_a_closed_folder_are_closed(data: Path) -> None:
    (data / "keys.json").chmod(0o644)
    assert by_check(data)["permissions.files"].ok is True


def test_a_secret_that_others_may_read(data: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n", encoding="utf-8")
    config = tmp_path / "homeport.toml"
    config.write_text('[backends.x]\nkind = "openai"\nurl = "http://127.0.0.1:1"\napi_key = { file = "token" }\n', encoding="utf-8")
    (tmp_path / "token").chmod(0o644)
    found = by_check(data, config)["permissions.secrets"]
    assert found.ok is False
    assert found.fix == f"chmod 600 {tmp_path / 'token'}"
    assert "s3cret" not in str(found)
    (tmp_path / "token").chmod(0o600)
    assert "permissions.secrets" not in by_check(data, config)


def test_addresses_that_may_hold_tokens_in_a_file_for_all(data: Path, tmp_path: Path) -> None:
    config = tmp_path / "homeport.toml"
    config.write_text('[monitor]\nnotify = ["ntfys://tok3n@ntfy.example/x"]\n', encoding="utf-8")
    config.chmod(0o644)
    found = by_check(data, config)["permissions.config"]
    assert found.ok is False
    assert "tok3n" not in str(found)
    config.chmod(0o600)
    assert "permissions.config" not in by_check(data, config)
    config.write_text('[monitor]\nnotify = [{ env = "TO" }]\n', encoding="utf-8")
    config.chmod(0o644)
    assert "permissions.config" not in by_check(data, config, TO="ntfys://ntfy.example/x")


def test_a_file_without_secrets_is_for_all(data: Path, tmp_path: Path) -> None:
    config = tmp_path / "homeport.toml"
    config.write_text("[server]\n", encoding="utf-8")
    config.chmod(0o644)
    assert by_check(data, config)["permissions.files"].ok is True


def test_no_folder_yet_is_nothing_to_complain_of(tmp_path: Path) -> None:
    assert [one.ok for one in by_check(tmp_path / "none").values()] == [True]


def test_root_is_told(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(environ={"HOMEPORT_DATA": str(data)})
    owner = data.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert any(one.check == "permissions.root" and one.ok is None for one in look(settings))
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    found = {one.check: one for one in look(settings)}
    assert "permissions.root" not in found
    assert found["permissions.owner"].ok is None
