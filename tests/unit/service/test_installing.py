"""Writing, calling and taking away: with a stand-in for systemctl, which notes what it is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from homeport.errors import HomeportError
from homeport.service import installing
from homeport.service.job import Job
from homeport.service.launchd import Launchd
from homeport.service.systemd import Systemd

UNIT = "homeport-gateway.service"


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the stand-in was told, a line a call; it fails where a file `fails` beside it holds the call's first word."""
    tools = tmp_path / "tools"
    tools.mkdir()
    script = tools / "systemctl"
    calls = tmp_path / "calls"
    script.write_text(
        f'#!/bin/sh\necho "$*" >> {calls}\ncase "$*" in *show*) echo ActiveState=active;; esac\n'
        f'if [ -e {tmp_path}/fails ] && grep -qx -- "$2" {tmp_path}/fails; then echo "it is broken"; exit 1; fi\n',
        encoding="utf-8",
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    calls.touch()
    return calls


@pytest.fixture
def init(tmp_path: Path) -> Systemd:
    """A systemd that runs, with this folder as the user's home."""
    (tmp_path / "run" / "systemd").mkdir(parents=True)
    (tmp_path / "run" / "systemd" / "private").touch()
    return Systemd(environ={"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}, running=tmp_path, sandbox=True)


def job(tmp_path: Path, **more: object) -> Job:
    return Job(name="gateway", scope="user", program=("/usr/bin/env",), data=tmp_path / "data", **more)  # type: ignore[arg-type]


def calls(told: Path) -> list[str]:
    found = told.read_text(encoding="utf-8").splitlines()
    told.write_text("", encoding="utf-8")
    return found


def test_installed_twice_changed_and_removed(tmp_path: Path, init: Systemd, told: Path) -> None:
    unit = tmp_path / ".config" / "systemd" / "user" / UNIT
    done = installing.install(job(tmp_path), init)
    assert (done.written, done.unchanged, done.todo) == ([str(unit)], [], [])
    assert unit.read_text(encoding="utf-8") == init.text(job(tmp_path))
    assert unit.stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "data").is_dir()
    assert calls(told) == ["--user daemon-reload", f"--user enable --now {UNIT}"]

    again = installing.install(job(tmp_path), init)
    assert (again.written, again.unchanged) == ([], [str(unit)])
    assert calls(told) == ["--user daemon-reload", f"--user enable --now {UNIT}"], "it is not started anew"

    changed = installing.install(job(tmp_path, drain_s=99), init)
    assert changed.written == [str(unit)]
    assert calls(told)[-1] == f"--user restart {UNIT}"

    assert installing.status(job(tmp_path), init)[0] == "running"
    calls(told)
    (unit.parent / "default.target.wants").mkdir()
    (unit.parent / "default.target.wants" / UNIT).symlink_to(unit)
    gone = installing.remove(job(tmp_path), init)
    assert gone.written == [str(unit)]
    assert calls(told) == [f"--user disable --now {UNIT}", "--user daemon-reload", f"--user reset-failed {UNIT}"]
    assert not [path for path in unit.parent.rglob("*") if path.is_file() or path.is_symlink()]
    assert (tmp_path / "data").is_dir(), "what it wrote is its owner's"
    assert installing.remove(job(tmp_path), init).written == []
    assert calls(told) == []


def test_a_dry_run_does_nothing(tmp_path: Path, init: Systemd, told: Path) -> None:
    done = installing.install(job(tmp_path), init, dry=True)
    assert done.todo == ["systemctl --user daemon-reload", f"systemctl --user enable --now {UNIT}"]
    assert done.ran == calls(told) == []
    assert not (tmp_path / ".config").exists()
    assert not (tmp_path / "data").exists()
    installing.install(job(tmp_path), init)
    calls(told)
    assert installing.remove(job(tmp_path), init, dry=True).todo[0] == f"systemctl --user disable --now {UNIT}"
    assert calls(told) == []
    assert (tmp_path / ".config" / "systemd" / "user" / UNIT).exists()


def test_where_systemd_does_not_run_it_says_what_to_call(tmp_path: Path, told: Path) -> None:
    init = Systemd(environ={"HOME": str(tmp_path)}, running=tmp_path / "none", sandbox=True)
    assert installing.status(job(tmp_path), init) == ("missing", "not installed; systemd does not run on this machine")
    done = installing.install(job(tmp_path), init)
    assert (done.why, len(done.written), len(done.todo), done.ran) == ("systemd does not run on this machine", 1, 2, [])
    assert installing.status(job(tmp_path), init) == ("unknown", "installed, but systemd does not run on this machine")
    assert len(installing.remove(job(tmp_path), init).written) == 1
    assert calls(told) == []


def test_a_command_that_fails(tmp_path: Path, init: Systemd, told: Path) -> None:
    (tmp_path / "fails").write_text("enable\nreset-failed\n", encoding="utf-8")
    with pytest.raises(HomeportError, match=r"`systemctl --user enable --now homeport-gateway.service` failed: it is broken"):
        installing.install(job(tmp_path), init)
    assert installing.remove(job(tmp_path), init).ran[-1].startswith("systemctl --user reset-failed"), "there was nothing to forget"
    assert told.exists()


def test_a_place_that_only_the_administrator_may_change(tmp_path: Path, init: Systemd, told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(HomeportError, match=r"administrator only\. Call this with sudo, or install for your own user: --user"):
        installing.install(job(tmp_path), init)
    assert calls(told) == []


def test_no_systemctl(tmp_path: Path, init: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HomeportError, match="`systemctl` is not on this machine"):
        installing.install(job(tmp_path), init)


def test_what_went_by_other_hands_needs_no_end(tmp_path: Path, init: Systemd, told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homeport.service.systemd.UNITS", tmp_path / "units")
    monkeypatch.setattr("homeport.service.systemd.SYSUSERS", tmp_path / "homeport.conf")
    (tmp_path / "homeport.conf").touch()
    done = installing.remove(Job(name="gateway", scope="system", program=("homeport",)), init)
    assert done.written == [str(tmp_path / "homeport.conf")]
    assert calls(told) == ["daemon-reload", f"reset-failed {UNIT}"], "systemd knows no such unit, and would refuse to end it"


def test_an_agent_that_is_loaded_stays_and_one_that_cannot_be_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """launchctl fails to load what is loaded; whether it is there shows only when it is asked."""
    tool = tmp_path / "launchctl"
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    init = Launchd(environ={"HOME": str(tmp_path)}, uid=501)
    tool.write_text('#!/bin/sh\ncase "$1" in bootstrap) echo "Bootstrap failed: 5: Input/output error"; exit 5;; esac\n', encoding="utf-8")
    tool.chmod(0o755)
    assert installing.install(job(tmp_path), init).written
    assert not installing.install(job(tmp_path), init).written
    tool.write_text('#!/bin/sh\necho "no $1"\ncase "$1" in bootstrap|print) exit 5;; esac\n', encoding="utf-8")
    with pytest.raises(HomeportError, match="no bootstrap no print"):
        installing.install(job(tmp_path), init)
