"""`/metrics` of several workers: each page is the sum of all, and a worker that dies or is replaced takes nothing of it back."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from homeport.testing.backend import ScriptedBackend
from tests.caller import ask, asked, chat
from tests.faults.test_workers import serving, workers
from tests.gateway import Spawned, config, soon

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="workers are for POSIX"),
    pytest.mark.slow,
]
Page = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def page(gateway: Spawned) -> Page:
    """One scrape, by whichever worker accepts it."""
    heard = asked(gateway.url, method="GET", path="/metrics")
    assert heard.status == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(heard.body.decode())
        for sample in family.samples
    }


def requests(found: Page) -> int:
    return int(sum(value for (name, _), value in found.items() if name == "homeport_requests_total"))


def counted(found: Page) -> Page:
    """What may never fall."""
    return {key: value for key, value in found.items() if key[0].startswith("homeport_") and key[0].endswith(("_total", "_bucket", "_sum", "_count"))}


def never_falls(before: Page, after: Page) -> None:
    assert {key: (value, after.get(key)) for key, value in counted(before).items() if after.get(key, -1.0) < value - 1e-9} == {}


async def many(url: str, number: int) -> None:
    """So many requests, each on a connection of its own."""
    for heard in await asyncio.gather(*(ask(url, chat(f"ask {one}")) for one in range(number))):
        assert heard.status == 200


def test_every_worker_shows_the_sum_and_a_dead_one_takes_nothing_back(tmp_path: Path) -> None:
    with ScriptedBackend() as home, Spawned(config(tmp_path, {"home": home.url}), "--workers", "2") as gateway:
        for _ in range(5):
            asyncio.run(many(gateway.url, 20))
            if len(serving(gateway)) > 1 and min(serving(gateway)) > 0:
                break
        settled = sum(count * number for count, number in serving(gateway).items())
        assert soon(lambda: requests(page(gateway)) == settled, 20)  # a sibling that is busy for a second is late
        seen = [page(gateway) for _ in range(8)]
        assert {requests(one) for one in seen} == {settled}
        assert soon(lambda: page(gateway)["homeport_workers", ()] == 2, 20)
        assert seen[0]["homeport_leases_limit", (("backend", "home"),)] == 64

        before = workers(gateway.pid)
        os.kill(before[0], signal.SIGKILL)
        assert soon(lambda: len(workers(gateway.pid)) == 2 and before[0] not in workers(gateway.pid), 20)
        assert soon(lambda: page(gateway)["homeport_workers", ()] == 2, 20)
        after = page(gateway)
        assert requests(after) == settled
        never_falls(seen[-1], after)

        asyncio.run(many(gateway.url, 10))
        rolled = set(workers(gateway.pid))
        os.kill(gateway.pid, signal.SIGUSR2)
        assert soon(lambda: len(workers(gateway.pid)) == 2 and not rolled & set(workers(gateway.pid)), 30)
        assert soon(lambda: requests(page(gateway)) == settled + 10, 20)  # those that ended in order left what no page had shown
        never_falls(after, page(gateway))
    assert list((tmp_path / "data").rglob("metrics-*")) == []
