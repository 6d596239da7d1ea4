"""Several workers: places are the gateway's, a worker that dies takes nothing with it, and a rolling restart loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer
from tests.caller import Caller, Heard, ask, asked, chat
from tests.gateway import Spawned, config, soon

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="workers are for POSIX"),
    pytest.mark.slow,
]

WORDS = tuple(f"word{number} " for number in range(12))
SLOW = Answer(tokens=WORDS, delay_s=0.1)
PATIENT = {"max_in_flight": 3, "queue": 4096, "queue_timeout_s": 60.0, "first_token_timeout_s": 20.0, "idle_timeout_s": 20.0}


def children(pid: int) -> list[int]:
    """The living children of a process."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(entry.name))
    return sorted(found)


def workers(pid: int) -> list[int]:
    """The workers among them."""
    found = []
    for child in children(pid):
        with contextlib.suppress(OSError):  # it has just ended
            if b"homeport.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def many(url: str, number: int, **fields: Any) -> list[Heard]:
    return await asyncio.gather(*(ask(url, chat(f"ask {one}", **fields)) for one in range(number)))


def serving(gateway: Spawned) -> Counter[int]:
    """How many Asks each worker has settled, by the files of the journal."""
    return Counter(path.read_bytes().count(b'"settled"') for path in gateway.journal.data.glob("journal-*.jsonl"))


def test_the_backend_sees_no_more_than_its_places_from_all_workers_together(tmp_path: Path) -> None:
    with ScriptedBackend(Answer(text="hello there", delay_s=0.002)) as home:
        with Spawned(config(tmp_path, {"home": {"url": home.url, **PATIENT}}), "--workers", "2") as gateway:
            assert len(workers(gateway.pid)) == 2
            heard = asyncio.run(asyncio.wait_for(many(gateway.url, 200), 60))
            assert Counter(one.status for one in heard) == {200: 200}
            assert home.in_flight_peak == 3
            assert home.generations == 200
            shares = [path.read_bytes().count(b'"settled"') for path in gateway.journal.data.glob("journal-*.jsonl")]
            assert len(shares) == 2 and sum(shares) == 200 and min(shares) > 0, f"both work: {shares}"


def test_the_queue_is_that_of_all_workers(tmp_path: Path) -> None:
    with ScriptedBackend(Answer(text="hello", wait_s=3.0)) as home:
        with Spawned(config(tmp_path, {"home": {"url": home.url, **PATIENT, "queue": 4}}), "--workers", "2") as gateway:
            heard = asyncio.run(asyncio.wait_for(many(gateway.url, 40), 60))
            counts = Counter(one.status for one in heard)
            assert counts.keys() == {200, 503}
            assert 7 <= counts[200] <= 8, f"three at once and four who wait, or one more where two workers looked at the same time: {counts}"
            assert home.in_flight_peak == 3


def test_a_worker_that_is_killed_gives_its_places_back_and_others_go_on(tmp_path: Path) -> None:
    with ScriptedBackend(Answer(tokens=WORDS, delay_s=0.4)) as home:
        with Spawned(config(tmp_path, {"home": {"url": home.url, **PATIENT, "max_in_flight": 16}}), "--workers", "2") as gateway:
            before = workers(gateway.pid)

            async def scene() -> list[Heard]:
                asks = []
                for number in range(16):  # one after the other: a burst may be accepted by one of them
                    asks.append(asyncio.ensure_future(ask(gateway.url, chat(stream=True))))
                    while home.in_flight <= number:
                        await asyncio.sleep(0.01)
                home.default = SLOW
                waiting = [asyncio.ensure_future(ask(gateway.url, chat(stream=True))) for _ in range(8)]
                await asyncio.sleep(0.2)
                os.kill(before[0], signal.SIGKILL)
                return await asyncio.gather(*asks, *waiting)

            heard = asyncio.run(asyncio.wait_for(scene(), 60))
            lost = [one for one in heard if not one.finished]
            assert all(one.end in ("reset", "aborted") and "".join(WORDS) != one.text if one.status else True for one in lost)
            lived = [one for one in heard if one.finished]
            assert lived and all(one.text == "".join(WORDS) for one in lived)
            assert home.in_flight_peak <= 16
            assert soon(lambda: len(workers(gateway.pid)) == 2 and before[0] not in workers(gateway.pid), 20), "another was started"
            after = asyncio.run(asyncio.wait_for(many(gateway.url, 32, stream=True), 60))
            assert all(one.finished for one in after), "every place is free again"
            assert home.in_flight_peak == 16


@pytest.mark.parametrize("count", [1, 2])
def test_a_rolling_restart_loses_no_stream_and_refuses_nobody(tmp_path: Path, count: int) -> None:
    with ScriptedBackend(Answer(tokens=WORDS, delay_s=0.05)) as home:
        path = config(tmp_path, {"home": {"url": home.url, **PATIENT, "max_in_flight": 64}}, drain_timeout_s=20)
        with Spawned(path, "--workers", str(count)) as gateway:
            before = workers(gateway.pid)
            results: list[Heard] = []

            async def fresh(until: float) -> None:
                while time.monotonic() < until:
                    results.append(await ask(gateway.url, chat(stream=True)))

            async def kept(until: float) -> None:
                caller: Caller | None = None
                while time.monotonic() < until:
                    caller = caller or await Caller(gateway.url).__aenter__()
                    results.append(await caller.ask(chat(stream=True)))
                    if results[-1].headers.get("connection") == "close" or results[-1].end != "complete":
                        await caller.leave()
                        caller = None
                if caller is not None:
                    await caller.leave()

            async def scene() -> None:
                until = time.monotonic() + 8.0
                asks = [asyncio.ensure_future(one(until)) for one in [fresh] * 6 + [kept] * 6]
                await asyncio.sleep(1.0)
                os.kill(gateway.pid, signal.SIGUSR2)
                await asyncio.gather(*asks)

            asyncio.run(asyncio.wait_for(scene(), 60))
            bad = [(one.status, one.end, one.body[-200:]) for one in results if not one.finished or one.text != "".join(WORDS)]
            assert bad == []
            assert len(results) > 50
            assert soon(lambda: len(workers(gateway.pid)) == count and not set(before) & set(workers(gateway.pid)), 30)
            assert gateway.pid in [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]


def test_a_reload_reaches_all_workers_or_none(tmp_path: Path) -> None:
    with ScriptedBackend("home") as home, ScriptedBackend("vm") as vm:
        path = config(tmp_path, {"home": home.url})
        with Spawned(path, "--workers", "2") as gateway:
            pids = workers(gateway.pid)
            config(tmp_path, {"vm": vm.url})
            done = gateway.run("config", "reload", "--json")
            assert (done.returncode, json.loads(done.stdout)["backends"]) == (0, {"added": ["vm"], "changed": [], "removed": ["home"]})
            heard = asyncio.run(many(gateway.url, 40))
            assert {one.text for one in heard} == {"vm"}
            path.write_text(path.read_text(encoding="utf-8").replace("routes", "ruotes"), encoding="utf-8")
            done = gateway.run("config", "reload", "--json")
            assert (done.returncode, json.loads(done.stdout)["ok"]) == (2, False)
            assert {one.text for one in asyncio.run(many(gateway.url, 40))} == {"vm"}
            config(tmp_path, {"vm": vm.url, "home": home.url})
            (tmp_path / "bad.py").write_text("raise ValueError", encoding="utf-8")
            path.write_text(path.read_text(encoding="utf-8") + '[tasks]\npaths = ["bad.py"]\n', encoding="utf-8")
            done = gateway.run("config", "reload", "--json")  # a fault that only the workers find
            assert (done.returncode, json.loads(done.stdout)["ok"]) == (2, False), done.stdout
            assert workers(gateway.pid) == pids
            os.kill(pids[0], signal.SIGKILL)  # the one in its place has the good settings, not those of the file
            assert soon(lambda: len(workers(gateway.pid)) == 2 and pids[0] not in workers(gateway.pid), 20)
            assert {one.text for one in asyncio.run(many(gateway.url, 40))} == {"vm"}


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    with ScriptedBackend("home") as home:
        gateway = Spawned(config(tmp_path, {"home": home.url}), "--workers", "2")
        with gateway:
            pids = workers(gateway.pid)
            gateway.end(signal.SIGKILL)
            assert soon(lambda: not any(map(alive, pids)), 15)
        with Spawned(gateway.path, "--workers", "2") as again:  # what was left behind is in nobody's way
            assert asked(again.url, chat()).text == "home"
            assert len(list((tmp_path / "data").glob("run-*"))) == 1


@pytest.mark.parametrize("flags", [(), ("--workers", "2")], ids=["alone", "workers"])
def test_a_signal_drains_all_and_a_second_one_ends_at_once(tmp_path: Path, flags: tuple[str, ...]) -> None:
    with ScriptedBackend(Answer(tokens=WORDS, delay_s=0.1)) as home:
        path = config(tmp_path, {"home": {"url": home.url, **PATIENT, "max_in_flight": 8}}, drain_timeout_s=30)
        gateway = Spawned(path, *flags)
        with gateway:

            async def scene() -> list[Heard]:
                asks = [asyncio.ensure_future(ask(gateway.url, chat(stream=True))) for _ in range(6)]
                while home.in_flight < 6:
                    await asyncio.sleep(0.01)
                os.kill(gateway.pid, signal.SIGTERM)
                return await asyncio.gather(*asks)

            heard = asyncio.run(asyncio.wait_for(scene(), 30))
            assert all(one.finished and one.text == "".join(WORDS) for one in heard)
            assert soon(lambda: not children(gateway.pid), 10)
            gateway.end(0)
        home.default = Answer(tokens=WORDS, endless=True, delay_s=0.1)
        with Spawned(path, *flags) as gateway:

            async def endless() -> list[Heard]:
                asks = [asyncio.ensure_future(ask(gateway.url, chat(stream=True))) for _ in range(4)]
                while home.in_flight < 4:
                    await asyncio.sleep(0.01)
                os.kill(gateway.pid, signal.SIGINT)
                await asyncio.sleep(0.5)
                os.kill(gateway.pid, signal.SIGINT)
                return await asyncio.gather(*asks)

            begun = time.monotonic()
            heard = asyncio.run(asyncio.wait_for(endless(), 25))
            assert time.monotonic() - begun < 20
            assert all(one.errors and not one.finished for one in heard), "each was told in its dialect, and cut"


def test_one_engine_serves_all_workers(tmp_path: Path) -> None:
    path = config(tmp_path, {"vm": "http://127.0.0.1:9"}, models={"assistant": {"routes": [{"backend": "pilot"}]}})
    with Spawned(path, "--workers", "2") as gateway:
        assert soon(lambda: asked(gateway.url, method="GET", path="/ready").status == 200, 60)
        heard = asyncio.run(asyncio.wait_for(many(gateway.url, 12, max_tokens=4), 60))
        assert {one.status for one in heard} == {200}
        engines = [child for child in children(gateway.pid) if child not in workers(gateway.pid)]
        assert len(engines) == 1, "the parent's, and no worker has one"
        before = workers(gateway.pid)
        assert not any(children(worker) for worker in before)
        os.kill(gateway.pid, signal.SIGUSR2)
        assert soon(lambda: len(workers(gateway.pid)) == 2 and not set(before) & set(workers(gateway.pid)), 30)
        assert engines == [child for child in children(gateway.pid) if child not in workers(gateway.pid)], "a model in memory outlives its askers"
        assert asked(gateway.url, chat(max_tokens=4)).status == 200
        changed = {"vm": "http://127.0.0.1:9", "pilot": {"kind": "pilot", "slots": 2, "max_in_flight": 2}}
        config(tmp_path, changed, models={"assistant": {"routes": [{"backend": "pilot"}]}})
        told = json.loads(gateway.run("config", "reload", "--json").stdout)
        assert told["ok"] and told["backends"]["changed"] == ["pilot"], told
        assert asked(gateway.url, chat(max_tokens=4)).status == 200
        assert soon(lambda: not alive(engines[0]), 20), "the one before ends once nobody asks it"


def test_a_worker_that_cannot_start_says_why(tmp_path: Path) -> None:
    path = config(tmp_path, {"home": "http://127.0.0.1:9"}, listen="0.0.0.0:0")
    done = Spawned(path).run("up", "--workers", "2")
    assert done.returncode == 2
    assert "homeport keys add" in done.stderr
    assert not list((tmp_path / "data").glob("run-*"))


def test_a_worker_that_stands_still_is_replaced_and_keeps_no_place(tmp_path: Path) -> None:
    with ScriptedBackend(Answer(text="hello", wait_s=0.5)) as home:
        with Spawned(config(tmp_path, {"home": {"url": home.url, **PATIENT, "max_in_flight": 2}}), "--workers", "2") as gateway:
            frozen = workers(gateway.pid)[0]

            async def scene() -> list[Heard]:
                asks = [asyncio.ensure_future(ask(gateway.url, chat())) for _ in range(16)]
                while home.generations < 2:
                    await asyncio.sleep(0.01)
                os.kill(frozen, signal.SIGSTOP)
                return await asyncio.gather(*asks)

            heard = asyncio.run(asyncio.wait_for(scene(), 60))
            assert {one.status for one in heard} <= {0, 200}
            assert soon(lambda: len(workers(gateway.pid)) == 2 and frozen not in workers(gateway.pid), 30)
            assert {one.status for one in asyncio.run(asyncio.wait_for(many(gateway.url, 8), 60))} == {200}
            assert home.in_flight_peak == 2
