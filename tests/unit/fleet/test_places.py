"""Shared places between real processes: the lock of one that stands still delays the others, and no more."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from homeport.backends.leases import Lease, Leases
from homeport.errors import HomeportError
from homeport.fleet import places
from homeport.fleet.places import Table, create

HOLD = "import fcntl, sys; fcntl.lockf({fd}, fcntl.LOCK_EX, 1, 0); print(flush=True); sys.stdin.read()"
TAKE = """
from homeport.fleet.places import Table
table = Table({fd}, 1, ring=lambda seat: None, later=lambda s, work: None)
home = table.at("home")
print(sum(home.take(5) for _ in range(7)), flush=True)
import sys; sys.stdin.read()
"""


@pytest.fixture
def fd() -> Iterator[int]:
    made = create(4)
    yield made
    os.close(made)


@contextmanager
def process(code: str, fd: int) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen([sys.executable, "-c", code.format(fd=fd)], pass_fds=(fd,), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield child
    finally:
        child.kill()
        child.wait(10)
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()


def line(child: subprocess.Popen[bytes]) -> bytes:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def test_two_processes_count_together_and_the_dead_ones_places_come_back(fd: int) -> None:
    table = Table(fd, 0, ring=lambda seat: None, later=lambda s, work: None)
    home = table.at("home")
    with process(TAKE, fd) as child:
        assert line(child) == b"5"
        assert (home.in_use, table.in_use("home"), table.at("vm").in_use) == (5, 5, 0)
        assert not home.take(5)
        assert home.take(6)
    assert home.in_use == 6, "a death alone gives nothing back: its parent does"
    Table(fd, None, ring=lambda seat: None, later=lambda s, work: None).clear(1)
    assert home.in_use == 1


def test_a_lock_that_is_not_given_back_delays_and_does_not_stop(fd: int) -> None:
    """As of a worker that is stopped at the very moment when it holds it."""

    async def scene() -> None:
        table = Table(fd, 0, ring=lambda seat: None, later=asyncio.get_running_loop().call_later)
        leases = Leases(1, 8, 20.0, table.at("home"))
        lease = leases.take()
        assert lease is not None
        waiting: asyncio.Future[Lease]
        with process(HOLD, fd) as child:
            line(child)
            begun = time.perf_counter()
            assert leases.take() is None
            waiting = asyncio.ensure_future(leases.wait("me"))
            await asyncio.sleep(0)
            lease.release()
            assert time.perf_counter() - begun < 2.0, "it is waited for some milliseconds at a time"
            await asyncio.sleep(0.05)
            assert not waiting.done()
        last = await asyncio.wait_for(waiting, 10)
        last.release()
        assert leases.in_flight == 0

    asyncio.run(scene())


def test_two_views_of_one_worker_count_together_and_wake_each_other(fd: int) -> None:
    """As of a backend and of the one that a reload put in its place."""

    async def scene() -> None:
        table = Table(fd, 0, ring=lambda seat: None, later=asyncio.get_running_loop().call_later)
        before, after = Leases(2, 8, 20.0, table.at("home")), Leases(2, 8, 20.0, table.at("home"))
        held = [before.take(), before.take()]
        assert after.take() is None
        waiting = asyncio.ensure_future(after.wait(None))
        await asyncio.sleep(0)
        assert held[0] is not None and held[1] is not None
        held[0].release()
        lease = await asyncio.wait_for(waiting, 5)
        assert (before.in_flight, after.in_flight) == (2, 2)
        lease.release()
        held[1].release()
        before.close()
        assert after.take() is not None and after.in_flight == 1

    asyncio.run(scene())


def test_memory_of_something_else_and_too_many_backends_are_refused(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    other = os.memfd_create("other") if hasattr(os, "memfd_create") else pytest.skip("Linux")
    os.ftruncate(other, 4096)
    with pytest.raises(HomeportError, match="--workers"):
        Table(other, 0, ring=lambda seat: None, later=lambda s, work: None)
    os.close(other)
    table = Table(fd, 0, ring=lambda seat: None, later=lambda s, work: None)
    monkeypatch.setattr(places, "CELLS", 3)
    for name in ("a", "b", "c", "a", "b"):
        table.in_use(name)
    with pytest.raises(HomeportError, match="3 backends"):
        table.at("d")


def test_one_who_left_while_the_lock_was_held_keeps_no_place(fd: int) -> None:
    later: list[Callable[[], None]] = []
    one, other = (Table(fd, seat, ring=lambda seat: None, later=lambda s, work: later.append(work)) for seat in (0, 1))
    here, there = one.at("home"), other.at("home")
    assert here.take(1)
    there.want(1, 1.0, 1)
    here.give_back()
    assert here.in_use == 1, "put aside for who waits"
    with process(HOLD, fd) as child:
        line(child)
        there.want(0, 0.0, 0)
        assert later
    while later:
        later.pop(0)()
    assert here.in_use == 0 and here.take(1)


def test_who_was_given_a_place_by_one_that_died_before_it_rang_is_woken(fd: int) -> None:
    rung: list[int] = []
    dying, waiting = (Table(fd, seat, ring=lambda seat: None, later=lambda s, work: None) for seat in (0, 1))
    parent = Table(fd, None, ring=rung.append, later=lambda s, work: None)
    here, there = dying.at("home"), waiting.at("home")
    assert here.take(1)
    there.want(1, 1.0, 1)
    here.give_back()  # its ring is lost
    parent.clear(0)
    assert rung == [1] and there.take(1)


def test_a_worker_that_trusts_the_backend_more_need_not_wait_for_one_that_trusts_it_less(fd: int) -> None:
    """As after a recovery, which workers notice one after the other."""
    careful, bold = (Table(fd, seat, ring=lambda seat: None, later=lambda s, work: None).at("home") for seat in (0, 1))
    assert bold.take(4)
    careful.want(1, 1.0, 1)
    assert not careful.take(1)
    assert not bold.take(4), "who waits comes first"
    bold.want(1, 2.0, 4)
    assert bold.take(4)
    bold.want(0, 0.0, 0)
    careful.want(1, 1.0, 3)
    assert careful.take(3)
