"""No file descriptor left: answers under way go on, nothing spins, and all is well again once there are some."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer
from tests.caller import Caller, ask, asked, chat, request_bytes
from tests.faults.process import Short
from tests.figures import note
from tests.gateway import config

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sets the limits of a running process, and reads /proc")

LIMIT = 64
SLOW = Answer(tokens=tuple("abcdefghijklmnopqrst"), delay_s=0.1)


def limit(pid: int, most: int) -> None:
    import resource

    resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


async def crowd(url: str, number: int) -> list[socket.socket]:
    """So many callers who connect and say nothing; one that is turned away counts too."""
    place = urlsplit(url)
    found = []
    for _ in range(number):
        silent = socket.socket()
        silent.setblocking(False)
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(asyncio.get_running_loop().sock_connect(silent, (place.hostname, place.port)), 5)
        found.append(silent)
    return found


def gone(silent: socket.socket) -> bool:
    """Whether the other side has closed it."""
    try:
        return silent.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


async def until(found: object, timeout_s: float = 10.0) -> bool:
    """Whether `found()` comes to hold in time."""
    deadline = time.monotonic() + timeout_s
    while not found():  # type: ignore[operator]
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


@pytest.mark.slow
def test_many_idle_callers(tmp_path: Path) -> None:
    with ScriptedBackend(SLOW, style="vllm") as backend, Short(config(tmp_path, {"only": backend.url})) as gateway:
        before = gateway.descriptors
        limit(gateway.pid, LIMIT)

        async def go() -> float:
            async with Caller(gateway.url) as streaming, Caller(gateway.url) as known:
                assert (await known.ask(method="GET", path="/health")).status == 200
                await streaming.send(request_bytes(chat(stream=True)))
                hearing = asyncio.ensure_future(streaming.hear())
                assert await asyncio.to_thread(backend.until, lambda: backend.in_flight == 1, 5.0)
                silent = await crowd(gateway.url, 3 * LIMIT)
                assert await until(lambda: gateway.descriptors >= LIMIT - 2)
                used, began = gateway.cpu_s, time.monotonic()
                heard = await hearing
                assert heard.finished, heard.body
                assert heard.text == "abcdefghijklmnopqrst"
                turned_away = sum(gone(one) for one in silent)
                assert turned_away >= len(silent) - LIMIT, "beyond the limit nobody is kept waiting for an answer that cannot come"
                assert (await known.ask(method="GET", path="/health")).status == 200
                assert (await known.ask(chat())).status == 200  # by the connection to the backend that is there
                await asyncio.sleep(max(0.0, began + 1.0 - time.monotonic()))
                share = (gateway.cpu_s - used) / (time.monotonic() - began)
                for one in silent:
                    one.close()
                return share

        share = asyncio.run(go())
        assert share < 0.25, "it spins"
        assert asyncio.run(asyncio.wait_for(settled(gateway, before), 20)) == 200
        note("descriptors.cpu_share", round(100 * share, 1), "%", note=f"of one core, with {3 * LIMIT} idle callers and {LIMIT} descriptors")


async def settled(gateway: Short, before: int) -> int:
    """The status of an ask after the crowd has left."""
    assert await until(lambda: gateway.descriptors <= before + 16)  # its books are opened when they are first needed
    return (await ask(gateway.url, chat())).status


@pytest.mark.slow
def test_none_left_for_a_backend(tmp_path: Path) -> None:
    """An ask that needs a new connection is refused in words that name the cause; the backend is not blamed for it."""
    with (
        ScriptedBackend(SLOW, style="vllm") as backend,
        Short(config(tmp_path, {"only": backend.url}, monitor={"probe_interval_s": 0.3})) as gateway,
    ):
        backend.closes_after = 1  # so that every ask needs a connection of its own

        async def go() -> None:
            async with Caller(gateway.url) as known, Caller(gateway.url) as other:
                assert (await known.ask(chat(max_tokens=1))).status == 200
                assert (await other.ask(method="GET", path="/health")).status == 200
                limit(gateway.pid, 3)  # below what is open: no new one for anything
                for _ in range(5):
                    heard = await known.ask(chat())
                    assert heard.status == 503
                    assert "file descriptor" in heard.error["message"]
                    assert "retry-after" in heard.headers
                await asyncio.sleep(1.0)  # several probes, none of which can be sent
                assert (await other.ask(method="GET", path="/health")).status == 200
                limit(gateway.pid, 1024)
                assert (await known.ask(chat(max_tokens=1))).status == 200

        asyncio.run(go())
        report = asked(gateway.url, method="GET", path="/status", headers={"accept": "application/json"}).json
        assert [(row["state"], row["reason"]) for row in report["backends"]] == [("healthy", "")]
        assert report["incidents"] == []
        assert backend.generations == 2


def test_it_allows_itself_as_many_as_it_may(tmp_path: Path) -> None:
    with ScriptedBackend() as backend, Short(config(tmp_path, {"only": backend.url}), prefix=("prlimit", "--nofile=100:5000")) as gateway:
        rows = Path(f"/proc/{gateway.pid}/limits").read_text(encoding="ascii").splitlines()
        assert next(row.split()[3:5] for row in rows if row.startswith("Max open files")) == ["5000", "5000"]
