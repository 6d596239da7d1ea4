"""Writes what starts a service at boot, tells the system, and takes it away again."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

from msgspec import Struct

from homeport.errors import HomeportError
from homeport.service.job import Init, Job

COMMAND_S = 120.0
FORGIVEN = {"bootout", "/End", "reset-failed", "bootstrap"}  # these fail where there was nothing to end, the last where it is loaded: a `print` follows it


class Done(Struct, kw_only=True):
    """What an installation or a removal came to."""

    written: list[str] = []  # files that are there now and were not so before; on removal those that went
    unchanged: list[str] = []
    ran: list[str] = []  # commands that were carried out
    todo: list[str] = []  # commands that are left to the person, as `why` says
    why: str | None = None


def install(job: Job, init: Init, *, dry: bool = False) -> Done:
    """Write its files and have it run, now and at boot; a second time nothing changes. Raises HomeportError."""
    done = Done()
    files = init.files(job)
    for path, data in files.items():
        (done.unchanged if _held(path) == data else done.written).append(str(path))
    new = not any(path.exists() for path in files)
    commands = init.start(job, changed=bool(done.written) and not new)
    done.why = "this is a dry run: nothing was written" if dry else init.absent(job)
    if dry:
        done.todo = [" ".join(command) for command in commands]
        return done
    if job.scope == "user" and job.data is not None:
        job.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in map(Path, done.written):
        _write(path, files[path])
    if done.why is not None:
        done.todo = [" ".join(command) for command in commands]
        return done
    done.ran = _all(commands)
    return done


def remove(job: Job, init: Init, *, dry: bool = False) -> Done:
    """End it, and remove what `install` wrote, but for what the other service needs. Raises HomeportError."""
    shared = init.shared(job)
    files = init.files(job)
    gone = [path for path in files if path.exists() and path not in shared]
    own = next(iter(files))  # where that went by other hands, the system no longer knows the service
    commands, after = init.stop(job) if own.exists() else [], init.forget(job)
    done = Done(written=[str(path) for path in gone], why="this is a dry run: nothing was removed" if dry else init.absent(job))
    if not gone:
        return done
    if dry:
        done.todo = [" ".join(command) for command in (*commands, *after)]
        return done
    if done.why is None:
        done.ran = _all(commands)
    for path in gone:
        try:
            path.unlink()
        except PermissionError:
            raise _forbidden(path) from None
    links = [folder / path.name for path in gone for folder in path.parent.glob("*.wants")]
    for link in filter(Path.is_symlink, links):  # systemd's, where it did not run to take them away
        link.unlink()
    if done.why is None:
        done.ran += _all(after)
    return done


def status(job: Job, init: Init) -> tuple[str, str]:
    """How it stands, as one word and as one line."""
    there = any(path.exists() for path in init.files(job) if path not in init.shared(job))
    absent = init.absent(job)
    if absent is not None:
        return ("unknown", f"installed, but {absent}") if there else ("missing", f"not installed; {absent}")
    code, said = _call(init.query(job))
    return init.state(job, code, said)


def _all(commands: list[list[str]]) -> list[str]:
    """Carry commands out, in order. Raises HomeportError for the first that fails."""
    before = ""  # what one that is forgiven said
    for command in commands:
        code, said = _call(command)
        if code and not FORGIVEN & set(command):
            raise HomeportError(f"`{' '.join(command)}` failed: {' '.join((before + said).split()) or f'exit status {code}'}")
        before = said if code else ""
    return [" ".join(command) for command in commands]


def _call(command: list[str]) -> tuple[int, str]:
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_S, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise HomeportError(f"`{command[0]}` is not on this machine, or not in $PATH") from None
    except subprocess.TimeoutExpired:
        raise HomeportError(f"`{' '.join(command)}` did not end within {COMMAND_S:g} s") from None
    return ran.returncode, ran.stdout + ran.stderr


def _held(path: Path) -> bytes | None:
    with contextlib.suppress(OSError):
        return path.read_bytes()
    return None


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.new")
        beside.write_bytes(data)
        beside.chmod(0o644)
        os.replace(beside, path)
    except PermissionError:
        raise _forbidden(path) from None


def _forbidden(path: Path) -> HomeportError:
    return HomeportError(f"{path} may be changed by the administrator only. Call this with sudo, or install for your own user: --user")
