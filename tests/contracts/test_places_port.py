"""One suite for the Places port, as Leases use it: within one process, over the workers of a machine, over the gateways of a fleet."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from homeport.backends.leases import Lease, Leases, QueueFull
from homeport.fleet.alone import Alone
from homeport.fleet.gateways import Gateways
from homeport.ports import Places
from homeport.settings import FleetSettings
from tests.redis import Redis, needs_redis

At = Callable[[str], Places]
LIMIT = 2
SOON_S = 10.0


@asynccontextmanager
async def alone(_: str, __: Path) -> AsyncIterator[list[At]]:
    crew = Alone()
    yield [crew.at, crew.at]


@asynccontextmanager
async def workers(_: str, __: Path) -> AsyncIterator[list[At]]:
    from homeport.fleet.places import Table, create

    loop, memory, tables = asyncio.get_running_loop(), create(2), []
    for seat in (0, 1):
        tables.append(Table(memory, seat, ring=lambda other: loop.call_soon(tables[other].heard) and None, later=loop.call_later))
    try:
        yield [table.at for table in tables]
    finally:
        os.close(memory)


@asynccontextmanager
async def gateways(url: str, folder: Path) -> AsyncIterator[list[At]]:
    pair = [Gateways(Alone(), FleetSettings(url=url), data=folder, gateway=name) for name in ("vps", "home")]
    for one in pair:
        await one.start()
    try:
        yield [one.at for one in pair]
    finally:
        for one in pair:
            await one.stop()


KINDS = [
    "alone",
    pytest.param("workers", marks=pytest.mark.skipif(sys.platform == "win32", reason="workers are for POSIX")),
    pytest.param("gateways", marks=needs_redis),
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Redis]:
    with Redis(tmp_path) as made:
        yield made


@pytest.fixture(params=KINDS)
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Callable[[list[Leases]], Coroutine[Any, Any, None]]], None]:
    """Plays a scene with two who share the places at one backend."""
    made = {"alone": alone, "workers": workers, "gateways": gateways}[request.param]
    url = request.getfixturevalue("store").url if request.param == "gateways" else ""

    def played(scene: Callable[[list[Leases]], Coroutine[Any, Any, None]]) -> None:
        async def run() -> None:
            async with made(url, tmp_path) as pair:
                await scene([Leases(LIMIT, 16, 20.0, at(request.node.name)) for at in pair])

        asyncio.run(asyncio.wait_for(run(), 60))

    return played


async def got(leases: Leases, key: str | None = None) -> Lease:
    """As `HttpBackend.wait` takes one."""
    return leases.take() or await leases.wait(key)


async def soon(holds: Callable[[], bool]) -> bool:
    for _ in range(int(SOON_S * 100)):
        if holds():
            return True
        await asyncio.sleep(0.01)
    return False


def test_no_more_than_the_limit_over_both_and_all_see_how_many(play: Any) -> None:
    async def scene(pair: list[Leases]) -> None:
        held = [await got(pair[0]), await got(pair[1])]
        waiting = [asyncio.ensure_future(got(one)) for one in pair]
        await asyncio.sleep(0.05)
        assert not any(one.done() for one in waiting)
        assert await soon(lambda: all(one.in_flight == LIMIT for one in pair))
        for lease in held:
            lease.release()
            lease.release()
        for lease in await asyncio.gather(*waiting):
            lease.release()
        assert await soon(lambda: all(one.in_flight == 0 for one in pair))

    play(scene)


def test_who_has_waited_longest_is_next_wherever(play: Any) -> None:
    async def scene(pair: list[Leases]) -> None:
        held = [await got(pair[0]), await got(pair[0])]
        served: list[int] = []

        async def one(number: int) -> None:
            lease = await got(pair[number % 2])
            served.append(number)
            await asyncio.sleep(0.02)
            lease.release()

        tasks = []
        for number in range(6):
            tasks.append(asyncio.ensure_future(one(number)))
            await asyncio.sleep(0.02)
        for lease in held:
            lease.release()
        await asyncio.gather(*tasks)
        assert all(abs(place - number) <= 1 for place, number in enumerate(served)), f"two places are free at once, so neighbours may change: {served}"

    play(scene)


def test_who_gave_up_keeps_no_place(play: Any) -> None:
    async def scene(pair: list[Leases]) -> None:
        held = [await got(pair[0]), await got(pair[0])]
        for _ in range(5):
            leaving = asyncio.ensure_future(got(pair[1]))
            await asyncio.sleep(0.005)
            leaving.cancel()
            await asyncio.wait([leaving])
        with pytest.raises(QueueFull):
            await pair[1].wait(None, 0.05)
        for lease in held:
            lease.release()
        again = [await got(one) for one in pair]
        assert await soon(lambda: all(one.in_flight == 2 for one in pair))
        for lease in again:
            lease.release()
        assert await soon(lambda: all(one.in_flight == 0 for one in pair))

    play(scene)


def test_one_that_leaves_at_the_moment_of_its_turn_passes_it_on(play: Any) -> None:
    async def scene(pair: list[Leases]) -> None:
        for round_ in range(30):
            held = [await got(pair[0]), await got(pair[1])]
            leaving, waiting = asyncio.ensure_future(got(pair[0])), asyncio.ensure_future(got(pair[1]))
            await asyncio.sleep(0.002)
            for lease in held:
                lease.release()
            await asyncio.sleep(0.0002 * round_)
            leaving.cancel()
            lease = await asyncio.wait_for(waiting, SOON_S)
            lease.release()
            await asyncio.wait([leaving])
            if not leaving.cancelled():
                leaving.result().release()
            assert await soon(lambda: all(one.in_flight == 0 for one in pair)), f"round {round_}"

    play(scene)


def test_more_places_are_open_to_who_waits_and_fewer_take_none_away(play: Any) -> None:
    async def scene(pair: list[Leases]) -> None:
        pair[1].limit_to(1)
        first = await got(pair[0])
        waiting = asyncio.ensure_future(got(pair[1]))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        pair[1].limit_to(2)
        second = await asyncio.wait_for(waiting, SOON_S)
        pair[0].limit_to(1)
        assert await soon(lambda: all(one.in_flight == 2 for one in pair))
        first.release()
        second.release()
        assert await soon(lambda: all(one.in_flight == 0 for one in pair))

    play(scene)


def test_a_zombie_is_a_place_taken_until_it_is_buried(play: Any) -> None:
    async def scene(pair: list[Leases]) -> None:
        held = [await got(pair[0]), await got(pair[0])]
        waiting = asyncio.ensure_future(got(pair[1]))
        for lease in held:
            lease.linger()
        await asyncio.sleep(0.05)
        assert not waiting.done() and pair[0].zombies == 2
        pair[0].bury(1)
        (await asyncio.wait_for(waiting, SOON_S)).release()
        pair[0].bury(1)
        assert await soon(lambda: all(one.in_flight == 0 for one in pair))

    play(scene)


def test_a_closed_view_wants_nothing_and_gives_back_what_it_has(play: Any) -> None:
    async def scene(pair: list[Leases]) -> None:
        held = [await got(pair[0]), await got(pair[0])]
        pair[0].close()
        waiting = asyncio.ensure_future(got(pair[1]))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        for lease in held:
            lease.release()
        (await asyncio.wait_for(waiting, SOON_S)).release()
        assert await soon(lambda: pair[1].in_flight == 0)

    play(scene)


def test_a_hasty_one_waits_only_for_the_word(play: Any) -> None:
    async def scene(pair: list[Leases]) -> None:
        held = [await got(pair[0]), await got(pair[0])]
        refused = 0
        for _ in range(3):
            hasty = asyncio.ensure_future(pair[1].wait(None, 1.0, hasty=True))
            await asyncio.wait([hasty])
            refused += isinstance(hasty.exception(), QueueFull)
        assert refused == 3
        for lease in held:
            lease.release()
        assert await soon(lambda: pair[1].in_flight == 0)
        (await asyncio.wait_for(pair[1].wait(None, 20.0, hasty=True), SOON_S)).release()

    play(scene)
