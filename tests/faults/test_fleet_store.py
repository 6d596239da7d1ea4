"""The store of a fleet, away in every way there is: nobody waits for it, no more is asked of a backend than is written down, and it is come back to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from homeport.fleet.exchange import PATIENCE_S
from homeport.testing.backend import ScriptedBackend
from homeport.testing.proxy import FaultProxy, Faults
from homeport.testing.script import Answer
from tests import figures
from tests.caller import Heard, ask, asked, chat
from tests.gateway import Running, config, soon
from tests.redis import Redis, needs_redis, with_fleet

pytestmark = [pytest.mark.slow, needs_redis]

PLACES = 4
PATIENT = {"max_in_flight": PLACES, "queue": 4096, "queue_timeout_s": 20.0, "first_token_timeout_s": 20.0, "idle_timeout_s": 20.0}
WORST: dict[str, int] = {}  # milliseconds of the first request, by way
BUSY_S = 1.0  # what this machine may take for anything at all


class Scene:
    """Two gateways before one backend, whose store is reached through a proxy."""

    def __init__(self, box: ScriptedBackend, store: Redis, proxy: FaultProxy, pair: list[Running]) -> None:
        self.box, self.store, self.proxy, self.pair = box, store, proxy, pair

    def states(self) -> list[str]:
        return [one.status()["fleet"]["state"] for one in self.pair]

    def together(self, timeout_s: float = 20.0) -> bool:
        return soon(lambda: self.states() == ["together"] * 2 and all(one.status()["fleet"]["gateways"] == 2 for one in self.pair), timeout_s)

    def ask(self, gateway: Running) -> tuple[Heard, float]:
        begun = time.monotonic()
        heard = asked(gateway.url, chat("hello"))
        return heard, time.monotonic() - begun


@contextmanager
def scene(folder: Path, answer: Answer | None = None, **options: str) -> Iterator[Scene]:
    with ExitStack() as stack:
        box = stack.enter_context(ScriptedBackend(answer or Answer(text="hello")))
        store = stack.enter_context(Redis(folder, **options))
        proxy = stack.enter_context(FaultProxy(f"127.0.0.1:{store.port}"))
        pair = []
        for name in ("vps", "home"):
            (folder / name).mkdir()
            path = config(folder / name, {"box": {"url": box.url, **PATIENT}})
            pair.append(stack.enter_context(Running(with_fleet(path, f"redis://127.0.0.1:{proxy.port}/0"))))
        made = Scene(box, store, proxy, pair)
        assert made.together()
        yield made


def stop(made: Scene) -> Callable[[], None]:
    made.store.end()
    return made.store.start


def freeze(made: Scene) -> Callable[[], None]:
    made.store.freeze()
    return made.store.thaw


def black_hole(made: Scene) -> Callable[[], None]:
    made.proxy.faults = Faults(silent=True)

    def mend() -> None:
        made.proxy.faults = Faults()

    return mend


def reset(made: Scene) -> Callable[[], None]:
    made.proxy.refuse()
    made.proxy.drop(reset=True)
    return made.proxy.accept


def replica(made: Scene) -> Callable[[], None]:
    made.store.say("REPLICAOF", "127.0.0.1", "1")
    return lambda: made.store.say("REPLICAOF", "NO", "ONE") and None


def full(made: Scene) -> Callable[[], None]:
    made.store.say("CONFIG", "SET", "maxmemory", "1")
    return lambda: made.store.say("CONFIG", "SET", "maxmemory", "0") and None


def locked(made: Scene) -> Callable[[], None]:
    made.store.say("CONFIG", "SET", "requirepass", "another")
    made.proxy.drop()
    made.store.options["requirepass"] = "another"
    return lambda: made.store.say("CONFIG", "SET", "requirepass", "") and None


WAYS = {
    "stopped": (stop, "nothing listens|connection to it was lost|no Redis"),
    "frozen": (freeze, "does not answer within"),
    "black_hole": (black_hole, "does not answer within"),
    "reset": (reset, "nothing listens|connection to it was lost"),
    "replica": (replica, "replica"),
    "full": (full, "memory is full"),
    "locked": (locked, "wants a password"),
}


@pytest.mark.parametrize("way", WAYS)
def test_nobody_waits_for_a_store_that_is_away_and_it_is_come_back_to(tmp_path: Path, way: str) -> None:
    with scene(tmp_path) as made:
        happen, reason = WAYS[way]
        assert made.ask(made.pair[0])[0].status == 200
        mend = happen(made)
        first, took_s = made.ask(made.pair[0])
        assert first.status == 200 and took_s < PATIENCE_S + BUSY_S
        assert soon(lambda: made.states() == ["away"] * 2, 10), made.pair[1].status()["fleet"]
        later = [made.ask(made.pair[number % 2]) for number in range(6)]
        assert all(heard.status == 200 for heard, _ in later)
        assert max(took for _, took in later) < BUSY_S, "only the first waits"
        found = made.pair[0].status()
        assert any(part in found["fleet"]["reason"] or part in _reasons(made) for part in reason.split("|")), found["fleet"]
        assert "The fleet's store" in found["verdict"] and str(made.proxy.port) in found["fleet"]["store"]
        assert "homeport_fleet_together 0.0" in asked(made.pair[0].url, method="GET", path="/metrics", host="127.0.0.1").body.decode()
        mend()
        assert made.together(), [one.status()["fleet"] for one in made.pair]
        assert made.ask(made.pair[1])[0].status == 200
        assert all(soon(lambda one=one: one.backend("box")["in_flight"] == 0) for one in made.pair)  # type: ignore[misc]
        assert made.box.in_flight_peak <= PLACES
        WORST[way] = round(took_s * 1000)
        figures.note("fleet.first_request_while_away", max(WORST.values()), "ms", note=f"the slowest: {', '.join(sorted(WORST))}".replace("_", " "))


def _reasons(made: Scene) -> str:
    seen = set()

    def more() -> bool:
        seen.add(made.pair[0].status()["fleet"]["reason"])
        return len(seen) > 2

    soon(more, 1.5)
    return " ".join(seen)


def test_a_wrong_password_at_the_start_is_told_and_the_gateway_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with ScriptedBackend(Answer(text="hello")) as box, Redis(tmp_path, requirepass="right") as store:
        monkeypatch.setenv("STORE", f"redis://:s3cret@127.0.0.1:{store.port}/0")
        path = with_fleet(config(tmp_path, {"box": {"url": box.url, **PATIENT}}), {"env": "STORE"})
        with caplog.at_level("DEBUG"), Running(path) as gateway:
            assert asked(gateway.url, chat("hello")).status == 200
            found = gateway.status()
            assert found["fleet"]["state"] == "away" and "refuses the name or the password" in found["fleet"]["reason"]
            assert "s3cret" not in str(found) + caplog.text
            monkeypatch.setenv("STORE", f"redis://:right@127.0.0.1:{store.port}/0")
        with Running(path) as gateway:
            assert soon(lambda: gateway.status()["fleet"]["state"] == "together", 10)


async def hold(url: str, number: int) -> list[asyncio.Task[Heard]]:
    return [asyncio.ensure_future(ask(url, chat(f"hold {one}"))) for one in range(number)]


def test_what_may_be_asked_too_much_while_the_store_is_away_is_the_shares_of_the_others(tmp_path: Path) -> None:
    with scene(tmp_path, Answer(text="hello", wait_s=4.0)) as made:

        async def play() -> list[Heard]:
            held = await hold(made.pair[0].url, PLACES)
            while made.box.in_flight < PLACES:
                await asyncio.sleep(0.01)
            made.store.freeze()
            more = await hold(made.pair[1].url, 8)
            return await asyncio.gather(*held, *more)

        heard = asyncio.run(asyncio.wait_for(play(), 60))
        assert all(one.status == 200 for one in heard)
        share = PLACES // 2
        assert PLACES < made.box.in_flight_peak <= PLACES + share, "all of one gateway's, and the share of the other"
        figures.note(
            "fleet.too_many_while_away",
            made.box.in_flight_peak - PLACES,
            note=f"beyond max_in_flight = {PLACES}, two gateways, one of which held all of it as the store froze",
        )
        made.store.thaw()
        assert made.together()
        assert all(soon(lambda one=one: one.backend("box")["in_flight"] == 0) for one in made.pair)  # type: ignore[misc]


@pytest.mark.parametrize("way", ["flushed", "restarted"])
def test_a_store_that_lost_what_it_knew_is_told_again_before_it_gives_anything_out(tmp_path: Path, way: str) -> None:
    with scene(tmp_path, Answer(text="hello", wait_s=5.0)) as made:

        async def play() -> list[Heard]:
            held = await hold(made.pair[0].url, PLACES)
            while made.box.in_flight < PLACES:
                await asyncio.sleep(0.01)
            if way == "flushed":
                made.store.say("FLUSHALL")
                made.store.say("SCRIPT", "FLUSH")
            else:
                made.store.end()
                made.store.start()
                await asyncio.to_thread(made.together)
            more = await hold(made.pair[1].url, 8)
            await asyncio.sleep(2.0)
            assert made.box.in_flight == PLACES
            return await asyncio.gather(*held, *more)

        heard = asyncio.run(asyncio.wait_for(play(), 60))
        assert all(one.status == 200 for one in heard)
        assert made.box.in_flight_peak == PLACES
        assert made.together()


def test_what_is_no_gateways_word_does_no_harm(tmp_path: Path) -> None:
    with scene(tmp_path) as made:
        for junk in ("junk", "\x81\xa1m\xa1x", "\x80"):
            made.store.say("PUBLISH", "{homeport:1}:news", junk)
        assert made.together()
        made.store.say("SET", "{homeport:1}:members", "junk")
        assert soon(lambda: "away" in made.states(), 10)
        assert made.ask(made.pair[0])[0].status == 200
        made.store.say("DEL", "{homeport:1}:members")
        assert made.together()


def test_a_start_without_the_store_keeps_to_the_share_of_the_gateways_seen_last(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "fleet-gateways").write_text("4\n", encoding="ascii")
    with ScriptedBackend(Answer(text="hello", wait_s=0.3)) as box:
        path = with_fleet(config(tmp_path, {"box": {"url": box.url, **PATIENT}}), "redis://127.0.0.1:1/0")
        with Running(path) as gateway:

            async def play() -> list[Any]:
                return await asyncio.gather(*(ask(gateway.url, chat(str(number))) for number in range(4)))

            assert [one.status for one in asyncio.run(play())] == [200] * 4
            assert box.in_flight_peak == 1
            assert gateway.status()["fleet"]["gateways"] == 4
