"""Who else may read the keys, the receipts and the secrets, and as whom does all this run?"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from homeport.doctor.diagnosis import Diagnosis, unsure, well, wrong
from homeport.settings import Settings

FOLDER, FILES, SECRETS, CONFIG, ROOT, OWNER = (f"permissions.{name}" for name in ("folder", "files", "secrets", "config", "root", "owner"))
OTHERS, READ_BY_OTHERS = 0o077, 0o004
OURS = ("keys.json", "journal-*.jsonl", "ledger.sqlite*", "outbox.sqlite*", "engine-*.log", "tunnel/id_ed25519")
BUNDLE = 3  # files of one kind that are named


def look(settings: Settings) -> Iterator[Diagnosis]:
    """What others may read that is not for them. On Windows the folders of a user are closed already."""
    if sys.platform == "win32":
        return
    faults = [*_data(settings.server.data), *_secrets(settings), *_config(settings)]
    yield from faults
    if not any(fault.ok is False for fault in faults):
        yield well(FILES, "Nobody else can read keys, receipts or secrets")
    if os.geteuid() == 0:
        fix = "make it a user of its own (useradd --system homeport), and give that one the data folder"
        yield unsure(ROOT, "This runs as root", "Homeport needs no such rights; run so, a fault of it or of an engine could touch everything", fix)


def _data(data: Path) -> Iterator[Diagnosis]:
    if (mode := _mode(data)) is None:
        return
    owner = data.stat().st_uid
    if owner != os.geteuid():
        yield unsure(OWNER, f"{data} belongs to user {owner}, and this command runs as {os.geteuid()}", "", "run it as the user that runs the gateway")
    if mode & OTHERS:
        yield wrong(FOLDER, f"Others on this machine may enter {data} (mode {mode:o})", "receipts say who asked what and when", f"chmod 700 {data}")
        exposed = [path for pattern in OURS for path in sorted(data.glob(pattern)) if (_mode(path) or 0) & OTHERS]
        if exposed:
            shown = ", ".join(path.name for path in exposed[:BUNDLE]) + (f" and {len(exposed) - BUNDLE} more" if len(exposed) > BUNDLE else "")
            fix = "chmod 600 " + " ".join(str(data / pattern) for pattern in OURS if any(path.match(pattern) for path in exposed))
            yield wrong(FILES, f"Others on this machine may read {shown} in {data}", "keys are kept as hashes, receipts are not", fix)


def _secrets(settings: Settings) -> Iterator[Diagnosis]:
    for source in sorted(set(settings.secrets.values())):
        kind, _, name = source.partition(" ")
        if kind != "file":
            continue
        path = Path(name).expanduser()
        if not path.is_absolute() and settings.path is not None:
            path = settings.path.parent / path
        if (mode := _mode(path)) is not None and mode & OTHERS:
            yield wrong(
                SECRETS,
                f"Others on this machine may read the secret in {path} (mode {mode:o})",
                "it is a backend's key, or an address with a token",
                f"chmod 600 {path}",
            )


def _config(settings: Settings) -> Iterator[Diagnosis]:
    """The file itself: addresses of [monitor] may stand in it with their tokens."""
    monitor, path = settings.monitor, settings.path
    literal = [key for key in ("monitor.dead_man_url",) if monitor.dead_man_url and key not in settings.secrets]
    literal += [key for number in range(1, len(monitor.notify) + 1) if (key := f"monitor.notify[{number}]") not in settings.secrets]
    if path is None or not literal or (mode := _mode(path)) is None or not mode & READ_BY_OTHERS:
        return
    fix = f'chmod 600 {path}, or keep the address elsewhere: {{ env = "NAME" }} or {{ file = "PATH" }}'
    yield wrong(
        CONFIG,
        f"Others on this machine may read {path} (mode {mode:o}), where {literal[0]} stands",
        "such an address may hold a token: who has it can write to you",
        fix,
    )


def _mode(path: Path) -> int | None:
    """The mode of a file or folder; None where there is none, or it cannot be seen."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None
