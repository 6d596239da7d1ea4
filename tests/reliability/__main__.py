"""`python -m tests.reliability [SECTION …]`: run the thorough tests, keep their figures, write docs/reliability.md."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from tests.reliability.page import SECTIONS, Figure, filled

ROOT = Path(__file__).resolve().parents[2]
KEPT, PAGE, CHAIN = (ROOT / "docs" / name for name in ("reliability.jsonl", "reliability.md", "chain.md"))


def main(names: list[str]) -> int:
    """Measure the sections of these names, or all; 0 where every test passed."""
    if unknown := set(names) - SECTIONS.keys():
        print(f"No section {', '.join(sorted(unknown))}. There are: {' '.join(SECTIONS)}", file=sys.stderr)
        return 2
    failed = []
    for name in names or SECTIONS:
        print(f"— {name}", flush=True)
        found = measured(name)
        if found is None:
            failed.append(name)
        else:
            keep([figure for figure in kept() if figure.name.partition(".")[0] != name] + found)
            write()
    write()
    if failed:
        print(f"Failed, and left as they were: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def measured(name: str) -> list[Figure] | None:
    """Run the tests of a section; its figures, or None where a test failed or none was noted."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.jsonl"
        environment = {**os.environ, "HOMEPORT_THOROUGH": "1", "HOMEPORT_FIGURES": str(file)}
        for command in commands(name):
            if subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, check=False).returncode != 0:
                return None
        lines = file.read_bytes().splitlines() if file.exists() else []
    commit, day = _commit(), time.strftime("%Y-%m-%d", time.gmtime())
    found = [msgspec.structs.replace(msgspec.json.decode(line, type=Figure), commit=commit, day=day) for line in lines]
    return [figure for figure in found if figure.name.partition(".")[0] == name] or None


def commands(name: str) -> list[list[str]]:
    """What to run for a section, after the interpreter."""
    modules = [what.split() for what in SECTIONS[name] if what.startswith("-m ")]
    tests = [what for what in SECTIONS[name] if not what.startswith("-m ")]
    return [*([["-m", "pytest", "--quiet", "--show-capture=no", *tests]] if tests else []), *modules]


def write() -> None:
    """Bring the pages up to date."""
    for page in (PAGE, CHAIN):
        page.write_text(filled(page.read_text(encoding="utf-8"), kept()), encoding="utf-8")


def kept() -> list[Figure]:
    """The figures of earlier runs."""
    return [msgspec.json.decode(line, type=Figure) for line in KEPT.read_bytes().splitlines()] if KEPT.exists() else []


def keep(figures: list[Figure]) -> None:
    """Write them down, in the order of the sections."""
    order = list(SECTIONS)
    figures.sort(key=lambda figure: order.index(figure.name.partition(".")[0]))
    KEPT.write_bytes(b"".join(msgspec.json.encode(figure) + b"\n" for figure in figures))


def _commit() -> str:
    """The commit that the files are of, with a mark where some of them are not."""
    command = ["git", "describe", "--always", "--dirty=+", "--exclude", "*", "--abbrev=12"]
    quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
