"""What the tests measured, written down for `docs/reliability.md`, and whether they are to be thorough."""

from __future__ import annotations

import json
import os
from pathlib import Path

# Read once, while the tests are collected: `tests/conftest.py` takes every variable of Homeport's out of a test's environment.
_FILE = os.environ.get("HOMEPORT_FIGURES")
THOROUGH = os.environ.get("HOMEPORT_THOROUGH", "") not in ("", "0")  # the whole of what is otherwise sampled


def note(name: str, value: float | str | bool, unit: str = "", *, seed: int | None = None, note: str = "") -> None:
    """Append one figure as a JSON line to the file that `$HOMEPORT_FIGURES` names; without the variable, nothing.

    `name` is "section.what", in lower case with underscores: "matrix.faults", "kills.lost"; of two with one name and seed the later counts.
    `unit` is "" for a count, else "s", "ms", "MB", "%", …; `seed` is what its randomness began with; `note` is one short sentence.
    """
    if _FILE is None:
        return
    line = json.dumps({"name": name, "value": value, "unit": unit, "seed": seed, "note": note}, ensure_ascii=False) + "\n"
    handle = os.open(Path(_FILE), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)  # one write: processes side by side do not mix
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)
