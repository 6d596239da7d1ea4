"""Reads `[tasks]`: which Python files have tasks that are served."""

from __future__ import annotations

from pathlib import Path

from homeport.settings.document import Table, described
from homeport.settings.tree import TaskSettings

KEYS = ("paths",)


def read_tasks(table: Table) -> TaskSettings:
    """The section; the files themselves are run by the gateway, not here. What is wrong is collected in the table's document."""
    table.known(KEYS)
    found = table.take("paths", list, '["tasks.py"]')
    return TaskSettings(paths=tuple(path for value in found or [] for path in [_path(table, value)] if path is not None))


def _path(table: Table, value: object) -> Path | None:
    if not isinstance(value, str) or not value.strip():
        what = "an empty text" if isinstance(value, str) else described(value)
        table.problem("paths", f'takes paths of Python files, such as ["tasks.py"], not {what}')
        return None
    path = table.beside("paths", value)
    if path is not None and path.suffix != ".py":
        table.problem("paths", f'takes Python files, whose names end in ".py"; {path.name} does not')
    elif path is not None and not path.is_file():
        table.problem("paths", f"names {path}, which is no file")
    else:
        return path
    return None
