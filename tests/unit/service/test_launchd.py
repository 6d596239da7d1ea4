"""Property lists for launchd."""

from __future__ import annotations

import plistlib
from pathlib import Path

import pytest

from homeport.errors import HomeportError
from homeport.service.job import Job, Name, Scope
from homeport.service.launchd import Launchd

HOME = {"HOME": "/u/ann"}


def job(name: Name = "gateway", scope: Scope = "user", **more: object) -> Job:
    return Job(name=name, scope=scope, program=("/opt/homeport/bin/homeport",), config=Path("/etc/h & t.toml"), **more)  # type: ignore[arg-type]


def test_an_agent_of_a_user() -> None:
    [(path, data)] = Launchd(environ=HOME, uid=501).files(job(drain_s=60, environment={"HOMEPORT_DATA": "/data"})).items()
    assert path == Path("/u/ann/Library/LaunchAgents/homeport.gateway.plist")
    found = plistlib.loads(data)
    assert found["ProgramArguments"] == ["/opt/homeport/bin/homeport", "up", "--config", "/etc/h & t.toml"]
    assert (found["RunAtLoad"], found["KeepAlive"], found["ExitTimeOut"]) == (True, {"SuccessfulExit": False}, 75)
    assert found["EnvironmentVariables"] == {"HOME": "/u/ann", "HOMEPORT_DATA": "/data"}
    assert found["StandardErrorPath"] == "/u/ann/Library/Logs/homeport-gateway.log"
    assert found["Umask"] == 0o077
    assert "UserName" not in found


def test_a_daemon_runs_as_who_called_sudo() -> None:
    init = Launchd(environ={**HOME, "SUDO_USER": "ann"}, uid=0)
    [(path, data)] = init.files(job("tunnel", "system")).items()
    assert path == Path("/Library/LaunchDaemons/homeport.tunnel.plist")
    assert plistlib.loads(data)["UserName"] == "ann"
    with pytest.raises(HomeportError, match="must not run as root"):
        Launchd(environ=HOME, uid=0).files(job("gateway", "system"))


def test_its_commands() -> None:
    init = Launchd(environ=HOME, uid=501)
    plist = "/u/ann/Library/LaunchAgents/homeport.gateway.plist"
    first = [["launchctl", "enable", "gui/501/homeport.gateway"], ["launchctl", "bootstrap", "gui/501", plist]]
    first.append(["launchctl", "print", "gui/501/homeport.gateway"])
    assert init.start(job(), changed=False) == first
    assert init.start(job(), changed=True) == [["launchctl", "bootout", "gui/501/homeport.gateway"], *first]
    assert init.stop(job()) == [["launchctl", "bootout", "gui/501/homeport.gateway"]]
    assert len(init.then(job())) == 3


@pytest.mark.parametrize(
    ("code", "said", "word"),
    [
        (113, "Could not find service", "missing"),
        (0, "gui/501/homeport.gateway = {\n\tstate = running\n\tpid = 41\n\truns = 2\n}", "running"),
        (0, "{\n\tstate = not running\n\tlast exit code = 0\n}", "stopped"),
        (0, "{\n\tstate = spawn scheduled\n\tlast exit code = 2\n}", "failed"),
    ],
)
def test_how_it_stands(code: int, said: str, word: str) -> None:
    found = Launchd(environ=HOME, uid=501).state(job(), code, said)
    assert found[0] == word
    assert "\n" not in found[1]
