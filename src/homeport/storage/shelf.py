"""The models that were pulled: GGUF files in the data folder, each under its name.

    models/NAME.gguf                       a model; a split one is NAME-00001-of-0000N.gguf and so on, and counts once all parts are there
    models/NAME.json                       where it came from, and its checksums
    models/NAME.gguf.part, NAME.gguf.part.json   what has come so far of one that is being pulled, and what it is a part of

A file gets its name by a rename, when it is whole and checked; so what has a name can be served.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

SPLIT = re.compile(r"(?P<name>.+)-(?P<part>\d{5})-of-(?P<all>\d{5})")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
SIDE_FILE = "mmproj"  # a projector of images: llama.cpp takes it beside a model, not as one
RESERVED = ("default", "pilot", "pilot-mini", "ollama", "llama.cpp", "vllm", "lm-studio")  # names that mean something else


class Stored(NamedTuple):
    """One model on the shelf."""

    path: Path  # what an engine loads: the file, or the first part
    files: tuple[tuple[str, int, int], ...]  # name, bytes and time of change (ns) of each part


class Shelf:
    """The folder of pulled models. Methods raise OSError where it cannot be used."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def found(self) -> dict[str, Stored]:
        """Every whole model by its name, in order; nothing where there is no folder."""
        parts: dict[tuple[str, int], dict[int, tuple[str, int, int]]] = {}
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    stem, dot, kind = entry.name.rpartition(".")
                    split = SPLIT.fullmatch(stem)
                    name, number, count = (split["name"], int(split["part"]), int(split["all"])) if split else (stem, 1, 1)
                    if not dot or kind != "gguf" or not is_name(name) or name.lower().startswith(SIDE_FILE):
                        continue
                    try:
                        stat = entry.stat()
                    except FileNotFoundError:  # it was moved just now, or is a link to nothing
                        continue
                    parts.setdefault((name, count), {})[number] = (entry.name, stat.st_size, stat.st_mtime_ns)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        whole = {}
        for (name, count), found in sorted(parts.items()):
            if set(found) == set(range(1, count + 1)):
                whole[name] = Stored(self.folder / found[1][0], tuple(found[number] for number in sorted(found)))
        return whole

    def file(self, name: str, number: int, count: int) -> Path:
        """Where part `number` of `count` of a model goes."""
        return self.folder / (f"{name}.gguf" if count == 1 else f"{name}-{number:05}-of-{count:05}.gguf")

    def record(self, name: str) -> dict[str, Any]:
        """Where a model came from, as `note` wrote it; nothing where that is not known."""
        return read_record(self.folder / f"{name}.json")

    def note(self, name: str, record: dict[str, Any]) -> None:
        """Keep where a model came from."""
        write_record(self.folder / f"{name}.json", record)

    def lock(self, name: str) -> Path:
        """The file that is locked while a model is pulled."""
        return self.folder / f".{name}.lock"


def is_name(name: str) -> bool:
    """Whether a model can be kept and asked for under it."""
    return NAME.fullmatch(name) is not None and name.lower() not in RESERVED


def read_record(path: Path) -> dict[str, Any]:
    """The JSON object in a file; an empty one where there is none."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a JSON object whole or not at all. Raises OSError."""
    draft = path.with_name(f".{path.name}.new")
    try:
        draft.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        os.replace(draft, path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
