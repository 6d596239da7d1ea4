"""Puts small faults into the modules on which the promises rest, and counts those that no test notices: `make mutants`.

What came of it is kept in `build/mutants.jsonl`, so that a run goes on where the last one was stopped. A mutant that was noticed
counts so while its module stays the same; one that was not is tried again as soon as the tests have changed.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib
import json
import os
import random
import sys
from pathlib import Path
from typing import NamedTuple

from tests import figures
from tests.mutants import trial
from tests.mutants.mutations import Mutant, mutants, mutated

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
STATE = ROOT / "build" / "mutants.jsonl"
LEAST = 85.0  # % of a module's mutants
EXAMPLES = 25
CPU_FACTOR, CPU_SPARE_S = 2.0, 2.0  # of what the tests use without a fault
LOADED = ("hypothesis.stateful", "msgspec", "sqlite3", "asyncio", "uvloop", "homeport.ports", "homeport.errors", "homeport.vocabulary")  # before each fork


class Room(NamedTuple):
    """A module and the tests that must notice; those that are quick first."""

    module: str
    tests: tuple[str, ...]

    @property
    def path(self) -> Path:
        return ROOT / "src" / Path(*self.module.split(".")).with_suffix(".py")


ROOMS = {
    "leases": Room("homeport.backends.leases", ("tests/unit/backends/test_leases.py", "tests/properties/test_leases.py")),
    "breaker": Room("homeport.rules.breaker", ("tests/unit/rules/test_breaker.py", "tests/properties/test_breaker.py")),
    "health": Room("homeport.backends.health", ("tests/unit/backends/test_health.py", "tests/properties/test_breaker.py")),
    "database": Room("homeport.monitor.database", ("tests/unit/monitor/test_outbox.py", "tests/properties/test_outbox.py")),
    "outbox": Room("homeport.monitor.outbox", ("tests/unit/monitor/test_outbox.py", "tests/properties/test_outbox.py")),
    "journal": Room(
        "homeport.storage.journal", ("tests/unit/storage/test_journal_files.py", "tests/unit/storage/test_journal.py", "tests/properties/test_journal.py")
    ),
}


class Count(NamedTuple):
    """What came of one module."""

    room: str
    all: int
    tried: int
    survived: list[Mutant]
    excused: list[Mutant]  # of those that survived: the same in effect (equivalent.txt)

    @property
    def score(self) -> float:
        """% noticed, of all that were tried."""
        return 100.0 * (self.tried - len(self.survived)) / max(1, self.tried)

    @property
    def adjusted(self) -> float:
        """% noticed, of those that can be."""
        return 100.0 * (self.tried - len(self.survived)) / max(1, self.tried - len(self.excused))


def equivalents(text: str) -> dict[str, dict[str, str]]:
    """Room → name of a mutant → why no test can notice it: a line `# why` above the names it holds for, under `[room]`."""
    found: dict[str, dict[str, str]] = {}
    room = why = ""
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("["):
            room, why = line.strip("[]"), ""
            found[room] = {}
        elif line.startswith("#"):
            why = line.lstrip("# ")
        elif not room or not why:
            raise ValueError(f"it has no [room] or no reason above it: {line}")
        else:
            found[room][line] = why
    return found


def digest(*paths: Path, more: str = "") -> str:
    """Of what stands in these files."""
    return hashlib.sha256(b"\0".join([more.encode(), *(path.read_bytes() for path in paths)])).hexdigest()[:16]


class Notebook:
    """What was tried before, and by what it was noticed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[tuple[str, str], tuple[str, str | None]] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                module, tests, name, by = json.loads(line)
                self._known[module, name] = tests, by

    def knows(self, module: str, tests: str, name: str) -> bool:
        """Whether it need not be tried again; `module` and `tests` say how they stand (`digest`)."""
        then, by = self._known.get((module, name), ("", None))
        return then == tests or by is not None

    def by(self, module: str, name: str) -> str | None:
        """What noticed it."""
        return self._known[module, name][1]

    def note(self, module: str, tests: str, name: str, by: str | None) -> None:
        """Keep what came of one."""
        self._known[module, name] = tests, by
        self._path.parent.mkdir(exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([module, tests, name, by], ensure_ascii=False) + "\n")


def main(arguments: list[str] | None = None) -> int:
    """0 where every module reached LEAST."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="module", help=f"of {', '.join(ROOMS)}; all without it")
    parser.add_argument("--sample", type=int, metavar="N", help="N mutants of each module, drawn by the seed")
    parser.add_argument("--seed", type=int, default=6, help="of the order and the sample")
    parser.add_argument("--examples", type=int, default=EXAMPLES, metavar="N", help="runs of a state machine for each mutant, at most")
    parser.add_argument("--anew", action="store_true", help="forget what came of earlier runs")
    parser.add_argument("--list", action="store_true", help="name the mutants and end")
    options = parser.parse_args(arguments)
    if unknown := set(options.rooms) - set(ROOMS):
        parser.error(f"no such module: {', '.join(sorted(unknown))}")
    rooms = options.rooms or list(ROOMS)
    if options.list:
        for name in rooms:
            print(*(f"{name}:{mutant.line} {mutant.name}" for mutant in mutants(ROOMS[name].path.read_text(encoding="utf-8"))), sep="\n")
        return 0
    if not Path("/proc/self/stat").exists():
        print("make mutants needs Linux: it looks after its trials by way of /proc.", file=sys.stderr)
        return 2
    os.chdir(ROOT)
    if options.anew:
        STATE.unlink(missing_ok=True)
    for name in LOADED:
        importlib.import_module(name)
    counts = [count(name, options) for name in rooms]
    report(counts, options.seed)
    return 0 if all(one.score >= LEAST for one in counts) else 1


def count(name: str, options: argparse.Namespace) -> Count:
    """Try the mutants of one room."""
    room, notebook = ROOMS[name], Notebook(STATE)
    source = room.path.read_text(encoding="utf-8")
    tests = list(room.tests)
    module = digest(room.path)
    fixed = digest(*(ROOT / test for test in tests), HERE / "trial.py", more=str(options.examples))
    everything = mutants(source)
    chosen = random.Random(options.seed).sample(everything, min(options.sample or len(everything), len(everything)))
    survived = []
    cpu_s = 0.0
    for number, mutant in enumerate(chosen, 1):
        if not notebook.knows(module, fixed, mutant.name):
            cpu_s = cpu_s or CPU_FACTOR * cost(name, source, tests, options.examples) + CPU_SPARE_S
            by = trial.noticed(room.module, room.path, mutated(source, mutant), tests, examples=options.examples, cpu_s=cpu_s)
            if by is not None and "::" not in by:
                cost(name, source, tests, options.examples)  # was it the fault, or is something wrong with this machine?
            notebook.note(module, fixed, mutant.name, by)
        if notebook.by(module, mutant.name) is None:
            survived.append(mutant)
            print(f"{name}:{mutant.line} survived ({number}/{len(chosen)})  {mutant.name}", flush=True)
    excuses = equivalents((HERE / "equivalent.txt").read_text(encoding="utf-8")).get(name, {})
    for stale in sorted(set(excuses) - {mutant.name for mutant in everything}):
        print(f"{name}: equivalent.txt names a mutant that is not there: {stale}")
    for stale in sorted(set(excuses) & {mutant.name for mutant in chosen} - {mutant.name for mutant in survived}):
        print(f"{name}: equivalent.txt excuses a mutant that was noticed: {stale}")
    return Count(name, len(everything), len(chosen), survived, [mutant for mutant in survived if mutant.name in excuses])


def cost(name: str, source: str, tests: list[str], examples: int) -> float:
    """The processor time that the tests use without a fault. Raises SystemExit where they fail."""
    before = os.times()
    by = trial.noticed(ROOMS[name].module, ROOMS[name].path, ast.parse(source), tests, examples=examples, cpu_s=600.0)
    if by is not None:
        raise SystemExit(f"{name}: its tests fail without any fault in it: {by}")
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def report(counts: list[Count], seed: int) -> None:
    """The table, and its figures for docs/reliability.md."""
    print(f"\n{'module':10}{'mutants':>9}{'tried':>8}{'noticed':>9}{'survived':>10}{'same':>6}{'score':>9}{'without the same':>19}")
    for one in counts:
        noticed = one.tried - len(one.survived)
        print(f"{one.room:10}{one.all:9}{one.tried:8}{noticed:9}{len(one.survived):10}{len(one.excused):6}{one.score:8.1f}%{one.adjusted:18.1f}%")
        sentence = f"{noticed} of {one.tried} noticed ({one.all} in all); {one.adjusted:.1f} % without {len(one.excused)} that are the same in effect"
        figures.note(f"mutants.{one.room}", round(one.score, 1), "%", seed=seed, note=sentence)
    figures.note("mutants.tried", sum(one.tried for one in counts), seed=seed)
    figures.note("mutants.survived", sum(len(one.survived) for one in counts), seed=seed)


if __name__ == "__main__":
    sys.exit(main())
