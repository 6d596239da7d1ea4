"""`homeport service install|status|remove`: run the gateway and the tunnel at boot."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from shlex import quote
from typing import Literal

from homeport.cli import screen
from homeport.cli.console import aside, say
from homeport.cli.failure import Failed, Usage
from homeport.errors import HomeportError
from homeport.service import installing
from homeport.service.job import Init, Job, Name, Scope, needed, program, read
from homeport.service.systemd import ACCOUNT, HOMES, STATE, Systemd
from homeport.settings import places

Which = Literal["gateway", "tunnel"]
SYSTEM_FILE = Path("/etc/homeport/homeport.toml")
CARRIED = ("HOMEPORT_DATA", "HOMEPORT_LISTEN")  # of a user's environment: where `homeport up` runs as it does in this shell


def install(
    which: Which = "gateway", /, *, system: bool = False, user: bool = False, config: Path | None = None, dry_run: bool = False, json: bool = False
) -> int:
    """Have the gateway, or the tunnel, run at boot and be started again when it ends. A second time nothing changes.

    Args:
        which: gateway or tunnel.
        system: for the whole machine, under an account of its own; what root gets without a flag.
        user: for the user who calls this; what everybody else gets without a flag.
        config: the homeport.toml to run with; else /etc/homeport/homeport.toml, or for a user the one that `homeport up` would read.
        dry_run: show what would be written and called, and do nothing.
        json: print JSON.
    """
    scope, init = _where(system, user)
    job = _job(which, scope, config)
    notes = _notes(job, init)
    try:
        done = installing.install(job, init, dry=dry_run)
    except HomeportError:
        aside(*(f"homeport: note: {note}." for note in notes))  # one of them may be why
        raise
    then = init.then(job)
    if json:
        screen.print_json({"service": which, "scope": scope, "init": init.name, **_told(done), "notes": notes, "next": then})
        return 0
    if dry_run:
        for path, data in init.files(job).items():
            say(screen.paint(f"# {path}", "bold"), *_shown(data), "")
    for written in done.written:
        say(f"{'Would write' if dry_run else 'Wrote'} {written}")
    for unchanged in done.unchanged:
        say(f"{unchanged} stands as it should")
    _say(done, dry=dry_run)
    for note in notes:
        say(f"Note: {note}.")
    if not dry_run:
        say("", "Next:", *(f"  {line}" for line in then))
    return 0


def status(which: Which | None = None, /, *, system: bool = False, user: bool = False, json: bool = False) -> int:
    """How the services stand, a line each, as the system tells it.

    Args:
        which: gateway or tunnel; else both.
        system: those of the machine; what root gets without a flag.
        user: those of the user who calls this; what everybody else gets without a flag.
        json: print JSON.
    """
    scope, init = _where(system, user)
    found = []
    for name in (which,) if which is not None else ("gateway", "tunnel"):
        word, line = installing.status(_plain(name, scope), init)
        found.append({"service": name, "scope": scope, "init": init.name, "state": word, "line": line})
    if json:
        screen.print_json(found if which is None else found[0])
        return 0
    for row in found:
        style = {"running": "good", "failed": "bad", "unknown": "warn"}.get(row["state"], "dim")
        say(screen.paint(screen.clean(f"{row['service']}: {row['line']}"), style))
    return 0


def remove(which: Which = "gateway", /, *, system: bool = False, user: bool = False, dry_run: bool = False, json: bool = False) -> int:
    """End a service, and remove what `install` wrote. Configuration, keys and journal stay.

    Args:
        which: gateway or tunnel.
        system: the machine's; what root gets without a flag.
        user: that of the user who calls this; what everybody else gets without a flag.
        dry_run: show what would be removed and called, and do nothing.
        json: print JSON.
    """
    scope, init = _where(system, user)
    job = _plain(which, scope)
    done = installing.remove(job, init, dry=dry_run)
    left = [] if dry_run else init.left(job)
    if json:
        told = _told(done)
        screen.print_json({"service": which, "scope": scope, "init": init.name, "removed": told.pop("written"), **told, "left": left})
        return 0
    if not done.written:
        say(f"The {which} is not installed for {_whom(scope)}: there is nothing to remove.")
        return 0
    for path in done.written:
        say(f"{'Would remove' if dry_run else 'Removed'} {path}")
    _say(done, dry=dry_run)
    for line in left:
        say(f"Left: {line}")
    return 0


def _say(done: installing.Done, *, dry: bool) -> None:
    for command in done.ran:
        say(f"Ran {command}")
    if done.todo and dry:
        say(*(f"Would run {command}" for command in done.todo))
    elif done.todo:
        aside(f"homeport: written, but not started: {done.why}. Where it is to run, call:", *(f"  {command}" for command in done.todo))


def _told(done: installing.Done) -> dict[str, object]:
    return {"written": done.written, "unchanged": done.unchanged, "ran": done.ran, "todo": done.todo, "why": done.why}


def _shown(data: bytes) -> list[str]:
    return data.decode("utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8").splitlines()


def _where(system: bool, user: bool) -> tuple[Scope, Init]:
    """For whom, and by what. Raises Usage, or Failed where nothing here starts services."""
    if system and user:
        raise Usage("--system and --user exclude each other")
    root = sys.platform != "win32" and os.geteuid() == 0
    scope: Scope = "system" if system or (root and not user) else "user"
    if sys.platform == "win32":
        from homeport.service.schtasks import Schtasks

        return scope, Schtasks()
    if sys.platform == "darwin":
        from homeport.service.launchd import Launchd

        return scope, Launchd()
    return scope, Systemd()


def _job(which: Name, scope: Scope, config: Path | None) -> Job:
    """What is to run, as its configuration says. Raises Usage for a file that is not there."""
    if config is not None and not config.is_file():
        raise Usage(f"there is no file {config}")
    if config is None and scope == "system" and SYSTEM_FILE.is_file():
        config = SYSTEM_FILE
    if config is None and (scope == "user" or sys.platform != "linux"):  # a file of the folder where root happens to be is not the machine's
        config, _ = places.find(None, os.environ)
        if config is not None and not config.is_file():
            raise Usage(f"$HOMEPORT_CONFIG names {config}, which is not there")
    path = config.absolute() if config is not None else None
    if which == "tunnel" and path is None:
        raise Failed("the tunnel needs a homeport.toml with [tunnel]: write one, and name it with --config")
    told = read(path)
    environment = {name: os.environ[name] for name in CARRIED if scope == "user" and os.environ.get(name)}
    if "HOMEPORT_DATA" in environment:
        told["data"] = Path(environment["HOMEPORT_DATA"]).expanduser()
        environment["HOMEPORT_DATA"] = str(told["data"].absolute())
    elif scope == "user":
        told.setdefault("data", places.data_folder(os.environ))
    if "data" in told:
        told["data"] = told["data"].absolute()
    return Job(name=which, scope=scope, program=program(), config=path, needs=needed(), environment=environment, **told)


def _plain(which: Name, scope: Scope) -> Job:
    """Enough of a job to find what was written for it."""
    return Job(name=which, scope=scope, program=("homeport",))


def _notes(job: Job, init: Init) -> list[str]:
    """What a person should know before it runs."""
    found = []
    if init.name == "systemd" and job.engines and job.name == "gateway":
        names = ", ".join(job.engines)
        found.append(f"the sandbox has no graphics card: if {names} should use one, loosen it as docs/service.md says (engines)")
    if init.name == "systemd" and job.scope == "system":
        hidden = [str(path) for path in job.needs if any(path.is_relative_to(home) for home in HOMES)]
        if hidden:
            told = f"Homeport itself stands in {hidden[0]}, where the account homeport can run the service but call no command (keys add)"
            found.append(f"{told}; put it into a place such as /opt/homeport")
        if job.config is not None and not _readable(job.config):
            file = quote(str(job.config))
            found.append(f"the account homeport must be able to read {job.config}: chgrp homeport {file} && chmod 0640 {file}")
        if job.config is None:
            found.append(f"there is no {SYSTEM_FILE}, so it runs with the pilot and the engines it finds. To change that write one, and call this again")
        if job.data is not None and not job.data.is_relative_to(STATE) and not _owned(job.data):
            again = f"install -d -o {ACCOUNT} -g {ACCOUNT} -m 0700 {quote(str(job.data))} && systemctl restart homeport-{job.name}"
            found.append(f"the account homeport must own {job.data}, else it does not start: {again}")
    return found


def _owned(data: Path) -> bool:
    """Whether the folder is there, and the account's."""
    try:
        return data.owner() == ACCOUNT
    except (OSError, KeyError):  # KeyError: an owner without a name
        return False


def _readable(path: Path) -> bool:
    """Whether the account may read the file, as far as its mode tells."""
    seen = path.stat()
    if seen.st_mode & stat.S_IROTH:
        return True
    try:
        return bool(seen.st_mode & stat.S_IRGRP) and path.group() == ACCOUNT
    except KeyError:  # a group without a name
        return False


def _whom(scope: Scope) -> str:
    return "the machine" if scope == "system" else "this user"
