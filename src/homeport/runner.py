"""Runs a journey's coroutine straight from the callbacks of its sockets, without a task.

A task costs a context, a future for each wait and a turn of the loop for each wake-up. A journey waits for
few things, mostly the next bytes of its upstream, so the protocol that has them resumes the coroutine itself.
Everything here belongs to one event loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


class Signal:
    """Something one coroutine waits for. Firing it resumes the waiter at once, on the caller's stack."""

    __slots__ = ("_fired", "_waiter")

    def __init__(self) -> None:
        self._waiter: Runner | None = None
        self._fired = False

    def __await__(self) -> Generator[Signal, None, None]:
        if self._fired:
            self._fired = False
            return
        yield self

    def fire(self) -> None:
        """Resume the waiter, or let the next wait pass at once where there is none."""
        waiter = self._waiter
        if waiter is None:
            self._fired = True
        else:
            self._waiter = None
            waiter.resume()


class Runner:
    """Drives one coroutine that awaits Signals and asyncio futures; `leave` throws into it where it stands."""

    __slots__ = ("_coroutine", "_done", "_future", "_running", "_thrown", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, Any, None], done: Callable[[BaseException | None], None] | None = None) -> None:
        self._coroutine: Coroutine[Any, Any, None] | None = coroutine
        self._done = done
        self._waits_for: Signal | None = None
        self._future: asyncio.Future[Any] | None = None
        self._thrown: BaseException | None = None
        self._running = False

    @property
    def finished(self) -> bool:
        return self._coroutine is None

    def resume(self) -> None:
        """Run the coroutine to its next wait. Called once to start it, then by what it waits for."""
        self._step(None)

    def leave(self, error: BaseException) -> None:
        """Raise `error` where the coroutine waits; if it is running right now, at its next wait."""
        if self._running:
            self._thrown = error
        elif self._coroutine is not None:
            self._step(error)

    def _step(self, error: BaseException | None) -> None:
        coroutine = self._coroutine
        if coroutine is None or self._running:
            return
        if self._waits_for is not None:
            self._waits_for._waiter = None
            self._waits_for = None
        if self._future is not None:
            self._future.remove_done_callback(self._wake)
            self._future = None
        self._running = True
        try:
            while True:
                waited = coroutine.send(None) if error is None else coroutine.throw(error)
                error, self._thrown = self._thrown, None
                if error is None:
                    break
        except StopIteration:
            self._finish(None)
            return
        except BaseException as failure:  # the coroutine's own end: handed to whoever started it
            self._finish(failure)
            return
        finally:
            self._running = False
        if type(waited) is Signal:
            waited._waiter = self
            self._waits_for = waited
        elif waited is None:  # a bare yield: asyncio.sleep(0)
            asyncio.get_running_loop().call_soon(self.resume)
        else:  # an asyncio future, by its protocol: see asyncio.Task.__step
            waited._asyncio_future_blocking = False
            self._future = waited
            waited.add_done_callback(self._wake)

    def _wake(self, future: asyncio.Future[Any]) -> None:
        if future is self._future:
            self._future = None
            self._step(None)

    def _finish(self, failure: BaseException | None) -> None:
        self._coroutine = None
        if self._done is not None:
            self._done(failure)
        elif failure is not None and isinstance(failure, (KeyboardInterrupt, SystemExit)):
            raise failure


async def in_task(coroutine: Coroutine[Any, Any, T]) -> T:
    """Await, from a journey, what needs a task of its own (timeouts, connecting); it is cancelled if the journey goes on without it."""
    task = asyncio.ensure_future(coroutine)
    try:
        return await task
    finally:
        if not task.done():
            task.cancel()


async def drive(coroutine: Coroutine[Any, Any, None]) -> None:
    """Await, from a task, a coroutine that awaits Signals. Raises what it raises."""
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(failure: BaseException | None) -> None:
        if not ended.done():
            ended.set_exception(failure) if failure is not None else ended.set_result(None)

    runner = Runner(coroutine, done)
    runner.resume()
    try:
        await ended
    finally:
        if not runner.finished:
            runner.leave(asyncio.CancelledError())
