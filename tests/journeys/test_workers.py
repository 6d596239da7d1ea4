"""What several workers show and tell: one gateway, whichever of them is asked."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.process import BackendProcess
from homeport.testing.script import Answer
from homeport.testing.talker import write_talker
from tests.caller import Heard, ask, asked, chat
from tests.faults.test_workers import PATIENT, children, many, workers
from tests.gateway import Spawned, config, soon
from tests.receiver import Receiver

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="workers are for POSIX"),
    pytest.mark.slow,
]


def page(url: str, path: str) -> Heard:
    """A page on a connection of its own, so from whichever worker takes it."""
    return asked(url, method="GET", path=path, headers={"accept": "application/json"})


def statuses(url: str, number: int = 8) -> list[dict[str, Any]]:
    """`/status` several times at once, so that more than one worker is asked."""

    async def all_of_them() -> list[Heard]:
        return await asyncio.gather(*(ask(url, method="GET", path="/status", headers={"accept": "application/json"}) for _ in range(number)))

    return [one.json for one in asyncio.run(asyncio.wait_for(all_of_them(), 30))]


def test_the_status_of_any_worker_is_that_of_all(tmp_path: Path) -> None:
    with ScriptedBackend("hello") as home:
        with Spawned(config(tmp_path, {"home": {"url": home.url, **PATIENT}}), "--workers", "2") as gateway:
            asyncio.run(many(gateway.url, 60))
            assert [one["requests"] for one in statuses(gateway.url)] == [{"ok": 60}] * 8
            assert len({one["uptime_s"] // 5 for one in statuses(gateway.url)}) == 1
            home.default = Answer(text="hello", wait_s=3.0)

            async def busy() -> None:
                asks = asyncio.ensure_future(many(gateway.url, 10))
                while home.in_flight < 3:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.3)
                seen = [await ask(gateway.url, method="GET", path="/status", headers={"accept": "application/json"}) for _ in range(4)]
                for row in (one.json["backends"][0] for one in seen):
                    assert (row["in_flight"], row["queued"], row["max_in_flight"]) == (3, 7, 3)
                metrics = (await ask(gateway.url, method="GET", path="/metrics")).body.decode()
                assert re.search(r'^homeport_leases_in_flight\{backend="home"\} 3(\.0)?$', metrics, re.MULTILINE), metrics[:3000]
                home.default = "hello"
                await asks

            asyncio.run(asyncio.wait_for(busy(), 60))
            assert {one["requests"]["ok"] for one in statuses(gateway.url)} == {70}
            before = workers(gateway.pid)
            os.kill(gateway.pid, signal.SIGUSR2)
            assert soon(lambda: not set(before) & set(workers(gateway.pid)) and len(workers(gateway.pid)) == 2, 30)
            assert {one["requests"]["ok"] for one in statuses(gateway.url)} == {70}, "workers that left are counted too"


def test_each_event_is_told_once_and_another_worker_takes_over(tmp_path: Path) -> None:
    with Receiver() as owner, BackendProcess() as home:
        monitor = {"notify": [owner.url], "probe_interval_s": 0.3}
        path = config(tmp_path, {"home": home.url}, monitor=monitor)
        with Spawned(path, "--workers", "2") as gateway:
            assert soon(lambda: page(gateway.url, "/ready").status == 200, 20)
            home.kill()
            assert soon(lambda: {event["kind"] for event in owner.taken} == {"down"}, 30)
            assert soon(lambda: all(one["incidents"] for one in statuses(gateway.url)))
            for _ in range(2):  # so that whoever led does not any more
                worker = workers(gateway.pid)[0]
                os.kill(worker, signal.SIGKILL)
                assert soon(lambda gone=worker: len(workers(gateway.pid)) == 2 and gone not in workers(gateway.pid), 20)
            home.restart()
            assert soon(lambda: owner.taken[-1]["kind"] == "up", 40), owner.taken
            told = {event["id"]: event["kind"] for event in owner.taken}  # one may come again, where its teller died before it was noted
            assert list(told.values()) == ["down", "up"]


def test_pulled_models_have_their_turn_once_for_all_workers(tmp_path: Path) -> None:
    """One at a time is in memory, and the parent's; whichever worker is asked, the answer is the right model's."""
    folder = tmp_path / "data" / "models"
    folder.mkdir(parents=True)
    said = {"a": "Your parcel is here.", "b": "It comes on Monday."}
    for name, text in said.items():
        write_talker(folder / f"{name}.gguf", text)
    path = tmp_path / "homeport.toml"
    path.write_text(f'[server]\nlisten = "127.0.0.1:0"\ndata = "{tmp_path / "data"}"\ndrain_timeout_s = 5\n', encoding="utf-8")
    with Spawned(path, "--workers", "2") as gateway:
        assert soon(lambda: {"a", "b"} <= {model["name"] for model in page(gateway.url, "/status").json["models"]}, 20)

        async def asking() -> list[Heard]:
            return await asyncio.gather(*(ask(gateway.url, chat(model=name)) for name in "ababbaab"))

        for name, heard in zip("ababbaab", asyncio.run(asyncio.wait_for(asking(), 90)), strict=True):
            assert heard.status == 200, heard.body
            assert heard.text == said[name]
        engines = [child for child in children(gateway.pid) if child not in workers(gateway.pid)]
        assert len(engines) == 2, "the pilot, and one pulled model"
