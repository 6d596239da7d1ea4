"""Limits of keys hold over all workers of a gateway together."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer
from tests.caller import Caller, Heard, ask, chat, request_bytes
from tests.faults.test_workers import workers
from tests.gateway import Spawned, config, soon

pytestmark = [pytest.mark.skipif(sys.platform == "win32", reason="workers are for POSIX"), pytest.mark.slow]


def limited(folder: Path, url: str, limit: str) -> Spawned:
    path = config(folder, {"only": url})
    path.write_text(f"{path.read_text(encoding='utf-8')}[limits]\n{limit}\n", encoding="utf-8")
    return Spawned(path, "--workers", "2")


async def connected(url: str, number: int) -> list[Caller]:
    """So many callers at once, so that more than one worker takes them."""
    return await asyncio.gather(*(Caller(url).__aenter__() for _ in range(number)))


def test_requests(tmp_path: Path) -> None:
    with ScriptedBackend("well", style="vllm") as backend, limited(tmp_path, backend.url, "requests_per_minute = 12") as gateway:

        async def go() -> list[Heard]:
            return [heard for _ in range(4) for heard in await asyncio.gather(*(ask(gateway.url, chat()) for _ in range(12)))]

        met = Counter(heard.status for heard in asyncio.run(asyncio.wait_for(go(), 60)))
        assert set(met) == {200, 429}
        assert 12 <= met[200] <= 14, "one more every five seconds"


def test_places_and_a_worker_that_dies(tmp_path: Path) -> None:
    """What it had is free once it is gone."""
    with ScriptedBackend(Answer(tokens=("x",), endless=True, delay_s=0.02), style="vllm") as backend:
        with limited(tmp_path, backend.url, "max_in_flight = 3") as gateway:

            async def hold(callers: list[Caller]) -> int:
                """Ask by each; the first line of an answer tells whether it was let in."""
                for caller in callers:
                    await caller.send(request_bytes(chat(stream=True)))
                return sum([b" 200 " in await caller.reader.readline() for caller in callers])

            async def go() -> None:
                first = await connected(gateway.url, 24)
                assert await hold(first) == 3
                for worker in workers(gateway.pid):
                    os.kill(worker, signal.SIGKILL)
                for caller in first:
                    await caller.leave()
                assert await asyncio.to_thread(backend.until, lambda: backend.in_flight == 0, 10.0)
                assert await asyncio.to_thread(soon, lambda: len(workers(gateway.pid)) == 2, 20.0)
                second = await connected(gateway.url, 24)
                assert await hold(second) == 3
                for caller in second:
                    await caller.leave()

            asyncio.run(asyncio.wait_for(go(), 60))
