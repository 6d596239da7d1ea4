"""The files of the repository, as git would commit them, and which test belongs to which module."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
_LEFT_OUT = {".git", ".venv", "dist", "build", "__pycache__"}


@cache
def files() -> tuple[str, ...]:
    """Every file that is tracked, or new and not ignored, relative to the root; without git, every file but what make wrote."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        command = ["git", "-c", "core.quotePath=off", "ls-files", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    else:
        listed = [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if not _LEFT_OUT & set(path.relative_to(ROOT).parts)]
    return tuple(sorted({name for name in listed if (ROOT / name).is_file()}))


def python(*folders: str) -> list[str]:
    """The Python files, of the given top-level folders or of all."""
    return [name for name in files() if name.endswith(".py") and (not folders or name.split("/")[0] in folders)]


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def texts() -> dict[str, str]:
    """Every file that is text, by name."""
    found = {}
    for name in files():
        data = (ROOT / name).read_bytes()
        if b"\0" not in data[:8192]:
            found[name] = data.decode("utf-8", errors="replace")
    return found


def strays(tests: list[str], sources: set[str]) -> list[str]:
    """The files under tests/unit that mirror no module: `a/test_b.py` or `a/test_b_some_aspect.py` belongs to `a/b.py` or the package `a/b`."""
    return [test for test in tests if not _owners(PurePosixPath(test)) & sources]


def _owners(test: PurePosixPath) -> set[str]:
    words = test.stem.removeprefix("test_").split("_")
    folder = "src/homeport" / test.parent.relative_to("tests/unit")
    names = {"_".join(words[:count]) for count in range(1, len(words) + 1)}
    dunder = {f"__{words[0]}__"} & {"__init__", "__main__"}
    return {f"{folder}/{name}{end}" for name in names | dunder for end in (".py", "/__init__.py")}
