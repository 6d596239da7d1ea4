"""Files of tasks: what is served, and what is told where a file cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport.errors import BadSettings, UnknownTask
from homeport.tasks.served import Served

FILE = '''
from __future__ import annotations
from dataclasses import dataclass
from homeport import Quote, task
from homeport.tasks.shipped import classify
from beside import GREETING

@dataclass
class Found:
    name: Quote | None

@task
def who(text: str) -> Found:
    """Who is it?"""

also = who
'''


def write(folder: Path, text: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_tasks_of_a_file_are_served_beside_those_that_ship(tmp_path: Path) -> None:
    write(tmp_path, "GREETING = 'hi'", "beside.py")
    served = Served([write(tmp_path, FILE)])
    assert served.find("who").description == "Who is it?"
    assert {"who", "classify", "scatter"} <= served.all().keys()
    assert "also" not in served.all()
    assert served.find("classify").__module__ == "homeport.tasks.shipped.reading"


def test_a_task_of_the_settings_goes_before_one_that_ships(tmp_path: Path) -> None:
    path = write(tmp_path, 'from homeport import task\n@task\ndef classify(text: str) -> bool:\n    """Is it spam?"""\n')
    assert Served([path]).find("classify").description == "Is it spam?"


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(UnknownTask, match='"classify"'):
        Served().find("clasify")
    with pytest.raises(UnknownTask, match="there are ask, classify"):
        Served().find("x" * 1000)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("x = 1", "has no task"),
        ("from homeport.tasks.shipped import ask", "has no task"),
        ("def x(:", "mine.py:1: is not Python"),
        ("\nimport missing_module", "mine.py:2: ModuleNotFoundError"),
        ("a = 1\n\nb = c", "mine.py:3: NameError"),
        ("from homeport import task\n@task\ndef x(a: str) -> object:\n    '''x'''", "cannot be the type"),
    ],
)
def test_a_file_that_cannot_be_run_is_told_with_its_line(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(BadSettings, match=what):
        Served([write(tmp_path, text)])


def test_two_files_with_one_name_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    text = 'from homeport import task\n@task\ndef who(text: str) -> str:\n    """Who?"""\n'
    with pytest.raises(BadSettings, match=r"other\.py: the task who is in .*mine\.py too"):
        Served([write(tmp_path, text), write(tmp_path, text, "other.py")])
    with pytest.raises(BadSettings, match="no such file"):
        Served([tmp_path / "none.py"])
