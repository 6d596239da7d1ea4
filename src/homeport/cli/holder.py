"""Who holds a port of this machine: the process's name and id, where they can be learnt."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys

LISTENING = "0A"  # a socket's state in /proc/net/tcp


OURS = "homeport"
WORKER = "homeport.worker"


def holder(port: int) -> tuple[str, int] | None:
    """The name and the process id, such as ("ollama", 412); None where the system does not say. A gateway is called `OURS`."""
    return _from_proc(port) if sys.platform == "linux" else _from_lsof(port)


def _from_proc(port: int) -> tuple[str, int] | None:
    links = {f"socket:[{inode}]" for inode in _inodes(port)}
    worker: tuple[str, int] | None = None
    for path in glob.iglob("/proc/[0-9]*/fd/*") if links else ():
        try:
            if os.readlink(path) in links:
                pid = int(path.split("/")[2])
                name = _name(pid)
                if name != WORKER:
                    return name, pid
                worker = OURS, pid  # its parent has the socket too
        except OSError:  # it ended meanwhile, or belongs to somebody else
            continue
    return worker


def _inodes(port: int) -> list[str]:
    """The inodes of the sockets that listen at the port."""
    inodes = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as file:
                rows = [line.split() for line in file][1:]
        except OSError:
            continue
        inodes += [row[9] for row in rows if len(row) > 9 and row[3] == LISTENING and int(row[1].rpartition(":")[2], 16) == port]
    return inodes


def _name(pid: int) -> str:
    """The name of a process."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = [os.path.basename(word) for word in file.read(4096).decode(errors="replace").split("\0")]
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            name = file.read().strip()
    except OSError:
        return "a program"
    return WORKER if WORKER in words[:4] else OURS if OURS in words[:3] else name


def _from_lsof(port: int) -> tuple[str, int] | None:
    lsof = shutil.which("lsof")
    if lsof is None:
        return None
    try:
        told = subprocess.run([lsof, "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"], capture_output=True, text=True, timeout=5, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    fields = {line[:1]: line[1:] for line in reversed(told.splitlines()) if line}
    return (fields["c"], int(fields["p"])) if "c" in fields and fields.get("p", "").isdigit() else None
