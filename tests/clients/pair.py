"""Two real gateways over one scripted backend, and one call to them by either client."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import homeport
from homeport.client import Timeouts
from homeport.testing.backend import ScriptedBackend
from tests.gateway import Spawned, config

TEXT = "one two three four five six seven eight"
QUICK = Timeouts(silence_s=0.3, health_s=0.4)

Ask = Callable[..., str]


class Pair:
    """`first` and `second`, and the backend of both."""

    def __init__(self, backend: ScriptedBackend, first: Spawned, second: Spawned) -> None:
        self.backend = backend
        self.first = first
        self.second = second
        self.urls = [first.url, second.url]  # they stay known when a gateway is gone

    def stop(self, gateway: Spawned) -> None:
        """SIGSTOP: it takes connections and says nothing."""
        os.kill(gateway.pid, signal.SIGSTOP)

    def answered(self, gateway: Spawned) -> int:
        """How many receipts a gateway has."""
        return len(gateway.journal.receipts)


@contextmanager
def gateways(folder: Path, **server: Any) -> Iterator[Pair]:
    """Both up; a gateway that was stopped goes on before it is ended."""
    with ExitStack() as stack:
        backend = stack.enter_context(ScriptedBackend(TEXT, style="vllm"))
        found = []
        for name in ("first", "second"):
            (folder / name).mkdir()
            found.append(stack.enter_context(Spawned(config(folder / name, {"only": backend.url}, **server))))
        try:
            yield Pair(backend, *found)
        finally:
            for gateway in found:
                if gateway._child is not None:
                    os.kill(gateway.pid, signal.SIGCONT)


def ask(urls: list[str], *, stream: bool = False, timeouts: Timeouts = QUICK, seen: list[str] | None = None, **more: Any) -> str:
    """One chat by `Client`; the pieces of a stream go to `seen` as they come."""
    pieces = seen if seen is not None else []
    with homeport.Client(urls, timeouts=timeouts, **more) as client:
        if not stream:
            return client.chat("hi", "assistant").text
        for piece in client.chat("hi", "assistant", stream=True).texts():
            pieces.append(piece)
    return "".join(pieces)


def ask_async(urls: list[str], *, stream: bool = False, timeouts: Timeouts = QUICK, seen: list[str] | None = None, **more: Any) -> str:
    """The same by `AsyncClient`."""
    pieces = seen if seen is not None else []

    async def go() -> str:
        async with homeport.AsyncClient(urls, timeouts=timeouts, **more) as client:
            if not stream:
                return (await client.chat("hi", "assistant")).text
            async for piece in (await client.chat("hi", "assistant", stream=True)).texts():
                pieces.append(piece)
        return "".join(pieces)

    return asyncio.run(asyncio.wait_for(go(), 30))


@contextmanager
def beside(what: Callable[[], str]) -> Iterator[Future[str]]:
    """A call under way in another thread."""
    with ThreadPoolExecutor(1) as threads:
        yield threads.submit(what)
