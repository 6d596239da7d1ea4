"""What the client scripts share: where to ask, what is said there, and how to tell what was seen.

A script is started with one JSON argument, the list of targets, and prints one JSON line for each cell it tried:
`{"target", "cell", "seen"}`. A cell that holds begins with ✓, one that does not with ✗, one that the client cannot do with —.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import sys
import time
import urllib.request
from collections.abc import Callable
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
        assert "".join(pieces) == TALE
        assert self.watch is None or len([piece for piece in pieces if piece]) > 2, f"{len(pieces)} pieces of a stream of 13"

    def gone(self) -> None:
        """Fails where the backend still answers someone a second from now."""
        deadline = time.monotonic() + GONE_S
        while self.in_flight > 0:
            assert time.monotonic() < deadline, f"the backend still answered {GONE_S:g} s after the client had left"
            time.sleep(0.02)


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


def main(cells: dict[str, Cell], *, at_once: bool = False, cell_s: float = 40.0) -> None:
    """Try the cells of every target and tell what was seen; then leave, whatever still hangs.

    With `at_once` targets on different backends are tried beside each other: for commands, which start slowly and wait long.
    `cell_s`: how long a cell may take.
    """
    gc.disable()  # between cells only: httpcore waits for its own lock where a broken stream is collected while it holds that
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


def _seen(cell: Cell, target: Target, cell_s: float) -> str:
    thread = ThreadPoolExecutor(1)
    future = thread.submit(cell, target)
    thread.shutdown(wait=False)
    error = None
    try:
        error = future.exception(cell_s)
    except TimeoutError:
        faulthandler.dump_traceback(sys.stderr)
        os._exit(STUCK)
    if error is None:
        return f"✓ {future.result() or ''}".strip()
    if isinstance(error, Absent):
        return f"— {error}"
    said = " ".join(str(error).split())[:300]
    return f"✗ {said}" if isinstance(error, AssertionError) and said else f"✗ {type(error).__name__}: {said}"
