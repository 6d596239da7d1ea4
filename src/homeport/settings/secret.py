"""Reads a secret from where the file says it is: `{ env = "NAME" }` or `{ file = "PATH" }`; it is never shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from homeport.settings.document import Table, shown

SECRET_BYTES = 65536


def read_secret(
    table: Table, key: str, value: dict[str, Any], place: tuple[str | int, ...], variable: str, environ: Mapping[str, str]
) -> tuple[str, str] | None:
    """The secret and where it came from, `env NAME` or `file PATH`; None where that is a problem, which is noted.

    `key` is what messages call the value of `table`, `place` where it stands in the table, `variable` an environment variable for examples.
    """
    fix = f'write {key} = {{ env = "{variable}" }}, or {key} = {{ file = "path" }}'
    name = f"{table.name}.{key}"
    inner = Table(table.document, (*table.key, *place), value, name=name)
    inner.known(("env", "file"))
    if len(value) != 1 or not set(value) & {"env", "file"}:
        if set(value) <= {"env", "file"}:
            table.document.problem((*table.key, *place), f"{name} takes either env or file; {fix}")
        return None
    source: Literal["env", "file"] = "env" if "env" in value else "file"
    told = inner.text(source, variable if source == "env" else "path")
    table.document.origins.pop(f"{name}.{source}", None)
    if told is None:
        return None
    secret = _from_environment(inner, told, environ) if source == "env" else _from_file(inner, told)
    if secret is None:
        return None
    if not (secret.isascii() and secret.isprintable() and secret.strip()):
        inner.problem(source, f"leads to a secret that is empty, or not one line of ASCII characters ({source} {shown(told)})")
        return None
    return secret, f"{source} {shown(told)}"


def _from_environment(table: Table, name: str, environ: Mapping[str, str]) -> str | None:
    if name not in environ:
        table.problem("env", f"names {shown(name)}, which is not set; export {shown(name)}=… before the start")
        return None
    return environ[name].strip()


def _from_file(table: Table, name: str) -> str | None:
    path = table.beside("file", name)
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            return file.read(SECRET_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        table.problem("file", f"cannot be read: {path}: {getattr(error, 'strerror', None) or 'not text'}")
        return None
