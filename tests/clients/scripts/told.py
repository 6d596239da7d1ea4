"""What the client scripts share: where to ask, what is said there, and how to tell what was seen.

A script is started with one JSON argument, the list of targets, and prints one JSON line for each cell it tried:
`{"target", "cell", "seen"}`. A cell that holds begins with ✓, one that does not with ✗, one that the client cannot do with —.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import json
import os
import sys
import time
import urllib.request
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

TALE = "The quick brown fox jumps over the lazy dog, and nobody minds."
PERSON = {"name": "Ada", "age": 36}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TEXTS = ["a house by the sea", "12345"]
CUTS = ("close", "end", "error")  # how a stream breaks: the connection closes; the body ends as if all were said; an error is told
FAULTS = ("absent", "refuse", "fail")  # no such model; a request the backend calls malformed; a backend that fails
STUCK = 75  # the exit code where a cell takes longer than it may; what each thread did then is on stderr
GONE_S = 1.0  # how long the backend may go on after its caller has left
BUSY_S = 30.0  # how long a machine with much to do may take for anything
TRIES = 3  # of a cell that was too slow, before it is believed


@dataclass
class Target:
    """One place to ask. `watch` is the scripted backend behind it, where there is one."""

    name: str
    url: str
    key: str
    model: str
    cells: list[str]
    watch: str | None = None

    @property
    def v1(self) -> str:
        """The base URL of OpenAI's clients."""
        return f"{self.url}/v1"

    def fault(self, kind: str) -> tuple[str, str]:
        """The model to ask and what to say, so that a request fails in this way."""
        return ("absent" if kind == "absent" else self.model), f"hello [{kind}]"

    @property
    def in_flight(self) -> int:
        """How many requests the scripted backend answers now."""
        with urllib.request.urlopen(f"{self.watch}/scripted", timeout=5) as page:
            return int(json.load(page)["in_flight"])

    def flowed(self, pieces: list[str]) -> None:
        """Fails unless the pieces are the tale, and came one by one where the backend takes its time over each."""
        assert "".join(pieces) == TALE, f"said {''.join(pieces)!r}"
        if self.watch is not None and len([piece for piece in pieces if piece]) <= 2:
            raise Slow(f"{len(pieces)} pieces of a stream of 13")

    def asked(self) -> None:
        """Wait until the backend is answering someone."""
        deadline = time.monotonic() + BUSY_S
        while self.in_flight < 1:
            assert time.monotonic() < deadline, "nothing was asked"
            time.sleep(0.02)

    def gone(self) -> None:
        """Fails where the backend still answers someone a second from now; a late end is waited for, so that nothing of it is in the way of another try."""
        left = time.monotonic()
        while self.in_flight > 0:
            assert time.monotonic() < left + BUSY_S, f"the backend still answered {BUSY_S:g} s after the client had left"
            time.sleep(0.02)
        if time.monotonic() > left + GONE_S:
            raise Slow(f"the backend still answered {GONE_S:g} s after the client had left")

    async def cancelled(self, ask: Callable[[Callable[[], None]], Coroutine[Any, Any, None]], streamed: bool) -> None:
        """Cancel a task amid its answer: a stream once a piece of it came, which `ask` tells by calling what it is given, else once the backend is at it."""
        came = asyncio.Event()
        task = asyncio.create_task(ask(came.set))
        first = asyncio.create_task(came.wait() if streamed else asyncio.to_thread(self.asked))
        await asyncio.wait([task, first], timeout=BUSY_S, return_when=asyncio.FIRST_COMPLETED)
        assert first.done() and not task.done(), f"nothing was asked{' streamed' * streamed}: {task}"
        first.result()
        assert await asyncio.to_thread(lambda: self.in_flight) >= 1
        deadline = time.monotonic() + BUSY_S
        while not task.done():
            assert time.monotonic() < deadline, "the task goes on, though it was cancelled"
            task.cancel()  # and again: asyncio.wait_for of Python 3.11, as LangChain uses it, loses one that comes together with a piece
            await asyncio.wait([task], timeout=0.5)
        await asyncio.to_thread(self.gone)


class Slow(AssertionError):
    """What may come of a machine with too much to do: the cell is tried again."""


class Absent(Exception):
    """The client has nothing of the kind; the message is the reason."""


class Failed(Exception):
    """A command failed: `how` is what its user sees of it, `said` its last words."""

    def __init__(self, how: str, said: str) -> None:
        super().__init__(f"{how}: {said[-300:]}")
        self.how = how


Cell = Callable[[Target], str | None]


def raised(calls: dict[str, Callable[[], object]]) -> str:
    """The names of the exceptions that calls end in. Fails where one ends in none, with all that was seen."""
    with ThreadPoolExecutor(1) as thread:
        seen = {}
        for kind, call in calls.items():
            seen[kind] = _named(thread.submit(call).exception())
            gc.collect()
    silent = [kind for kind, name in seen.items() if not name]
    told = ", ".join(dict.fromkeys(name for name in seen.values() if name))
    assert not silent, f"no exception ({', '.join(silent)}){'; else ' + told if told else ''}"
    return told


def _named(error: BaseException | None) -> str:
    """An exception's class, and the HTTP status it tells."""
    if error is None:
        return ""
    if isinstance(error, Failed):
        return error.how
    status = getattr(error, "status_code", None)
    return f"`{type(error).__name__}`{f' {status}' if isinstance(status, int) and status > 0 else ''}"


def main(cells: dict[str, Cell], *, at_once: bool = False, cell_s: float = 150.0) -> None:
    """Try the cells of every target and tell what was seen; then leave, whatever still hangs.

    With `at_once` targets on different backends are tried beside each other: for commands, which start slowly and wait long.
    `cell_s`: how long a cell may take.
    """
    gc.disable()  # between cells only: httpcore waits for its own lock where a broken stream is collected while it holds that
    gc.freeze()  # what was imported stays: to look through it each time costs more than all the cells
    targets = [Target(**given) for given in json.loads(sys.argv[1])]
    groups: dict[str, list[Target]] = {}
    for target in targets:
        groups.setdefault((target.watch or target.name) if at_once else "", []).append(target)
    with ThreadPoolExecutor(len(groups)) as threads:
        list(threads.map(lambda group: [_tell(cells, target, cell_s) for target in group], groups.values()))
    sys.stderr.flush()
    os._exit(0)


def _tell(cells: dict[str, Cell], target: Target, cell_s: float) -> None:
    for name in target.cells:
        gc.collect()
        line = json.dumps({"target": target.name, "cell": name, "seen": _seen(cells[name], target, cell_s)})
        os.write(sys.stdout.fileno(), f"{line}\n".encode())
        if name == target.cells[0]:
            gc.freeze()  # what the first cell imported, too


def _seen(cell: Cell, target: Target, cell_s: float) -> str:
    for _ in range(TRIES):
        thread = ThreadPoolExecutor(1)
        future = thread.submit(cell, target)
        thread.shutdown(wait=False)
        try:
            error = future.exception(cell_s)
        except TimeoutError:
            faulthandler.dump_traceback(sys.stderr)
            os._exit(STUCK)
        if not isinstance(error, Slow):
            break
    if error is None:
        return f"✓ {future.result() or ''}".strip()
    if isinstance(error, Absent):
        return f"— {error}"
    said = " ".join(str(error).split())[:300]
    return f"✗ {said}" if isinstance(error, AssertionError) and said else f"✗ {type(error).__name__}: {said}"
