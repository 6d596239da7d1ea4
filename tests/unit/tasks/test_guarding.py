"""Code that runs in a thread: however it ends, whoever waits is told; who has left is told nothing, and neither is the log."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from typing import Any, NoReturn

import pytest

from homeport.errors import TaskFailed
from homeport.tasks import guarding
from homeport.tasks.guarding import apart, beside, guarded
from tests.unit.tasks.asking import Scripted


class OnALoop(Scripted):
    blocking = False


ASKER = OnALoop("")


@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError(), GeneratorExit()])
def test_an_authors_code_that_would_end_its_thread_is_told_by_its_kind(error: BaseException) -> None:
    def check() -> NoReturn:
        raise error

    with pytest.raises(TaskFailed, match=type(error).__name__) as caught:
        asyncio.run(asyncio.wait_for(apart(ASKER, guarded, "t", "the check c", check), 20))
    assert caught.value.status == 500


def test_what_ends_a_thread_ends_no_wait() -> None:
    with pytest.raises(RuntimeError, match="SystemExit"):
        asyncio.run(asyncio.wait_for(apart(ASKER, sys.exit, 3), 20))


def test_an_interrupt_by_hand_is_none_of_the_checks() -> None:
    def interrupted() -> NoReturn:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guarded("t", "the check c", interrupted)


def test_nobody_is_told_how_it_ended_once_the_caller_has_left() -> None:
    told: list[dict[str, Any]] = []
    begun, go_on = threading.Event(), threading.Event()

    def work() -> NoReturn:
        begun.set()
        go_on.wait(20)
        raise ValueError("SECRET")

    async def left() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        coroutine = apart(ASKER, work)
        waited = coroutine.send(None)  # driven as a Runner does, which cancels nothing that it waits for
        waited._asyncio_future_blocking = False
        assert await asyncio.to_thread(begun.wait, 20)
        with pytest.raises(asyncio.CancelledError):
            coroutine.throw(asyncio.CancelledError())
        go_on.set()
        for thread in [one for one in threading.enumerate() if one.name == "task"]:
            await asyncio.to_thread(thread.join, 20)
        await asyncio.sleep(0)
        del waited, coroutine
        gc.collect()

    asyncio.run(left())
    assert told == []


def test_where_the_system_gives_no_thread_no_place_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_: threading.Thread) -> NoReturn:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(guarding, "ROOM", threading.BoundedSemaphore(1))
    monkeypatch.setattr(threading.Thread, "start", none_left)
    for _ in range(3):
        assert asyncio.run(beside(ASKER, len, "abc")) == 3
        with pytest.raises(TaskFailed) as caught:
            asyncio.run(apart(ASKER, len, "abc"))
        assert caught.value.status == 503
    assert guarding.ROOM.acquire(blocking=False)
