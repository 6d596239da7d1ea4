"""The Siblings port, over each adapter: none, and those behind Unix sockets."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from homeport.fleet.siblings import SUFFIX, UnixSiblings
from homeport.fleet.sockets import SocketFolder
from homeport.monitor.siblings import NoSiblings
from homeport.ports import Siblings

posix = pytest.mark.skipif(sys.platform == "win32", reason="workers are for POSIX")


@contextmanager
def workers(folder: Path, seats: int) -> Iterator[list[UnixSiblings]]:
    """So many of one run, in one loop; not started."""
    with closing(SocketFolder(folder)) as shared:
        yield [UnixSiblings(shared, seat) for seat in range(seats)]


def run(seats: list[UnixSiblings], work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """What `work` gives while all seats answer."""

    async def running() -> Any:
        for seat in seats:
            await seat.start()
        try:
            return await work()
        finally:
            for seat in seats:
                seat.stop()

    return asyncio.run(running())


def test_one_process_has_none() -> None:
    alone: Siblings = NoSiblings()
    alone.answer("metrics", lambda: b"mine")
    assert alone.folder is None
    assert asyncio.run(alone.gather("metrics")) == []


@posix
def test_each_hears_all_others_and_not_itself(tmp_path: Path) -> None:
    with workers(tmp_path, 3) as seats:
        for number, seat in enumerate(seats):
            seat.answer("metrics", lambda number=number: b"worker %d" % number)  # type: ignore[misc]
            seat.answer("large", lambda number=number: b"%d" % number * 2_000_000)  # type: ignore[misc]
        port: Siblings = seats[1]
        assert port.folder == tmp_path
        assert sorted(run(seats, lambda: port.gather("metrics"))) == [b"worker 0", b"worker 2"]
        assert sorted(map(len, run(seats, lambda: port.gather("large")))) == [2_000_000, 2_000_000]
        assert run(seats, lambda: port.gather("nobody's topic")) == []


@posix
def test_one_that_is_gone_or_stands_still_costs_no_more_than_a_second(tmp_path: Path) -> None:
    with workers(tmp_path, 2) as seats, closing(socket.socket(socket.AF_UNIX)) as stuck, closing(socket.socket(socket.AF_UNIX)) as gone:
        stuck.bind(str(tmp_path / f"seat-7{SUFFIX}"))
        stuck.listen()
        gone.bind(str(tmp_path / f"seat-8{SUFFIX}"))
        gone.close()
        seats[1].answer("metrics", lambda: b"alive")
        for _ in range(5):  # this machine may be busy for a second
            began = time.monotonic()
            found = run(seats, lambda: seats[0].gather("metrics"))
            if found == [b"alive"] and time.monotonic() - began < 2:
                return
        pytest.fail("the living sibling was not heard in time")


@posix
def test_nobody_else_is_there(tmp_path: Path) -> None:
    with workers(tmp_path, 1) as seats:
        assert run(seats, lambda: seats[0].gather("metrics")) == []
