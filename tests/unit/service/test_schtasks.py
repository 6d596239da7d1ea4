"""Tasks for the Windows Task Scheduler."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from homeport.service.job import Job, Name, Scope
from homeport.service.schtasks import NAMESPACE, Schtasks

ANN = {"USERDOMAIN": "HOME", "USERNAME": "ann", "LOCALAPPDATA": "C:/u"}
ORDER = ["RegistrationInfo", "Triggers", "Principals", "Settings", "Actions"]  # as the schema has it


def job(name: Name = "gateway", scope: Scope = "user") -> Job:
    return Job(name=name, scope=scope, program=("C:\\a b\\homeport.exe",), config=Path("my homeport.toml"))


def read(scope: Scope) -> Xml.Element:
    [data] = Schtasks(environ=ANN).files(job(scope=scope)).values()
    assert data.startswith(b"\xff\xfe"), "schtasks wants UTF-16 with its mark"
    text = data.decode("utf-16")
    assert text.startswith('<?xml version="1.0" encoding="UTF-16"?>')
    return Xml.fromstring(text.partition("\n")[2])


def found(task: Xml.Element, path: str) -> str | None:
    return task.findtext("/".join(f"{{{NAMESPACE}}}{part}" for part in path.split("/")))


@pytest.mark.parametrize(("scope", "trigger", "logon"), [("user", "LogonTrigger", "InteractiveToken"), ("system", "BootTrigger", "S4U")])
def test_a_task(scope: Scope, trigger: str, logon: str) -> None:
    task = read(scope)
    assert task.tag == f"{{{NAMESPACE}}}Task"
    assert [child.tag.rpartition("}")[2] for child in task] == ORDER
    assert found(task, f"Triggers/{trigger}/Enabled") == "true"
    assert found(task, "Principals/Principal/UserId") == "HOME\\ann"
    assert found(task, "Principals/Principal/LogonType") == logon
    assert found(task, "Principals/Principal/RunLevel") == "LeastPrivilege"
    assert found(task, "Settings/ExecutionTimeLimit") == "PT0S"
    assert found(task, "Settings/MultipleInstancesPolicy") == "IgnoreNew"
    assert found(task, "Settings/RestartOnFailure/Interval") == "PT1M"
    assert found(task, "Actions/Exec/Command") == "C:\\a b\\homeport.exe"
    assert found(task, "Actions/Exec/Arguments") == 'up --config "my homeport.toml"'


def test_its_commands() -> None:
    init = Schtasks(environ=ANN)
    file = str(Path("C:/u/homeport/service/gateway.xml"))
    create = ["schtasks", "/Create", "/TN", "Homeport\\gateway", "/XML", file, "/F"]
    assert init.start(job(), changed=False) == [create, ["schtasks", "/Run", "/TN", "Homeport\\gateway"]]
    assert init.stop(job())[-1] == ["schtasks", "/Delete", "/TN", "Homeport\\gateway", "/F"]
    assert len(init.then(job())) == 3


def test_how_it_stands() -> None:
    init = Schtasks(environ=ANN)
    assert init.state(job(), 1, "ERROR: The system cannot find the file specified.")[0] == "missing"
    assert init.state(job(), 0, '"\\Homeport\\gateway","N/A","Running"\r\n') == ("running", "Running; starts when you log on")
    assert init.state(job(), 0, '"\\Homeport\\gateway","N/A","Ready"\r\n')[0] == "stopped"
