"""Windows: a task of the Task Scheduler, at log-on of its user, or at boot without one.

Its XML is of version 1.2 of the schema.
"""

from __future__ import annotations

import csv
import io
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as Xml

from homeport.service.job import ABOUT, Job

NAMESPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"


class Schtasks:
    """The Task Scheduler, as one machine has it."""

    name = "Task Scheduler"

    def __init__(self, *, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ

    def absent(self, job: Job) -> str | None:
        return None

    def files(self, job: Job) -> dict[Path, bytes]:
        return {self._file(job): self.document(job)}

    def shared(self, job: Job) -> set[Path]:
        return set()

    def document(self, job: Job) -> bytes:
        """Its task as XML, in UTF-16 as `schtasks /XML` wants it."""
        user = "\\".join(filter(None, [self._environ.get("USERDOMAIN", ""), self._environ.get("USERNAME", "")]))
        task = Xml.Element("Task", {"version": "1.2", "xmlns": NAMESPACE})
        about = Xml.SubElement(task, "RegistrationInfo")
        _texts(about, {"Description": ABOUT[job.name], "URI": f"\\{_task(job)}"})
        triggers = Xml.SubElement(task, "Triggers")
        trigger = Xml.SubElement(triggers, "BootTrigger" if job.scope == "system" else "LogonTrigger")
        _texts(trigger, {"Enabled": "true"} | ({"UserId": user} if job.scope == "user" else {}))
        principal = Xml.SubElement(Xml.SubElement(task, "Principals"), "Principal", {"id": "Author"})
        _texts(principal, {"UserId": user, "LogonType": "S4U" if job.scope == "system" else "InteractiveToken", "RunLevel": "LeastPrivilege"})
        settings = Xml.SubElement(task, "Settings")
        _texts(
            settings,
            {
                "MultipleInstancesPolicy": "IgnoreNew",
                "DisallowStartIfOnBatteries": "false",
                "StopIfGoingOnBatteries": "false",
                "AllowHardTerminate": "true",
                "StartWhenAvailable": "true",
                "AllowStartOnDemand": "true",
                "Enabled": "true",
                "Hidden": "false",
                "ExecutionTimeLimit": "PT0S",  # none: it runs for ever
                "Priority": "5",
            },
        )
        _texts(Xml.SubElement(settings, "RestartOnFailure"), {"Interval": "PT1M", "Count": "999"})
        program, *words = job.command
        action = Xml.SubElement(Xml.SubElement(task, "Actions", {"Context": "Author"}), "Exec")
        _texts(action, {"Command": program, "Arguments": subprocess.list2cmdline(words)} | ({"WorkingDirectory": str(job.config.parent)} if job.config else {}))
        Xml.indent(task)
        return '<?xml version="1.0" encoding="UTF-16"?>\n'.encode("utf-16") + Xml.tostring(task, encoding="unicode").encode("utf-16-le")

    def start(self, job: Job, *, changed: bool) -> list[list[str]]:
        again = [["schtasks", "/End", "/TN", _task(job)]] if changed else []
        create = ["schtasks", "/Create", "/TN", _task(job), "/XML", str(self._file(job)), "/F"]
        return [*again, create, ["schtasks", "/Run", "/TN", _task(job)]]

    def stop(self, job: Job) -> list[list[str]]:
        return [["schtasks", "/End", "/TN", _task(job)], ["schtasks", "/Delete", "/TN", _task(job), "/F"]]

    def forget(self, job: Job) -> list[list[str]]:
        return []

    def then(self, job: Job) -> list[str]:
        look = "homeport status" if job.name == "gateway" else "homeport tunnel status"
        return [f"homeport service status {job.name} --{job.scope}", look, f"schtasks /Query /TN {_task(job)} /V /FO LIST"]

    def query(self, job: Job) -> list[str]:
        return ["schtasks", "/Query", "/TN", _task(job), "/FO", "CSV", "/NH"]

    def state(self, job: Job, code: int, said: str) -> tuple[str, str]:
        if code:
            return "missing", f"not installed: homeport service install {job.name} --{job.scope}"
        row = next((row for row in csv.reader(io.StringIO(said)) if row), [])
        word = row[-1] if row else "?"  # in the language of the system
        return ("running" if word == "Running" else "stopped"), f"{word}; starts {'at boot' if job.scope == 'system' else 'when you log on'}"

    def left(self, job: Job) -> list[str]:
        return []

    def _file(self, job: Job) -> Path:
        return Path(self._environ.get("LOCALAPPDATA", ".")) / "homeport" / "service" / f"{job.name}.xml"


def _task(job: Job) -> str:
    return f"Homeport\\{job.name}"


def _texts(parent: Xml.Element, values: dict[str, str]) -> None:
    for name, text in values.items():
        Xml.SubElement(parent, name).text = text
