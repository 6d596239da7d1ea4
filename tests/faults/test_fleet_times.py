"""A fleet whose store loses what it knew, stood still, or has its clock moved: what is held stays counted, and what is free is given out again."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from homeport.backends.leases import Lease, Leases
from homeport.fleet.alone import Alone
from homeport.fleet.gateways import Gateways
from homeport.settings import FleetSettings
from tests.redis import Redis, needs_redis

pytestmark = [pytest.mark.slow, needs_redis]

ROOT = "{homeport:1}"
LIMIT = 2
HOUR_MS = 3_600_000
Pair = list[tuple[Gateways, Leases]]


@asynccontextmanager
async def together(store: Redis, folder: Path) -> AsyncIterator[Pair]:
    made = [Gateways(Alone(), FleetSettings(url=store.url), data=folder, gateway=name) for name in ("vps", "home")]
    for one in made:
        await one.start()
    try:
        assert await soon(lambda: all(one.standing.gateways == 2 and one.standing.state == "together" for one in made))
        yield [(one, Leases(LIMIT, 64, 30.0, one.at("box"))) for one in made]
    finally:
        for one in made:
            await one.stop()


async def soon(holds: Callable[[], bool], timeout_s: float = 15.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.01)
    return True


def play(folder: Path, scene: Callable[[Redis, Pair], Coroutine[Any, Any, None]]) -> None:
    async def run(store: Redis) -> None:
        async with together(store, folder) as pair:
            await scene(store, pair)

    with Redis(folder) as store:
        asyncio.run(asyncio.wait_for(run(store), 90))


def say(store: Redis, *words: str) -> bytes:
    return store.say(words[0], f"{ROOT}:{words[1]}", *words[2:])


def moved(store: Redis, pair: Pair, by_ms: int) -> None:
    """As if the store's clock had gone by so much: what it noted is that much older, or lies ahead."""
    then = int(time.time() * 1000) - by_ms
    for one, _ in pair:
        say(store, "ZADD", "members", str(then + 10_000), one.exchange._member)
    say(store, "SET", "began", str(then))
    say(store, "SET", "heard", str(then))


def test_what_others_gave_back_after_the_store_was_flushed_is_seen(tmp_path: Path) -> None:
    async def scene(store: Redis, pair: Pair) -> None:
        (vps, first), (home, second) = pair
        keys = [one.key("ada") for one in (vps, home)]
        for _ in range(20):  # so that the store counts from less than is known
            (await first.wait()).release()
            assert await soon(lambda: keys[0].take(1))
            keys[0].give_back()
        held = [await first.wait() for _ in range(LIMIT)]
        assert keys[0].take(1)
        assert await soon(lambda: second.in_flight == LIMIT and keys[1].in_use == 1)
        store.say("FLUSHALL")
        for lease in held:
            lease.release()
        keys[0].give_back()
        assert await soon(lambda: second.in_flight == 0 and keys[1].in_use == 0)
        assert keys[1].take(1)
        keys[1].give_back()

    play(tmp_path, scene)


def test_a_store_that_was_flushed_just_after_a_beat_hears_first_what_is_held(tmp_path: Path) -> None:
    async def scene(store: Redis, pair: Pair) -> None:
        (vps, first), (_, second) = pair
        held = [await first.wait() for _ in range(LIMIT)]
        beat = vps.exchange._full_at
        assert await soon(lambda: vps.exchange._full_at != beat), "the next one is two seconds away, and the store settles sooner"
        store.say("FLUSHALL")
        waiting = [asyncio.ensure_future(second.wait()) for _ in range(4)]
        assert not await soon(lambda: second.mine > 0, 3.0)
        for lease in held:
            lease.release()
        await served(waiting)

    play(tmp_path, scene)


def test_a_store_whose_clock_goes_ahead_gives_nobodys_places_away(tmp_path: Path) -> None:
    async def scene(store: Redis, pair: Pair) -> None:
        (_, first), (_, second) = pair
        held = [await first.wait() for _ in range(LIMIT)]
        moved(store, pair, HOUR_MS)
        waiting = [asyncio.ensure_future(second.wait()) for _ in range(4)]
        assert not await soon(lambda: second.mine > 0, 3.0), "no member was heard for an hour, and yet all are there"
        for lease in held:
            lease.release()
        await served(waiting)

    play(tmp_path, scene)


def test_a_store_whose_clock_goes_back_goes_on(tmp_path: Path) -> None:
    async def scene(store: Redis, pair: Pair) -> None:
        (vps, first), (home, second) = pair
        levels = [one.level("ada", [0.0, 0.0]) for one in (vps, home)]
        levels[0][0] = time.monotonic() + 1.0
        assert await soon(lambda: levels[1][0] > 0.0)
        moved(store, pair, -HOUR_MS)
        level = store.say("EVAL", f"return redis.call('HSET', '{ROOT}:levels', 'ada', cmsgpack.pack({{{int(time.time() * 1000) + HOUR_MS}, 0}}))", "0")
        assert level.startswith(b":")
        await served([asyncio.ensure_future(one.wait()) for one in (first, second, first, second)])
        levels[0][0] = time.monotonic() + 1.0
        assert await soon(lambda: not vps.exchange._spent)
        await asyncio.sleep(0.2)
        assert levels[0][0] < time.monotonic() + 60, "nobody is out of its limit for the hour that the clock went back"

    play(tmp_path, scene)


def test_nothing_is_left_in_the_store_of_who_is_gone(tmp_path: Path) -> None:
    async def scene(store: Redis, pair: Pair) -> None:
        (_, first), _ = pair
        (await first.wait()).release()
        store.say("EVAL", f"redis.call('SADD', '{ROOT}:places', 'gone') redis.call('HSET', '{ROOT}:p:gone', 'version', 7)", "0")
        say(store, "SET", "heard", str(int(time.time() * 1000) - 61_000))  # a minute is over
        assert await soon(lambda: say(store, "EXISTS", "p:gone") == b":0\r\n" and say(store, "SISMEMBER", "places", "gone") == b":0\r\n")
        for name in ("began", "heard", "members", "places", "p:box"):
            assert int(say(store, "PTTL", name)[1:]) > HOUR_MS, name

    play(tmp_path, scene)


def test_a_socket_and_a_user_who_may_do_what_the_page_says(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "fleet.md").read_text(encoding="utf-8")
    line = next(line for line in page.splitlines() if line.startswith("- The user needs"))
    commands = [f"+{name.lower().replace(' ', '|')}" for name in re.findall(r"`([A-Z ]+)`", line)]
    assert {"+evalsha", "+script|load", "+time"} <= set(commands)

    async def opened(url: str) -> None:
        made = Gateways(Alone(), FleetSettings(url=url), data=tmp_path, gateway="vps")
        await made.start()
        try:
            assert await soon(lambda: made.standing.state == "together"), made.standing
            leases = Leases(LIMIT, 4, 20.0, made.at("box"))
            (await asyncio.wait_for(leases.wait(), 20)).release()
        finally:
            await made.stop()

    with Redis(tmp_path, unixsocket=str(tmp_path / "s")) as store:
        asyncio.run(opened(f"unix://{tmp_path}/s?db=1"))
        groups = ("+@hash", "+@set", "+@sortedset", "+@string")
        told = store.say("ACL", "SETUSER", "homeport", "on", ">pw", f"~{ROOT}*", f"&{ROOT}:news", "-@all", *commands, *groups)
        assert told == b"+OK\r\n"
        asyncio.run(opened(f"redis://homeport:pw@127.0.0.1:{store.port}/1"))


async def served(waiting: list[asyncio.Task[Lease]]) -> None:
    """Each has its turn, and gives it back."""
    for turn in asyncio.as_completed(waiting, timeout=10):
        (await turn).release()
