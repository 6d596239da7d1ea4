"""launchd: an agent of a user, or a daemon of the system that runs as a user.

Keys: launchd.plist(5).
"""

from __future__ import annotations

import os
import plistlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from homeport.errors import HomeportError
from homeport.service.job import Job

FILES = 65536  # descriptors


class Launchd:
    """launchd, as one machine has it."""

    name = "launchd"

    def __init__(self, *, environ: Mapping[str, str] = os.environ, uid: int | None = None) -> None:
        self._environ = environ
        self._uid = os.getuid() if uid is None else uid

    def absent(self, job: Job) -> str | None:
        return None

    def files(self, job: Job) -> dict[Path, bytes]:
        return {self._plist(job): plistlib.dumps(self.document(job))}

    def shared(self, job: Job) -> set[Path]:
        return set()

    def document(self, job: Job) -> dict[str, Any]:
        """Its property list. Raises HomeportError for a daemon where nobody says whose it is."""
        home = self._home()
        found: dict[str, Any] = {
            "Label": _label(job),
            "ProgramArguments": list(job.command),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 10,
            "ExitTimeOut": round(job.stop_s),
            "Umask": 0o077,
            "WorkingDirectory": str(home),
            "StandardOutPath": str(self.log(job)),
            "StandardErrorPath": str(self.log(job)),
            "SoftResourceLimits": {"NumberOfFiles": FILES},
            "EnvironmentVariables": {"HOME": str(home), **job.environment},
        }
        if job.scope == "system":
            user = self._environ.get("SUDO_USER", "")
            if not user or user == "root":
                raise HomeportError("A daemon must not run as root. Call this with sudo, as the user that is to run it.")
            found["UserName"] = user
        return found

    def log(self, job: Job) -> Path:
        """Where what it says goes."""
        return self._home() / "Library" / "Logs" / f"homeport-{job.name}.log"

    def start(self, job: Job, *, changed: bool) -> list[list[str]]:
        again = [["launchctl", "bootout", self._target(job)]] if changed else []  # fails where it was not loaded, as `bootstrap` does where it is
        return [*again, ["launchctl", "enable", self._target(job)], ["launchctl", "bootstrap", self._domain(job), str(self._plist(job))], self.query(job)]

    def stop(self, job: Job) -> list[list[str]]:
        return [["launchctl", "bootout", self._target(job)]]

    def forget(self, job: Job) -> list[list[str]]:
        return []

    def then(self, job: Job) -> list[str]:
        words = ["config", "reload"] if job.name == "gateway" else ["tunnel", "status"]
        return [f"homeport service status {job.name} --{job.scope}", f"tail -f {self.log(job)}", " ".join([job.program[0], *words, *job.flags])]

    def query(self, job: Job) -> list[str]:
        return ["launchctl", "print", self._target(job)]

    def state(self, job: Job, code: int, said: str) -> tuple[str, str]:
        if code:
            return "missing", f"not installed: homeport service install {job.name} --{job.scope}"
        found = dict(re.findall(r"^\s*(state|pid|runs|last exit code) = (.+)$", said, re.MULTILINE))
        if found.get("state") == "running":
            return "running", f"running, pid {found.get('pid', '?')}, started {found.get('runs', '?')} times; starts {_when(job)}"
        ended = found.get("last exit code", "?")
        return (
            "failed" if ended not in ("0", "(never exited)") else "stopped"
        ), f"not running (last exit code {ended}); starts {_when(job)}. Why: {self.log(job)}"

    def left(self, job: Job) -> list[str]:
        return [f"{self.log(job)}: rm {self.log(job)}"] if self.log(job).exists() else []

    def _home(self) -> Path:
        user = self._environ.get("SUDO_USER", "")
        return Path("/Users", user) if self._uid == 0 and user not in ("", "root") else Path(self._environ.get("HOME", "~")).expanduser()

    def _plist(self, job: Job) -> Path:
        folder = Path("/Library/LaunchDaemons") if job.scope == "system" else self._home() / "Library" / "LaunchAgents"
        return folder / f"{_label(job)}.plist"

    def _domain(self, job: Job) -> str:
        return "system" if job.scope == "system" else f"gui/{self._uid}"

    def _target(self, job: Job) -> str:
        return f"{self._domain(job)}/{_label(job)}"


def _label(job: Job) -> str:
    return f"homeport.{job.name}"


def _when(job: Job) -> str:
    return "at boot" if job.scope == "system" else "when you log in"
