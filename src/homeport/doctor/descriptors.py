"""May as many connections be open at once as the settings let in?"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from homeport.doctor.diagnosis import Diagnosis, well, wrong
from homeport.settings import BackendSettings

FILES = "limits.files"
SPARE = 128  # the journal, the ledger, listening sockets, idle connections, callers that only look


def look(backends: Iterable[BackendSettings], pid: int | None = None, proc: Path = Path("/proc")) -> Iterator[Diagnosis]:
    """The limit of open files of the gateway with that process id, or else of this command, against what a full house needs."""
    limit = _of_process(proc, pid) if pid else None
    whose = "The gateway" if limit is not None else "A process started here"
    limit = _own() if limit is None else limit
    if limit is None:
        return
    wanted = needed(backends)
    if limit < wanted:
        yield wrong(
            FILES,
            f"{whose} may have {limit:,} files open, and a full house, by max_in_flight and queue, needs {wanted:,}",
            "beyond it no connection can be made, in or out",
            "ulimit -n 65536 before the start (in a systemd unit: LimitNOFILE=65536), or lower max_in_flight and queue",
        )
    else:
        yield well(FILES, f"Open files: {limit:,} allowed, {wanted:,} needed at most")


def needed(backends: Iterable[BackendSettings]) -> int:
    """Files of a full house: for each request under way its caller's and its backend's connection, for each that waits its caller's."""
    return SPARE + sum(2 * backend.max_in_flight + backend.queue for backend in backends)


def _own() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def _of_process(proc: Path, pid: int) -> int | None:
    try:
        rows = (proc / str(pid) / "limits").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    soft = next((row.split()[3] for row in rows if row.startswith("Max open files")), "")
    return int(soft) if soft.isdigit() else None
