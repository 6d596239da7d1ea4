"""Runs a journey's coroutine straight from the callbacks of its sockets, without a task.

A task costs a context, a future for each wait and a turn of the loop for each wake-up. A journey waits for
few things, mostly the next bytes of its upstream, so the protocol that has them resumes the coroutine itself.
Everything here belongs to one event loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

Result = TypeVar("Result")


class Signal:
    """Something one coroutine waits for. Firing it resumes the waiter at once, on the caller's stack."""

    __slots__ = ("_fired", "_waiter")

    def __init__(self) -> None:
        self._waiter: Runner | None = None
        self._fired = False

    def __await__(self) -> Generator[Signal, None, None]:
        if self._fired:
            self._fired = False
        else:
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

    __slots__ = ("_awaited", "_coroutine", "_done", "_running", "_thrown")

    def __init__(self, coroutine: Coroutine[Any, Any, None], done: Callable[[BaseException | None], None] | None = None) -> None:
        self._coroutine: Coroutine[Any, Any, None] | None = coroutine
        self._done = done
        self._awaited: Signal | asyncio.Future[Any] | None = None
        self._thrown: BaseException | None = None
        self._running = False

    @property
    def finished(self) -> bool:
        return self._coroutine is None

    def resume(self) -> None:
        """Run the coroutine to its next wait. Called once to start it, then by what it waits for."""
        if self._coroutine is not None and not self._running:
            self._step(self._coroutine.send, None)

    def leave(self, error: BaseException) -> None:
        """Raise `error` where the coroutine waits; if it is running right now, at its next wait."""
        if self._running:
            self._thrown = error
            return
        coroutine, awaited = self._coroutine, self._awaited
        if coroutine is None:
            return
        if isinstance(awaited, Signal):
            awaited._waiter = None
        elif awaited is not None:
            awaited.remove_done_callback(self._wake)
        self._step(coroutine.throw, error)

    def _step(self, go: Callable[[Any], Any], value: BaseException | None) -> None:
        self._awaited = None
        self._running = True
        try:
            awaited = go(value)
            while self._thrown is not None:
                assert self._coroutine is not None
                error, self._thrown = self._thrown, None
                awaited = self._coroutine.throw(error)
        except StopIteration:
            self._finish(None)
        except BaseException as failure:  # the coroutine's own end: handed to whoever started it
            self._finish(failure)
        else:
            self._awaited = awaited
            if isinstance(awaited, Signal):
                awaited._waiter = self
            else:
                self._wait(awaited)
        finally:
            self._running = False

    def _wait(self, awaited: Any) -> None:
        if awaited is None:  # a bare yield: asyncio.sleep(0)
            asyncio.get_running_loop().call_soon(self.resume)
        else:  # an asyncio future, by its protocol: see asyncio.Task.__step
            awaited._asyncio_future_blocking = False
            awaited.add_done_callback(self._wake)

    def _wake(self, future: asyncio.Future[Any]) -> None:
        if future is self._awaited:
            self.resume()

    def _finish(self, failure: BaseException | None) -> None:
        self._coroutine = None
        if self._done is not None:
            self._done(failure)
        elif failure is not None and isinstance(failure, (KeyboardInterrupt, SystemExit)):
            raise failure


async def drive(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Await, from a task, a coroutine that awaits Signals. Raises what it raises."""
    results: list[Result] = []

    async def to_its_end() -> None:
        results.append(await coroutine)

    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(failure: BaseException | None) -> None:
        if not ended.done():
            ended.set_exception(failure) if failure is not None else ended.set_result(None)

    runner = Runner(to_its_end(), done)
    runner.resume()
    try:
        await ended
    finally:
        if not runner.finished:
            runner.leave(asyncio.CancelledError())
    return results[0]
