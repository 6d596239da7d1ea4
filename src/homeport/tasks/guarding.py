"""Runs the code that a task's author wrote: its failures are told by their kind, for their text may quote an answer."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

from homeport.errors import TaskFailed
from homeport.ports import Asker

MOST = 64  # calls at once whose author's code runs in a thread
ROOM = threading.BoundedSemaphore(MOST)
P = ParamSpec("P")
R = TypeVar("R")


def guarded(task: str, what: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """What `function` returns. `what` says whose code it is, such as "the check grown_up". Raises TaskFailed (500) where it fails, however it does."""
    try:
        return function(*args, **kwargs)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # sys.exit() too: it would end a thread and leave the caller to wait for ever
        raise wrong(task, what, f"failed: {type(error).__name__}") from None


def wrong(task: str, what: str, how: str) -> TaskFailed:
    """The error for an author's code that does not do what it is for."""
    failure = TaskFailed(f"{what[:1].upper()}{what[1:]} of the task {task} {how}.")
    failure.status = 500
    return failure


async def apart(asker: Asker, work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """What `work` returns, from a thread of its own: an author's code may take its time, or ask this very gateway. At once where nothing else waits."""
    if asker.blocking:
        return work(*args, **kwargs)
    result = _begun(functools.partial(work, *args, **kwargs))
    if result is None:
        failure = TaskFailed(f"{MOST} calls of tasks are under way with code of their authors. Ask again in a moment.")
        failure.status, failure.retry_after_s = 503, 1
        raise failure
    return await _awaited(result)


async def beside(asker: Asker, work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """The same for code of our own that takes long, so that the loop goes on; where there are too many threads it is done at once."""
    result = None if asker.blocking else _begun(functools.partial(work, *args, **kwargs))
    return work(*args, **kwargs) if result is None else await _awaited(result)


async def _awaited(result: Future[R]) -> R:
    waited = asyncio.wrap_future(result)
    try:
        return await waited
    finally:
        waited.cancel()  # whoever left does not want to know how it ended, and the log is not to be told


def _begun(work: Callable[[], R]) -> Future[R] | None:
    """Work under way in a thread; None where there are too many."""
    if not ROOM.acquire(blocking=False):
        return None
    result: Future[R] = Future()
    result.set_running_or_notify_cancel()

    def run() -> None:
        try:
            result.set_result(work())
        except BaseException as error:
            result.set_exception(error if isinstance(error, Exception) else RuntimeError(f"a thread ended with {type(error).__name__}"))
        finally:
            ROOM.release()

    try:
        threading.Thread(target=run, name="task", daemon=True).start()  # one of its own: what it waits for may be another call like it
    except RuntimeError:  # the system gives no more
        ROOM.release()
        return None
    return result
