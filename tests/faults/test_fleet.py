"""A fleet on a real Redis: places are the fleet's, a gateway that dies gives its own back within the TTL."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer
from tests import figures
from tests.caller import Heard, ask, asked, chat
from tests.figures import THOROUGH
from tests.gateway import Spawned, config, soon
from tests.redis import Redis, needs_redis, with_fleet

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="workers are for POSIX"),
    pytest.mark.slow,
    needs_redis,
]

PATIENT = {"max_in_flight": 3, "queue": 4096, "queue_timeout_s": 60.0, "first_token_timeout_s": 20.0, "idle_timeout_s": 20.0}
TTL_S = 2.0
ASKS = 10_000 if THOROUGH else 2_000


def gateways(stack: ExitStack, folder: Path, backend: str, store: str, *, workers: int = 2, **more: object) -> list[Spawned]:
    """Two of them, each with a folder of its own."""
    made = []
    for name in ("vps", "home"):
        (folder / name).mkdir()
        path = with_fleet(config(folder / name, {"box": {"url": backend, **PATIENT, **more}}), store, TTL_S)
        made.append(stack.enter_context(Spawned(path, *(("--workers", str(workers)) if workers > 1 else ()))))

    def together() -> bool:
        found = [asked(one.url, method="GET", path="/status", host="127.0.0.1", headers={"accept": "application/json"}).json["fleet"] for one in made]
        return all((one["state"], one["gateways"], one["workers"]) == ("together", 2, 2 * workers) for one in found)

    assert soon(together, 30)
    return made


async def many(urls: list[str], number: int, at_once: int = 64) -> list[Heard]:
    """So many asks, shared out over the gateways, `at_once` of them under way."""
    room = asyncio.Semaphore(at_once)

    async def one(index: int) -> Heard:
        async with room:
            return await ask(urls[index % len(urls)], chat(f"ask {index}"))

    return await asyncio.gather(*(one(index) for index in range(number)))


def test_two_gateways_of_two_workers_never_ask_a_backend_for_more_than_its_places(tmp_path: Path) -> None:
    with ScriptedBackend(Answer(text="hello", delay_s=0.001)) as box, Redis(tmp_path) as store, ExitStack() as stack:
        pair = gateways(stack, tmp_path, box.url, store.url)
        heard = asyncio.run(asyncio.wait_for(many([one.url for one in pair], ASKS), 500))
        assert Counter(one.status for one in heard) == {200: ASKS}
        assert box.generations == ASKS
        assert box.in_flight_peak == 3
        shares = [sum(path.read_bytes().count(b'"settled"') for path in one.journal.data.glob("journal-*.jsonl")) for one in pair]
        assert sum(shares) == ASKS and min(shares) > 0
        figures.note("fleet.requests", ASKS)
        figures.note("fleet.most_at_once", box.in_flight_peak, note="max_in_flight is 3; two gateways of two workers")


def test_a_gateway_that_is_killed_gives_its_places_back_within_the_ttl(tmp_path: Path) -> None:
    with ScriptedBackend(Answer(text="hello", wait_s=30.0)) as box, Redis(tmp_path) as store, ExitStack() as stack:
        dying, living = gateways(stack, tmp_path, box.url, store.url, workers=1)

        async def scene() -> tuple[Heard, float]:
            held = [asyncio.ensure_future(ask(dying.url, chat("hold"))) for _ in range(3)]
            while box.in_flight < 3:
                await asyncio.sleep(0.01)
            box.default = Answer(text="hello")
            waiting = asyncio.ensure_future(ask(living.url, chat("wait")))
            await asyncio.sleep(0.3)
            assert not waiting.done() and box.in_flight == 3
            killed = time.monotonic()
            dying.end(signal.SIGKILL)
            heard = await waiting
            took_s = time.monotonic() - killed
            await asyncio.gather(*held)
            return heard, took_s

        heard, took_s = asyncio.run(asyncio.wait_for(scene(), 60))
        assert heard.status == 200
        assert 0.5 * TTL_S < took_s < TTL_S + 1.0, "not before the TTL has run since its last beat, and soon after"
        figures.note("fleet.places_of_a_killed_gateway_back", round(took_s, 2), "s", note=f"lease_ttl_s = {TTL_S:g}")
        assert box.in_flight_peak == 3
        assert soon(lambda: box.in_flight == 0)


def test_away_from_the_store_the_workers_of_a_gateway_share_its_share(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "fleet-gateways").write_text("2\n", encoding="ascii")
    with ScriptedBackend(Answer(text="hello", delay_s=0.002)) as box:
        path = with_fleet(config(tmp_path, {"box": {"url": box.url, **PATIENT, "max_in_flight": 4}}), "redis://127.0.0.1:1/0", TTL_S)
        with Spawned(path, "--workers", "2") as gateway:
            heard = asyncio.run(asyncio.wait_for(many([gateway.url], 200), 100))
            assert Counter(one.status for one in heard) == {200: 200}
            assert box.in_flight_peak == 2, "half of four, for both"
