"""Runs the code that a task's author wrote: its failures are told by their kind, for their text may quote an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from homeport.errors import TaskFailed

FAILURES = (ArithmeticError, AssertionError, AttributeError, LookupError, NameError, OSError, RuntimeError, TypeError, ValueError)


def guarded(task: str, what: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """What `function` returns. `what` says whose code it is, such as "the check grown_up". Raises TaskFailed (500) where it fails."""
    try:
        return function(*args, **kwargs)
    except FAILURES as error:
        failure = TaskFailed(f"{what[:1].upper()}{what[1:]} of the task {task} failed: {type(error).__name__}.")
        failure.status = 500
        raise failure from error
