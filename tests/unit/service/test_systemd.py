"""Units for systemd, read by systemd's own tools."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from homeport.errors import HomeportError
from homeport.service import systemd
from homeport.service.job import NAMES, Job, Name, Scope
from homeport.service.systemd import Systemd, quoted

ANALYZE = shutil.which("systemd-analyze")
EXPOSURE = 2.5
real = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not on this machine (Debian: apt install systemd)")


def job(name: Name = "gateway", scope: Scope = "system", **more: object) -> Job:
    told: dict[str, object] = {"program": ("/usr/bin/env",), "config": Path("/etc/homeport/homeport.toml"), "data": Path("/var/lib/homeport")}
    return Job(name=name, scope=scope, **{**told, **more})  # type: ignore[arg-type]


def text(one: Job, *, sandbox: bool = True) -> str:
    return Systemd(environ={"HOME": "/home/homer"}, sandbox=sandbox).text(one)


def lines(one: Job, *, sandbox: bool = True) -> list[str]:
    return text(one, sandbox=sandbox).splitlines()


def analyzed(tmp_path: Path, one: Job, *words: str, sandbox: bool = True) -> subprocess.CompletedProcess[str]:
    """What systemd-analyze makes of a unit."""
    assert ANALYZE is not None
    unit = tmp_path / f"homeport-{one.name}.service"
    unit.write_text(text(one, sandbox=sandbox), encoding="utf-8")
    scope = ["--user"] if one.scope == "user" else []
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    return subprocess.run([ANALYZE, *scope, *words, str(unit)], env=environment, capture_output=True, text=True, timeout=60)


@real
@pytest.mark.parametrize("scope", ["system", "user"])
@pytest.mark.parametrize("name", NAMES)
def test_the_exposure_is_low(tmp_path: Path, name: Name, scope: Scope) -> None:
    said = analyzed(tmp_path, job(name, scope), "security", "--offline=true", f"--threshold={EXPOSURE * 10:g}")
    assert said.returncode == 0, said.stdout[-400:] + said.stderr
    level = float(said.stdout.rpartition("service: ")[2].split()[0])
    assert 0 < level <= EXPOSURE


@real
def test_a_unit_without_its_sandbox_is_told_from_one_with_it(tmp_path: Path) -> None:
    assert analyzed(tmp_path, job(scope="user"), "security", "--offline=true", "--threshold=25", sandbox=False).returncode != 0


@real
@pytest.mark.parametrize("sandbox", [True, False])
@pytest.mark.parametrize("scope", ["system", "user"])
@pytest.mark.parametrize("name", NAMES)
def test_systemd_finds_no_fault_with_it(tmp_path: Path, name: Name, scope: Scope, sandbox: bool) -> None:
    homes = {"needs": (Path("/home/homer/my homeport/.venv"),), "data": Path("/srv/a folder"), "environment": {"HOMEPORT_LISTEN": "[::1]:8461"}}
    for one in (job(name, scope), job(name, scope, **homes)):
        said = analyzed(tmp_path, one, "verify", "--man=no", sandbox=sandbox)
        assert (said.returncode, said.stderr) == (0, "")


@real
def test_systemd_reads_a_quoted_word_back(tmp_path: Path) -> None:
    said = analyzed(tmp_path, job(program=("/no/such 100% x",)), "verify", "--man=no")
    assert "/no/such 100% x is not executable" in said.stderr


@pytest.mark.parametrize(("word", "shown"), [("plain", "plain"), ("", '""'), ("a b", '"a b"'), ("50%$x", "50%%$x"), ("/a:b", '"/a:b"'), ('"', '"\\""')])
def test_quoting(word: str, shown: str) -> None:
    assert quoted(word) == shown


def test_only_a_command_line_doubles_its_dollars() -> None:
    odd = Path("/srv/a$b")
    found = lines(job(program=("/opt/x$y/homeport",), config=odd / "homeport.toml", data=odd, scope="user", environment={"HOMEPORT_DATA": str(odd)}))
    assert "ExecStart=/opt/x$y/homeport up --config /srv/a$$b/homeport.toml" in found, "a program's own name is taken as it is"
    assert "ReadWritePaths=/srv/a$b" in found and "Environment=HOMEPORT_DATA=/srv/a$b" in found


def test_a_line_cannot_be_broken_out_of() -> None:
    with pytest.raises(HomeportError, match="has a character that a unit of systemd cannot hold"):
        text(job(config=Path("/etc/x\nUser=root/homeport.toml")))


def test_the_gateway_tells_when_it_is_ready_and_is_watched() -> None:
    found = lines(job(drain_s=120))
    assert "Type=notify" in found and "WatchdogSec=30" in found
    assert "ExecStart=/usr/bin/env up --config /etc/homeport/homeport.toml" in found
    assert "ExecReload=/usr/bin/env config reload --config /etc/homeport/homeport.toml" in found
    assert "TimeoutStopSec=135" in found, "longer than the drain"
    assert "TimeoutStopSec=1234583" in lines(job(drain_s=1234567.5))
    assert "RestartPreventExitStatus=2" in found and "Restart=always" in found
    assert "StateDirectory=homeport" in found and "User=homeport" in found
    assert "EnvironmentFile=-/etc/homeport/environment" in found


def test_the_tunnel_has_nothing_to_reload() -> None:
    found = lines(job("tunnel"))
    assert "Type=notify" in found and "WatchdogSec=60" in found, "its supervisor tells, every few seconds"
    assert "ExecStart=/usr/bin/env tunnel up --config /etc/homeport/homeport.toml" in found
    assert not [line for line in found if line.startswith("ExecReload")]


def test_where_it_may_write() -> None:
    assert not [line for line in lines(job()) if line.startswith(("ReadWritePaths", "Environment="))]
    assert "Environment=HOMEPORT_DATA=/var/lib/homeport" in lines(job(data=None))
    assert 'ReadWritePaths="/srv/my data"' in lines(job(data=Path("/srv/my data")))
    mine = lines(job(scope="user", data=Path("/home/homer/data"), environment={"HOMEPORT_DATA": "/home/homer/data"}))
    assert "ReadWritePaths=/home/homer/data" in mine and "Environment=HOMEPORT_DATA=/home/homer/data" in mine
    assert not [line for line in mine if line.startswith(("User=", "StateDirectory", "ProtectHome"))]


def test_of_homes_it_sees_what_it_needs() -> None:
    assert "ProtectHome=yes" in lines(job())
    found = lines(job(needs=(Path("/opt/python"), Path("/home/homer/app")), config=Path("/home/homer/conf/homeport.toml"), data=Path("/home/homer/data")))
    assert [line for line in found if line.startswith(("ProtectHome", "Bind"))] == [
        "ProtectHome=tmpfs",
        "BindReadOnlyPaths=/home/homer/app",
        "BindReadOnlyPaths=/home/homer/conf",
        "BindPaths=/home/homer/data",
    ]


def test_a_user_whose_systemd_cannot_build_a_sandbox_gets_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    switch = tmp_path / "switch"
    monkeypatch.setattr(systemd, "USERS_OFF", {switch: "1"})
    for value, there in (("0\n", True), ("1\n", False)):
        switch.write_text(value, encoding="ascii")
        found = Systemd(environ={}).text(job(scope="user")).splitlines()
        assert ("ProtectSystem=strict" in found) is there
        assert "NoNewPrivileges=yes" in found
    assert "ProtectSystem=strict" in Systemd(environ={}).text(job()).splitlines(), "the system's own needs no leave"


def test_whose_files_they_are(tmp_path: Path) -> None:
    mine = Systemd(environ={"HOME": str(tmp_path)})
    assert list(mine.files(job(scope="user"))) == [tmp_path / ".config" / "systemd" / "user" / "homeport-gateway.service"]
    moved = Systemd(environ={"HOME": str(tmp_path), "XDG_CONFIG_HOME": "/elsewhere"})
    assert list(moved.files(job("tunnel", "user"))) == [Path("/elsewhere/systemd/user/homeport-tunnel.service")]
    assert [str(path) for path in mine.files(job())] == ["/etc/systemd/system/homeport-gateway.service", "/etc/sysusers.d/homeport.conf"]


def test_the_account_stays_while_the_other_service_needs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "UNITS", tmp_path)
    init = Systemd(environ={})
    assert init.shared(job()) == set()
    (tmp_path / "homeport-tunnel.service").touch()
    assert init.shared(job()) == {systemd.SYSUSERS}
    assert init.shared(job("tunnel")) == set()


def test_why_it_cannot_be_told() -> None:
    gone = Systemd(environ={}, running=Path("/nonexistent"))
    assert gone.absent(job()) == "systemd does not run on this machine"
    here = Systemd(environ={}, running=Path("/"))
    assert here.absent(job()) is None
    assert "no systemd of its own" in (here.absent(job(scope="user")) or "")


@pytest.mark.parametrize(
    ("said", "word", "line"),
    [
        ("LoadState=not-found\nActiveState=inactive\n", "missing", "not installed: homeport service install gateway --system"),
        (
            "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nMainPID=7\nStatusText=Answers at http://x\nActiveEnterTimestamp=Sat 12:00\n",
            "running",
            "running since Sat 12:00, pid 7, answers at http://x; starts at boot",
        ),
        ("ActiveState=failed\nResult=watchdog\nUnitFileState=disabled", "failed", "failed (watchdog); does not start at boot. Why: journalctl -u "),
        ("ActiveState=activating\nSubState=auto-restart\nNRestarts=3\nUnitFileState=enabled", "starting", "starting (auto-restart, restarted 3 times); starts"),
        ("ActiveState=inactive\nSubState=dead\nNRestarts=0", "stopped", "stopped (dead, restarted 0 times); does not start at boot"),
    ],
)
def test_how_it_stands_in_one_line(said: str, word: str, line: str) -> None:
    found = Systemd(environ={}).state(job(), 0, said)
    assert found[0] == word
    assert found[1].startswith(line)
    assert "\n" not in found[1]


def test_a_systemd_that_says_nothing() -> None:
    assert Systemd(environ={}).state(job(), 1, "Failed to connect\nto bus") == ("unknown", "systemd does not say: Failed to connect to bus")
