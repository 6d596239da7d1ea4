"""Every file of the repository keeps the budgets of the house."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.architecture import budgets, imports, places, tree

# Where everything may be caught, and why. Nothing else: name what can fail.
BROAD_ALLOWED = {
    "src/homeport/app.py:every": "a supervised background loop: one failure must not end it",
    "src/homeport/backends/answer.py:Answer._hand": "what reads a stream may fail in any way; raised again in the journey that waits for it",
    "src/homeport/embedded.py:Gateway._run": "a thread's end, raised again in the thread that entered",
    "src/homeport/runner.py:Runner._step": "the end of a coroutine, handed whole to whoever started it, as asyncio.Task does",
    "src/homeport/tasks/guarding.py:_begun.run": "a thread's end, handed whole to whoever waits for it",
    "src/homeport/tasks/guarding.py:guarded": "a task's author's code may fail in any way; its text may quote an answer, so only its kind is told",
    "src/homeport/upstreams.py:Upstreams._guarded": "a supervised background task: one failure must not end the looking after",
    "tests/gateway.py:Running._run": "a thread's end, raised again in the test",
}

# A command's file has the command's name, whatever it is.
NAMES_ALLOWED = {"src/homeport/cli/models.py", "tests/unit/cli/test_models.py"}

SHORTER = {"src/homeport/serve.py": 100}

PYTHON = tree.python()
LOCKS = [name for name in tree.files() if name.endswith(".lock")]


def _faults(check: Callable[[ast.Module], list[str]], names: list[str]) -> list[str]:
    return [f"{name}: {fault}" for name in names for fault in check(ast.parse(tree.text(name)))]


def test_the_repository_is_seen() -> None:
    assert "src/homeport/__init__.py" in PYTHON
    assert "tests/architecture/test_budgets.py" in PYTHON


def test_files_are_short() -> None:
    faults = [f"{name}: {fault}" for name in PYTHON for fault in budgets.too_many_lines(tree.text(name), SHORTER.get(name, budgets.FILE_LINES))]
    assert faults == []


def test_functions_are_short() -> None:
    assert _faults(budgets.long_functions, PYTHON) == []


def test_no_global() -> None:
    assert _faults(budgets.globals_used, PYTHON) == []


def test_every_module_opens_with_one_sentence() -> None:
    assert _faults(budgets.opening, PYTHON) == []


def test_everything_is_caught_only_where_allowed() -> None:
    found = {f"{name}:{function}" for name in PYTHON for function in budgets.broad_excepts(ast.parse(tree.text(name)))}
    assert found - set(BROAD_ALLOWED) == set(), "catch what can fail, by name"
    assert set(BROAD_ALLOWED) - found == set(), "no longer caught there: take it off the list"


def test_names_say_something() -> None:
    assert [f"{name}: {fault}" for name in PYTHON if name not in NAMES_ALLOWED for fault in budgets.banned_name(name)] == []


def test_no_two_modules_need_each_other() -> None:
    sources = {name.removeprefix("src/").removesuffix(".py").replace("/", "."): tree.text(name) for name in tree.python("src")}
    # The package's own page offers names of app lazily; that is not an import at run time.
    graph = imports.graph_of({name: text for name, text in sources.items() if name != "homeport.__init__"})
    assert len(graph) > 1
    assert imports.cycle_in(graph) == []


def test_at_most_ten_public_names() -> None:
    homeport = importlib.import_module("homeport")
    assert len(homeport.__all__) <= budgets.PUBLIC_NAMES
    assert all(getattr(homeport, name) is not None for name in homeport.__all__)
    assert homeport.__doc__ is not None


@pytest.mark.parametrize("package", sorted({name.split("/")[2].removesuffix(".py") for name in tree.python("src")} - {"__init__", "__main__"}))
def test_the_map_names_every_room(package: str) -> None:
    docstring = ast.get_docstring(ast.parse(tree.text("src/homeport/__init__.py"))) or ""
    assert any(line.split()[:1] == [package] for line in docstring.splitlines()), f"{package} is not on the map in homeport/__init__.py"


def test_importing_the_package_loads_nothing_else() -> None:
    code = "import sys, homeport; print(*sorted(name for name in sys.modules if name.startswith(('homeport.', 'msgspec', 'uvloop', 'starlette', 'rich'))))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert loaded.stdout.split() == []


@pytest.mark.parametrize("name", LOCKS)
def test_locks_hold_exact_versions_and_name_no_registry(name: str) -> None:
    text = tree.text(name)
    assert text.count("==") >= 2
    assert places.lock_faults(text) == []


def test_nothing_names_a_registry_or_a_folder_of_one_machine() -> None:
    assert [f"{name}: {fault}" for name, text in tree.texts().items() for fault in places.named(text)] == []


def test_every_unit_test_mirrors_a_module() -> None:
    tests = [name for name in tree.python("tests") if name.startswith("tests/unit/") and name.rpartition("/")[2].startswith("test_")]
    assert tree.strays(tests, set(tree.python("src"))) == []


def test_the_package_carries_its_types_and_its_model() -> None:
    assert "src/homeport/py.typed" in tree.files()
    assert [name for name in tree.files() if name.startswith("src/homeport/pilot/") and name.endswith(".gguf")]


@pytest.mark.parametrize("name", [name for name in tree.files() if name.startswith(("scripts/", ".ci/")) or name == "tests/needs"])
def test_scripts_can_be_run(name: str) -> None:
    assert (tree.ROOT / name).stat().st_mode & 0o100
