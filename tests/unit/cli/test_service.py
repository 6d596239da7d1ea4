"""`homeport service install`, `status` and `remove`, where systemd does not run and where a stand-in does."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from homeport.service import systemd

from .conftest import Homeport

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="these look at systemd")
UNIT = "homeport-gateway.service"


@pytest.fixture(autouse=True)
def a_machine_without_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, place in {"UNITS": "units", "SYSUSERS": "sysusers/homeport.conf", "RUNNING": "run", "STATE": "state"}.items():
        monkeypatch.setattr(systemd, name, tmp_path / place)
    monkeypatch.setattr("homeport.cli.service.SYSTEM_FILE", tmp_path / "etc" / "homeport.toml")
    monkeypatch.setattr(systemd.Systemd.__init__, "__kwdefaults__", {"environ": os.environ, "running": tmp_path / "run", "sandbox": None})
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_installed_shown_and_removed(homeport: Homeport, tmp_path: Path) -> None:
    (tmp_path / "homeport.toml").write_text("[server]\ndrain_timeout_s = 7\n", encoding="utf-8")
    unit = tmp_path / "config" / "systemd" / "user" / UNIT
    dry = homeport("service", "install", "--user", "--dry-run")
    assert dry.code == 0
    assert f"# {unit}\n" in dry.out and "TimeoutStopSec=22\n" in dry.out and "Would run systemctl --user daemon-reload\n" in dry.out
    assert not unit.exists()

    done = homeport("service", "install", "--user")
    assert done.code == 0
    assert done.out.startswith(f"Wrote {unit}\n\nNext:\n  loginctl enable-linger")
    assert len(done.out.partition("Next:\n")[2].splitlines()) == 3
    assert done.err.startswith(
        "homeport: written, but not started: systemd does not run on this machine. Where it is to run, call:\n  systemctl --user daemon-r"
    )
    assert f"up --config {tmp_path / 'homeport.toml'}\n" in unit.read_text(encoding="utf-8")
    assert f"Environment=HOMEPORT_DATA={tmp_path / 'data'}\n" in unit.read_text(encoding="utf-8"), "as in this shell"

    assert homeport("service", "status", "--user").out.splitlines() == [
        "gateway: installed, but systemd does not run on this machine",
        "tunnel: not installed; systemd does not run on this machine",
    ]
    assert homeport("service", "status", "gateway", "--user", "--json").json["state"] == "unknown"
    assert homeport("service", "remove", "--user").out == f"Removed {unit}\n"
    assert homeport("service", "remove", "--user").out == "The gateway is not installed for this user: there is nothing to remove.\n"


def test_for_the_machine(homeport: Homeport, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "homeport.toml").write_text('[backends.big]\nkind = "engine"\n', encoding="utf-8")
    told = homeport("service", "install", "gateway", "--system", "--json").json
    assert told["written"] == [str(tmp_path / "units" / UNIT), str(tmp_path / "sysusers" / "homeport.conf")]
    assert (told["scope"], told["init"], told["ran"], len(told["next"])) == ("system", "systemd", [], 3)
    assert "graphics card: if big should use one" in told["notes"][0]
    (tmp_path / "etc" / "homeport.toml").chmod(0o600)
    assert "must be able to read" in homeport("service", "install", "gateway", "--system", "--json").json["notes"][-1]
    (tmp_path / "etc" / "homeport.toml").chmod(0o644)
    text = (tmp_path / "units" / UNIT).read_text(encoding="utf-8")
    assert f"--config {tmp_path / 'etc' / 'homeport.toml'}\n" in text
    assert "HOMEPORT_DATA=/" in text and str(tmp_path / "data") not in text, "the caller's own folder is not the machine's"
    assert homeport("service", "install", "tunnel", "--system").code == 0
    assert homeport("service", "remove", "gateway", "--system").out == f"Removed {tmp_path / 'units' / UNIT}\n", "the tunnel needs the account"
    last = homeport("service", "remove", "tunnel", "--system", "--json").json
    assert last["removed"] == [str(tmp_path / "units" / "homeport-tunnel.service"), str(tmp_path / "sysusers" / "homeport.conf")]


def test_the_machine_takes_no_file_of_the_folder_where_root_is(homeport: Homeport, tmp_path: Path) -> None:
    Path("homeport.toml").write_text("[server]\ndrain_timeout_s = 7\n", encoding="utf-8")
    told = homeport("service", "install", "--system", "--json").json
    assert "--config" not in (tmp_path / "units" / UNIT).read_text(encoding="utf-8")
    assert f"there is no {tmp_path / 'etc' / 'homeport.toml'}, so it runs with the pilot" in told["notes"][-1]


def test_why_it_may_not_start_is_said_where_it_does_not(homeport: Homeport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("systemctl", "systemd-sysusers"):
        (tools / name).write_text('#!/bin/sh\ncase "$*" in *enable*) exit 1;; esac\n', encoding="utf-8")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    (tmp_path / "own.toml").write_text('[server]\ndata = "elsewhere"\n', encoding="utf-8")
    ended = homeport("service", "install", "--system", "--config", str(tmp_path / "own.toml"))
    assert ended.code == 1 and "`systemctl enable --now homeport-gateway.service` failed" in ended.err
    assert f"must own {tmp_path / 'elsewhere'}, else it does not start: install -d -o homeport -g homeport" in ended.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["install", "--system", "--user"], 2, "--system and --user exclude each other"),
        (["install", "--user", "--config", "none.toml"], 2, "there is no file none.toml"),
        (["install", "tunnel", "--user"], 1, "the tunnel needs a homeport.toml with [tunnel]"),
        (["install", "webserver"], 2, "webserver"),
    ],
)
def test_what_cannot_be(homeport: Homeport, words: list[str], code: int, said: str) -> None:
    ended = homeport("service", *words)
    assert ended.code == code
    assert said in ended.err
    assert not list(Path().rglob("*.service"))


def test_a_configuration_that_is_none(homeport: Homeport, tmp_path: Path) -> None:
    (tmp_path / "homeport.toml").write_text("[server", encoding="utf-8")
    ended = homeport("service", "install", "--user", "--config", "homeport.toml")
    assert ended.code == 2
    assert "cannot be read" in ended.err and "homeport config check" in ended.err
