"""The tool that counts what the tests do not notice: which faults it makes, and that it tells a good test from none."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.__main__ import ROOMS, Count, Notebook, equivalents
from tests.mutants.mutations import Mutant, mutants, mutated

SOURCE = '''
"""A scale."""

LEAST = 3  # kg


class Scale:
    """It weighs."""

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held: list[int] = []

    @property
    def ready(self) -> bool:
        return not self.held and LEAST <= 3.5

    def put(self, weight: int | None = None) -> None:
        if weight is None:
            return
        self.held.append(weight)
'''

FAULTS = [
    "module | LEAST = 3  # kg | 3 → 4",
    "module | LEAST = 3  # kg | 3 → 2",
    "Scale.ready | return not self.held and LEAST <= 3.5 | return not self.held and LEAST <= 3.5 → return None",
    "Scale.ready | return not self.held and LEAST <= 3.5 | not self.held and LEAST <= 3.5 → not self.held or LEAST <= 3.5",
    "Scale.ready | return not self.held and LEAST <= 3.5 | not self.held → self.held",
    "Scale.ready | return not self.held and LEAST <= 3.5 | LEAST <= 3.5 → LEAST < 3.5",
    "Scale.ready | return not self.held and LEAST <= 3.5 | LEAST <= 3.5 → LEAST > 3.5",
    "Scale.ready | return not self.held and LEAST <= 3.5 | 3.5 → 7.0",
    "Scale.ready | return not self.held and LEAST <= 3.5 | 3.5 → 1.75",
    "Scale.put | if weight is None: | weight is None → weight is not None",
    "Scale.put | return | return → nothing",
    "Scale.put | self.held.append(weight) | self.held.append(weight) → nothing",
    "Scale.put | self.held.append(weight) | self.held.append(weight) → self.held.appendleft(weight)",
]


def test_its_faults_are_small_and_leave_alone_what_no_behaviour_shows() -> None:
    assert [mutant.name for mutant in mutants(SOURCE)] == FAULTS
    assert mutants(SOURCE)[0].line == 4


def test_each_mutant_is_the_module_with_one_fault() -> None:
    plain = ast.unparse(ast.parse(SOURCE))
    made = [ast.unparse(mutated(SOURCE, mutant)) for mutant in mutants(SOURCE)]
    assert len({plain, *made}) == len(FAULTS) + 1
    assert made[4] == plain.replace("not self.held", "self.held")
    assert made[10] == plain.replace("return\n", "pass\n")


@pytest.mark.parametrize(
    ("line", "others"),
    [
        ("x = min(a, b) - 1 << c", ["max(a, b) - 1 << c", "min(a, b) + 1 << c", "min(a, b) - 1 >> c", "min(a, b) - 2 << c", "min(a, b) - 0 << c"]),
        ("x = a < b", ["a <= b", "a >= b"]),
        ("x = a if b else -1", ["a if not b else -1", "a if b else 1", "a if b else -2", "a if b else -0"]),
        ("x = a or b or c", ["a and b and c", "b or c", "a or c", "a or b"]),
        ("x = 'open', 'What people read'", ["('xopen', 'What people read')"]),
        ("x = 'SELECT a WHERE b = ? AND c < ?'", ["'SELECT a WHERE b <> ? AND c < ?'", "'SELECT a WHERE b = ? OR c < ?'"]),
        ("x += True", ["x -= True", "x += False"]),
        ("raise a", ["pass"]),
        ("del a[0]", ["pass", "del a[1]"]),
    ],
)
def test_what_else_could_stand_there(line: str, others: list[str]) -> None:
    made = [ast.unparse(mutated(line, mutant)).removeprefix("x = ") for mutant in mutants(line)]
    assert set(others) <= set(made)


def test_one_name_is_one_mutant() -> None:
    for room in ROOMS.values():
        found = mutants(room.path.read_text(encoding="utf-8"))
        assert len({mutant.name for mutant in found}) == len(found) >= 30


TRIALS = """
import sys
from pathlib import Path
from tests.mutants import trial
from tests.mutants.mutations import mutants, mutated
import ast
path, test = Path(sys.argv[1]), sys.argv[2]
source = path.read_text()
def tell(tree): print(trial.noticed("scales_on_trial", path, tree, [test], examples=1, cpu_s=5.0))
tell(ast.parse(source))
for mutant in mutants(source): tell(mutated(source, mutant))
tell(ast.parse("import nowhere_to_be_found"))
tell(ast.parse("while True: pass"))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="trials are looked after by way of /proc")
def test_a_trial_tells_by_what_a_fault_was_noticed(tmp_path: Path) -> None:
    module, test = tmp_path / "scales_on_trial.py", tmp_path / "test_scales.py"
    module.write_text("def heavy(kg):\n    return kg > 20\n")
    test.write_text("from scales_on_trial import heavy\n\ndef test_heavy():\n    assert heavy(21) and not heavy(19)\n")
    command = [sys.executable, "-c", TRIALS, str(module), str(test)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120)
    said = [line.rpartition("::")[2] for line in done.stdout.splitlines()]
    # as it is · return None · kg >= 20 · kg <= 20 · 21 · 19 · not importable · endless
    assert said == ["None", "test_heavy", "None", "test_heavy", "test_heavy", "None", "import", "never ended"], done.stderr
    assert module.read_text().endswith("kg > 20\n"), "nothing is written into the tree"


def test_the_score_counts_what_was_tried_and_says_what_cannot_be_noticed() -> None:
    survivors = [Mutant("a", 1, 0, 0), Mutant("b", 2, 0, 0), Mutant("c", 3, 0, 0), Mutant("d", 4, 0, 0)]
    count = Count("room", 100, 40, survivors, survivors[:2])
    assert count.score == 90.0
    assert count.adjusted == pytest.approx(36 / 38 * 100)
    assert Count("room", 1, 0, [], []).score == 0.0


def test_what_is_the_same_in_effect_needs_a_reason() -> None:
    assert equivalents("[breaker]\n# the bound is never met\nf | a < b | a < b → a <= b\n") == {
        "breaker": {"f | a < b | a < b → a <= b": "the bound is never met"}
    }
    for text in ("f | a | a → b", "[breaker]\nf | a | a → b", "[leases]\n# why\n[breaker]\nf | a | a → b"):
        with pytest.raises(ValueError, match="no reason"):
            equivalents(text)


def test_a_run_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    book = Notebook(tmp_path / "build" / "mutants.jsonl")
    book.note("module", "tests", "noticed", "test_a")
    book.note("module", "tests", "survived", None)
    for again in (book, Notebook(tmp_path / "build" / "mutants.jsonl")):
        assert (again.by("module", "noticed"), again.by("module", "survived")) == ("test_a", None)
        assert [again.knows("module", "tests", name) for name in ("noticed", "survived", "new")] == [True, True, False]
        assert [again.knows("module", "other tests", name) for name in ("noticed", "survived")] == [True, False]
        assert not again.knows("another module", "tests", "noticed")
