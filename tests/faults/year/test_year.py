"""A year in seconds: everything that decides is the real thing, only time, the network and the machines are not."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from pathlib import Path

import pytest

from homeport.backends import leases, probing
from homeport.settings import load
from homeport.testing.clock import ManualClock, ManualLoop
from homeport.vocabulary import Event
from tests import figures
from tests.faults.year.gateway import Gateway
from tests.faults.year.telling import LONG_S, compared
from tests.faults.year.world import DAY, HOUR, Backend, Outage, made
from tests.gateway import config

SEED = 20
DAYS = 365
FIRST_TOKEN_S = 15.0
OFTEN = 1 if figures.THOROUGH else 2.5  # so many times rarer than an ask every 30 to 300 s by day
CLOCKS = {"connect_timeout_s": 3, "first_token_timeout_s": FIRST_TOKEN_S, "idle_timeout_s": 30}
ROUTES = [
    {"backend": "home", "model": "large", "while_in_flight_below": 2},
    {"backend": "home", "model": "small"},
    {"backend": "vm", "model": "small"},
]
Seen = Counter[tuple[str, bool]]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """For all that has a clock given, and for what looks at the machine's."""
    found = ManualClock(monotonic=0.0)
    for module in (leases, probing):
        monkeypatch.setattr(module, "time", found)
    return found


def lived(folder: Path, clock: ManualClock, world: dict[str, Backend], days: float, *, stream: bool) -> tuple[Gateway, Seen]:
    """So many days of a gateway before this world."""
    backends = {name: {"url": "http://127.0.0.1:1", **CLOCKS} for name in world}
    settings = load(config=config(folder, backends, models={"assistant": {"routes": ROUTES}}))
    rng = random.Random(SEED + 1)
    gateway = Gateway(settings, world, clock, folder / "data", rng)
    with asyncio.Runner(loop_factory=lambda: ManualLoop(clock)) as runner:
        return gateway, runner.run(_lived(gateway, days * DAY, rng, stream=stream))


async def _lived(gateway: Gateway, seconds: float, rng: random.Random, *, stream: bool) -> Seen:
    """Asks, more by day: what each came to, and whether a backend could have answered it."""
    seen: Seen = Counter()
    clock, world = gateway.clock, gateway.world
    watches = [asyncio.ensure_future(gateway.watch(name)) for name in world]
    running: set[asyncio.Task[None]] = set()

    async def one(number: int, chances: dict[str, tuple[float, float]], could: bool) -> None:
        seen[await gateway.ask(number, chances, stream=stream), could] += 1

    number = 0
    while clock.monotonic() < seconds:
        by_day = 8 * HOUR <= clock.monotonic() % DAY < 22 * HOUR
        await asyncio.sleep(rng.uniform(30, 300) * OFTEN if by_day else rng.uniform(300, 1800))
        number += 1
        chances = {name: (rng.random(), rng.random()) for name in world}
        could = any(world[name].could(clock.monotonic(), chances[name], FIRST_TOKEN_S) for name in world)
        task = asyncio.ensure_future(one(number, chances, could))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    for watch in watches:
        watch.cancel()
    await asyncio.gather(*watches, return_exceptions=True)
    assert sum(seen.values()) == number
    return seen


@pytest.mark.slow
def test_a_year(tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger="homeport")
    world = made(SEED, DAYS * DAY)
    up = {name: 1 - backend.down_s / (DAYS * DAY) for name, backend in world.items()}
    assert 0.88 < up["home"] < 0.92
    assert 0.994 < up["vm"] < 0.996
    offset = clock.time()
    gateway, seen = lived(tmp_path, clock, world, DAYS, stream=False)
    could = sum(count for (_, could), count in seen.items() if could)
    ratio = seen["answered", True] / could
    figures.note("year.days", DAYS, "days", seed=SEED)
    for name, share in up.items():
        figures.note(f"year.up_{name}", round(100 * share, 2), "%", seed=SEED)
        figures.note(f"year.outages_{name}", len(world[name].outages), seed=SEED)
    figures.note("year.asks", sum(seen.values()), seed=SEED, note="whole replies; one in 30 to 300 s by day, in 5 to 30 min by night")
    figures.note("year.could", could, seed=SEED, note="asks that at least one backend could have answered")
    figures.note("year.answered", seen["answered", True], seed=SEED)
    figures.note("year.ratio", round(ratio, 6), seed=SEED)
    assert could > 30_000
    assert seen["cut", True] == seen["cut", False] == 0, "a whole reply has no middle to be cut in"
    assert ratio >= 0.9999, seen
    told = {name: compared(backend, [(at, event) for at, event in gateway.events if event.backend == name], offset) for name, backend in world.items()}
    for name, each in told.items():
        figures.note(f"year.long_outages_{name}", each.outages, seed=SEED, note=f"those of {LONG_S:g} s and more, which must be told")
        figures.note(f"year.told_{name}", each.downs, seed=SEED, note="outages told, each once down and once up; shorter ones among them")
        figures.note(f"year.latest_{name}", round(each.latest_s, 1), "s", seed=SEED, note="the longest from the beginning of an outage to the word")
        figures.note(f"year.stalls_{name}", each.stalls, seed=SEED, note="told because its asks stalled while it answered probes")
        assert (each.missed, each.twice, each.false, each.disorder) == (0, 0, 0, 0), (name, each)
        assert each.downs >= each.outages * 0.9  # some follow so soon upon another that they are one to the owner
        assert 0 <= each.downs - each.ups <= 1
        assert each.latest_s < 3 * 15.0 + 10.0
    ids = [event.id for _, event in gateway.events]
    assert list(dict.fromkeys(gateway.receiver.got)) == ids, "each event reached its owner, in order"
    figures.note("year.events", len(ids), seed=SEED, note="transitions told; each has one id")
    figures.note("year.deliveries", len(gateway.receiver.got), seed=SEED, note="some twice, where the receiver's answer was lost; under the same id")


@pytest.mark.slow
def test_a_quarter_of_streams(tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    """What has been shown cannot be taken back: a stream is cut where its backend goes away amid it, and told so. All others are answered."""
    caplog.set_level(logging.ERROR, logger="homeport")
    days = DAYS if figures.THOROUGH else 90
    world = made(SEED, days * DAY)
    _, seen = lived(tmp_path, clock, world, days, stream=True)
    could = sum(count for (_, could), count in seen.items() if could)
    cut = seen["cut", True]
    figures.note("year.streams", could, seed=SEED, note="streams that at least one backend could have answered")
    figures.note("year.streams_cut", cut, seed=SEED, note="their backend went away in the middle; told by the dialect's error, then an abort")
    figures.note("year.streams_refused", seen["refused", True], seed=SEED)
    assert seen["refused", True] <= could * 0.0001
    assert 0 < cut < could * 0.002
    assert seen["answered", True] + cut + seen["refused", True] == could


def test_the_comparison_can_fail() -> None:
    truth = Backend([Outage(100, 200, "dark"), Outage(1000, 1100, "dark")], [], (1, 1), (1, 1))
    well = [(130.0, "down", 115.0), (230.0, "up", 210.0), (1030.0, "down", 1010.0), (1130.0, "up", 1110.0)]

    def faults(*told: tuple[float, str, float]) -> tuple[int, int, int, int]:
        found = compared(truth, [(at, Event("e", kind, "b", since, "", None, None)) for at, kind, since in told], 0.0)
        return found.missed, found.twice, found.false, found.disorder

    assert faults(*well) == (0, 0, 0, 0)
    assert faults(*well[:2]) == (1, 0, 0, 0)
    assert faults(well[0], (160.0, "up", 150.0), (190.0, "down", 170.0), *well[1:]) == (0, 1, 0, 1)
    assert faults(*well, (1500.0, "down", 1480.0)) == (0, 0, 1, 0)
    assert faults(well[0], *well) == (0, 2, 0, 1), "the first down has no end, so the second outage falls into it too"
