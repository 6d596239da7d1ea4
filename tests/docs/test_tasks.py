"""What docs/tasks.md says is what there is: its examples run, its tables are complete."""

from __future__ import annotations

import inspect
import sys
from types import ModuleType

import pytest

from homeport.tasks import Task, task
from homeport.tasks.shipped import TASKS
from tests.docs.pages import Page, rows

PAGE = Page("docs/tasks.md")


@pytest.mark.parametrize("block", PAGE.blocks("python"))
def test_the_examples_are_tasks(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("example")
    monkeypatch.setitem(sys.modules, "example", module)  # where a dataclass looks for itself
    exec(compile(block, "docs/tasks.md", "exec"), vars(module))
    assert any(isinstance(value, Task) for value in vars(module).values())


def test_every_term_of_a_task_is_documented() -> None:
    section = PAGE.text.partition("## What happens to an answer")[0]
    documented = {name.strip("` ") for cell in rows(section) for name in cell.split(",")}
    assert {name for name in inspect.signature(task).parameters if name != "function"} <= documented


def test_the_tasks_that_ship_are_documented_with_their_arguments() -> None:
    documented = rows(PAGE.section("The tasks that ship"))
    assert documented.keys() == TASKS.keys()
    for name, found in TASKS.items():
        given = [part.strip("` ").partition("=")[0] for part in documented[name][0].split("`")[1::2]]
        assert given == list(found.input["properties"]), name
