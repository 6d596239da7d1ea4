"""Each check of the budgets finds a fault that was put in front of it, and passes what is right."""

from __future__ import annotations

import ast

import pytest

from tests.architecture import budgets, imports, places, tree

HASH = f"    --hash=sha256:{'0' * 64}"


def _tree(*lines: str) -> ast.Module:
    return ast.parse("\n".join(lines))


def test_a_long_file() -> None:
    assert budgets.too_many_lines("x\n" * 401)
    assert budgets.too_many_lines("x\n" * 400 + "x")
    assert not budgets.too_many_lines("x\n" * 400)
    assert budgets.too_many_lines("x\n" * 101, 100)


@pytest.mark.parametrize("opening", ["def f():", "async def f():", "class A:\n def f(self):"])
def test_a_long_function(opening: str) -> None:
    assert budgets.long_functions(_tree(opening, *["  pass"] * 60))
    assert not budgets.long_functions(_tree(opening, *["  pass"] * 58))


def test_a_global() -> None:
    assert budgets.globals_used(_tree("def f():", "  global a, b", "  a = b = 1"))
    assert not budgets.globals_used(_tree("def f():", "  a = 1"))


@pytest.mark.parametrize(
    ("docstring", "wrong"),
    [
        ("", True),
        ("no full stop", True),
        ("One. Two.", True),
        ("One sentence that\nruns on.", True),
        ("One.\nTwo.", True),
        ("One.", False),
        ("Good enough? Keep it.", False),
        ("One.\n\nMore.", False),
        ("What it is: this, HTTP/1.1 too.", False),
    ],
)
def test_an_opening(docstring: str, wrong: bool) -> None:
    assert bool(budgets.opening(ast.parse(repr(docstring)))) is wrong


def test_no_opening() -> None:
    assert budgets.opening(_tree("a = 1"))


@pytest.mark.parametrize(
    "catch",
    [
        "try:\n  pass\n except:\n  pass",
        "try:\n  pass\n except Exception:\n  pass",
        "try:\n  pass\n except (OSError, BaseException) as e:\n  pass",
        "try:\n  pass\n except builtins.Exception:\n  pass",
        "with contextlib.suppress(Exception):\n  pass",
        "with suppress(OSError, Exception):\n  pass",
    ],
)
def test_a_broad_except(catch: str) -> None:
    assert budgets.broad_excepts(_tree("def f():", f" {catch}")) == ["f"]
    assert budgets.broad_excepts(_tree("class A:", f" {catch}")) == ["<module>"]
    nested = catch.replace("\n", "\n  ")
    assert budgets.broad_excepts(_tree("class A:", " def f(self):", "  def g():", f"   {nested}")) == ["A.f.g"]


def test_a_narrow_except() -> None:
    assert budgets.broad_excepts(_tree("def f():", " try:", "  pass", " except (OSError, ValueError):", "  pass", " with suppress(KeyError):", "  pass")) == []


@pytest.mark.parametrize("path", ["src/homeport/utils.py", "src/homeport/core/x.py", "tests/unit/test_helpers.py", "src/homeport/_base.py"])
def test_a_name_that_says_nothing(path: str) -> None:
    assert budgets.banned_name(path)


def test_a_name_that_says_something() -> None:
    assert not budgets.banned_name("src/homeport/cli/model_list.py")


def test_a_cycle() -> None:
    graph = imports.graph_of(
        {
            "p.__init__": "",
            "p.a": "from p import b",
            "p.b": "def f():\n  import p.c.d",
            "p.c.__init__": "",
            "p.c.d": "from ..a import name",
        }
    )
    assert imports.cycle_in(graph) == ["p.a", "p.b", "p.c.d", "p.a"]


def test_no_cycle() -> None:
    graph = imports.graph_of(
        {
            "p.__init__": "from .a import x",
            "p.a": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n  from p.b import T",
            "p.b": "import os\nfrom p.a import x",
            "p.c": "from p import a, b",
        }
    )
    assert graph == {"p": {"p.a"}, "p.a": set(), "p.b": {"p.a"}, "p.c": {"p.a", "p.b"}}
    assert imports.cycle_in(graph) == []


@pytest.mark.parametrize(
    "lock",
    [
        "--index-url https://packages.example/simple\n",
        "-i packages.example\n",
        "a @ https://packages.example/a.whl \\\n" + HASH,
        "a>=1 \\\n" + HASH,
        "a==1",
        "a==1 \\\nb==2 \\\n" + HASH,
        "a==1 \\\n    --hash=md5:00",
    ],
)
def test_a_loose_lock(lock: str) -> None:
    assert places.lock_faults(lock)


def test_a_firm_lock() -> None:
    assert places.lock_faults(f"# words\na==1 ; sys_platform == 'win32' \\\n{HASH} \\\n{HASH}\nb-c==2.0 \\\n{HASH}\n") == []


@pytest.mark.parametrize(
    "line",
    [
        "see https://files.python" + "hosted.org/x",
        "https://registry.npmjs" + ".org/",
        "cd /work" + "/main",
        "open('/root" + "/x')",
        "/tmp" + "/x/v/bin/python",
        "/home" + "/someone/homeport",
    ],
)
def test_a_place_of_one_machine(line: str) -> None:
    assert places.named(f"fine\n{line}\n") != []


def test_places_of_every_machine() -> None:
    assert places.named("/tmp/homeport.toml /v1/models ~/works/x tests" + "/root" + "/x https://docs.example/ ${HOME}/works/") == []


def test_a_stray_unit_test() -> None:
    sources = {"src/homeport/settings/__init__.py", "src/homeport/wire/sse.py", "src/homeport/__main__.py", "src/homeport/__init__.py"}
    mirrored = [f"tests/unit/test_{name}.py" for name in ("settings", "settings_keys", "main", "init")] + ["tests/unit/wire/test_sse.py"]
    astray = ["tests/unit/test_sse.py", "tests/unit/wire/test_sses.py", "tests/unit/test_nothing.py"]
    assert tree.strays(mirrored + astray, sources) == astray
