"""What systemd is told: on a real socket, of a stand-in for the gateway's health page."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.service.readiness import Readiness, served
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer, Fault, Point, Refuse

PERIOD_S = 0.05


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
        wire.bind(str(tmp_path / "notify"))
        wire.setblocking(False)
        yield wire


def said(heard: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(heard.recv(4096).decode())
        except BlockingIOError:
            return found


def line(heard: socket.socket) -> Readiness:
    return Readiness(heard.getsockname(), 3 * PERIOD_S)


async def until(heard: socket.socket, word: str, found: list[str], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while word not in found:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.01)
        found += said(heard)


def test_what_the_environment_says_is_taken_out_of_it() -> None:
    environ = {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid()), "HOME": "/"}
    assert Readiness.found(environ).watchdog_s == 30.0
    assert environ == {"HOME": "/"}
    assert Readiness.found({"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}).watchdog_s == 0.0, "another process's"
    assert Readiness.found({"WATCHDOG_USEC": "nonsense"}).watchdog_s == 0.0


def test_without_a_supervisor_nothing_is_said_and_no_task_runs() -> None:
    async def go() -> None:
        readiness = Readiness.found({})
        readiness.ready("http://127.0.0.1:1")
        assert len(asyncio.all_tasks()) == 1
        readiness.stopping(30)
        await readiness.leave()

    asyncio.run(go())


def test_a_socket_that_is_gone_hurts_nobody(tmp_path: Path) -> None:
    Readiness(str(tmp_path / "none")).say("READY=1")


def test_a_name_without_a_file(tmp_path: Path) -> None:
    name = f"homeport-{os.getpid()}-{time.monotonic_ns()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
        wire.bind(f"\0{name}")
        wire.settimeout(5)
        Readiness(f"@{name}").say("READY=1", "STATUS=x")
        assert wire.recv(100) == b"READY=1\nSTATUS=x"


class Served:
    """Stands in for a request of its own: says what it is told to, and how often it was asked."""

    def __init__(self) -> None:
        self.good = True
        self.times = 0

    async def __call__(self, url: str, timeout_s: float) -> bool:
        self.times += 1
        return self.good

    async def more(self) -> None:
        """Returns once what was found before has been told, and it was asked again."""
        wanted, deadline = self.times + 2, time.monotonic() + 10
        while self.times < wanted:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)


def test_it_is_well_while_it_serves(heard: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    served = Served()
    monkeypatch.setattr("homeport.service.readiness.served", served)

    async def go() -> None:
        readiness = line(heard)
        readiness.ready("http://0.0.0.0:8461")
        found: list[str] = []
        await until(heard, "WATCHDOG=1", found)
        assert found[0] == "READY=1\nSTATUS=Answers at http://127.0.0.1:8461"
        served.good = False
        await served.more()
        said(heard)
        await served.more()
        assert said(heard) == [], "a gateway that does not serve is not well"
        served.good = True
        await until(heard, "WATCHDOG=1", [])
        served.good = False
        await served.more()
        said(heard)
        readiness.stopping(600)
        found = []
        await until(heard, "WATCHDOG=1", found)
        ending = "STOPPING=1\nEXTEND_TIMEOUT_USEC=615000000\nSTATUS=Ends the answers under way"
        assert ending in found, "while it drains it accepts no more, and is well; the unit may have been written for a shorter drain"
        await readiness.leave()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(go())


def test_who_serves() -> None:
    with ScriptedBackend() as backend:
        assert asyncio.run(served(backend.url, 5))
        backend.pages["/health"] = Refuse(status=500)
        assert not asyncio.run(served(backend.url, 5))
        backend.pages["/health"] = Answer(fault=Fault(Point.REQUEST, "freeze"))
        assert not asyncio.run(served(backend.url, 0.1))
    assert not asyncio.run(served(backend.url, 5)), "nobody is there"
