"""The tasks that a gateway serves: those that ship, and those of the files that the settings name."""

from __future__ import annotations

import difflib
import importlib.util
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from homeport.errors import BadSettings, HomeportError, UnknownTask
from homeport.tasks.declared import Task


class Served:
    """Tasks by name; those that ship are loaded when one is first asked for."""

    def __init__(self, paths: Sequence[Path] = ()) -> None:
        """Runs the files. Raises BadSettings for one that cannot be, or two tasks of one name."""
        self._told: dict[str, tuple[Task[Any, Any], Path]] = {}
        for path in paths:
            for task in tasks_of(load(path), path):
                other = self._told.get(task.name)
                if other is not None:
                    raise BadSettings(f"{path}: the task {task.name} is in {other[1]} too; give one of them another name")
                self._told[task.name] = (task, path)

    def all(self) -> Mapping[str, Task[Any, Any]]:
        """All of them; one of the settings' goes before one that ships."""
        from homeport.tasks.shipped import TASKS

        return {**TASKS, **{name: task for name, (task, _) in self._told.items()}}

    def find(self, name: str) -> Task[Any, Any]:
        """The task of that name. Raises UnknownTask, with the nearest name."""
        tasks = self.all()
        if name not in tasks:
            raise UnknownTask(f"There is no task {shown(name)}{_nearest(name, tasks)}", param="name")
        return tasks[name]


def load(path: Path) -> ModuleType:
    """Run a file as a module of its own; what stands beside it can be imported from it. Raises BadSettings."""
    if not path.is_file():
        raise BadSettings(f"{path}: no such file (asked for by tasks.paths)")
    spec = importlib.util.spec_from_file_location(f"homeport_tasks_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise BadSettings(f"{path}: is no Python file (asked for by tasks.paths)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and annotations look their module up there
    beside = str(path.parent)
    sys.path.insert(0, beside)
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise BadSettings(f"{path}:{error.lineno or 1}: is not Python: {error.msg}") from None
    except (ArithmeticError, AttributeError, HomeportError, ImportError, LookupError, NameError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise BadSettings(f"{path}:{_line(error, path)}: {type(error).__name__}: {error}") from None
    finally:
        sys.path.remove(beside)
    return module


def tasks_of(module: ModuleType, path: Path) -> list[Task[Any, Any]]:
    """The tasks that a file defines, in order; not those that it imports. Raises BadSettings where there is none."""
    found = [value for value in vars(module).values() if isinstance(value, Task) and value.__module__ == module.__name__]
    if not found:
        raise BadSettings(f"{path}: has no task; write @task above a function, with: from homeport import task")
    return list({id(task): task for task in found}.values())


def shown(name: str) -> str:
    """A name that was asked for, fit for a message."""
    return repr(name[:60])


def _nearest(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name[:60], list(names), n=1)
    return f'; did you mean "{near[0]}"?' if near else f"; there are {', '.join(sorted(names))}."


def _line(error: BaseException, path: Path) -> int:
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
