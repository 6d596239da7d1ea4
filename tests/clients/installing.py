"""Rooms: virtual environments of clients that are too heavy for the one the tests run in; made when first asked for, then kept.

The exact versions, with hashes, stand in `rooms/NAME.lock`; where there is a `rooms/NAME/package-lock.json` the room has Node.js, too.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LOCKS = Path(__file__).parent / "rooms"
ROOMS = Path(sys.prefix) / "clients"  # gone when the environment of the tests is made anew
INSTALL_S = 480
USERS = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONWARNINGS", "VIRTUAL_ENV")}  # with settings of pip and npm

REFUSED: dict[str, str] = {}  # rooms that could not be had, and why: nobody waits for them twice


class CannotInstall(Exception):
    """A room that cannot be had here; the message is the reason."""


def room(name: str) -> Path:
    """The folder of a room, installed. Raises CannotInstall."""
    folder = ROOMS / name
    if name in REFUSED:
        raise CannotInstall(REFUSED[name])
    if not _standing(name):
        shutil.rmtree(folder, ignore_errors=True)
        _run(name, sys.executable, "-m", "venv", "--without-pip", str(folder))
        pip = [sys.executable, "-m", "pip", "--python", str(python(folder)), "--disable-pip-version-check", "--quiet"]
        _run(name, *pip, "install", "--no-compile", "--require-hashes", "-r", str(LOCKS / f"{name}.lock"))
        if (LOCKS / name).is_dir():
            shutil.copytree(LOCKS / name, folder / "node")
            _run(name, str(folder / "bin" / "npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", cwd=folder / "node")
        (folder / "installed").write_text(_fingerprint(name), encoding="utf-8")
    return folder


def python(folder: Path) -> Path:
    """The interpreter of a room."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def command(name: str, script: Path) -> list[str]:
    """How a script is run in a room; "" is the tests' own environment. Raises CannotInstall."""
    if not name:
        return [sys.executable, str(script)]
    folder = room(name)
    if script.suffix != ".mjs":
        return [str(python(folder)), str(script)]
    for file in script.parent.glob("*.mjs"):  # Node.js looks for packages beside the script
        shutil.copy(file, folder / "node")
    return [str(folder / "bin" / "node"), str(folder / "node" / script.name)]


def version(name: str, package: str) -> str:
    """The version of a package that a lock file names; `name` is a room, or "" for the tests' own environment."""
    if (LOCKS / name / "package-lock.json").is_file():
        found = re.search(rf'"node_modules/{re.escape(package)}": {{\s+"version": "([^"]+)"', (LOCKS / name / "package-lock.json").read_text(encoding="utf-8"))
    else:
        lock = LOCKS / f"{name}.lock" if name else LOCKS.parents[2] / "requirements-dev.lock"
        found = re.search(rf"^{re.escape(package)}==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None, f"{package} is in no lock file"
    return found[1]


def main() -> None:
    """Install every room that is not there yet, two at a time; `make test` calls this. What cannot be had is told, and its tests are skipped."""
    names = [lock.stem for lock in sorted(LOCKS.glob("*.lock")) if not _standing(lock.stem)]
    if names:
        print(f"Installing clients for the tests: {', '.join(names)} …", flush=True)
    with ThreadPoolExecutor(2) as threads:
        for failure in threads.map(_failure, names):
            print(end=failure)


def _failure(name: str) -> str:
    try:
        room(name)
    except CannotInstall as reason:
        return f"{reason}; the tests with it will be skipped.\n"
    return ""


def _standing(name: str) -> bool:
    stamp = ROOMS / name / "installed"
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == _fingerprint(name)


def _fingerprint(name: str) -> str:
    files = [LOCKS / f"{name}.lock", *sorted((LOCKS / name).glob("*"))]
    return hashlib.sha256(b"".join([*(file.read_bytes() for file in files), sys.version.encode(), str(ROOMS).encode()])).hexdigest()


def _run(name: str, *command: str, cwd: Path | None = None) -> None:
    environ = USERS | {"PATH": os.pathsep.join([str(ROOMS / name / "bin"), USERS.get("PATH", os.defpath)])}
    try:
        done = subprocess.run(command, env=environ, cwd=cwd, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    except subprocess.TimeoutExpired as late:
        REFUSED[name] = f"{name}: its packages did not come within {INSTALL_S} s"
        raise CannotInstall(REFUSED[name]) from late
    if done.returncode != 0:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        REFUSED[name] = f"{name} cannot be installed here: {said[-1] if said else command[-1]}"
        raise CannotInstall(REFUSED[name])


if __name__ == "__main__":
    main()
