"""An exchange with the store: its clock, what it makes of errors, and what it remembers of the gateways."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

import pytest

from homeport.fleet.alone import Alone
from homeport.fleet.apart import Apart
from homeport.fleet.exchange import Exchange, clock
from homeport.fleet.gateways import Gateways
from homeport.fleet.joining import together_with
from homeport.fleet.store import KEEPALIVE, Away, Store, keepalive, reason
from homeport.settings import FleetSettings

redis = pytest.importorskip("redis")


def test_the_clock_ends_what_takes_too_long() -> None:
    async def scene() -> None:
        begun = time.monotonic()
        with pytest.raises(Away, match=r"does not answer within 0\.05 s"):
            async with clock(0.05):
                await asyncio.sleep(30)
        assert time.monotonic() - begun < 5

    asyncio.run(scene())


def test_a_process_that_was_busy_itself_blames_nobody() -> None:
    async def scene() -> None:
        async with clock(0.05):
            time.sleep(0.3)  # noqa: ASYNC251 - that is the point
            await asyncio.sleep(0.02)

    asyncio.run(scene())


def test_what_is_not_done_in_time_elsewhere_is_none_of_its_business() -> None:
    async def scene() -> None:
        with pytest.raises(ZeroDivisionError):
            async with clock(5):
                raise ZeroDivisionError
        async with clock(5):
            pass

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (redis.exceptions.ResponseError("OOM command not allowed when used memory > 'maxmemory'."), "its memory is full (maxmemory)"),
        (redis.exceptions.ReadOnlyError("You can't write against a read only replica."), "it is a replica that takes no writes"),
        (redis.exceptions.ResponseError("MISCONF Redis is configured to save RDB snapshots"), "it takes no writes, for it cannot save them to its disk"),
        (redis.exceptions.AuthenticationError("invalid username-password pair or user is disabled."), "it refuses the name or the password of [fleet] url"),
        (redis.exceptions.ConnectionError("Error 111 connecting to h:1. Connection refused."), "nothing listens there"),
        (redis.exceptions.ConnectionError("Connection closed by server."), "the connection to it was lost, or could not be made"),
        (redis.exceptions.TimeoutError("Timeout reading"), "it does not answer"),
        (redis.exceptions.ResponseError("NOSUCH secret text"), "it answers with an error (NOSUCH)"),
        (redis.exceptions.ResponseError("secret text"), "it answers with an error"),
        (redis.exceptions.NoPermissionError("User homeport has no permissions to run the 'time' command"), "this user may not do there what a fleet needs"),
        (redis.exceptions.ConnectionError("Error setting client name"), "the connection to it was lost, or could not be made"),
        (
            redis.exceptions.MovedError("11788 127.0.0.1:7001"),
            "it is a node of a cluster, and another one of it has the names of this fleet; give that one's address",
        ),
        (redis.exceptions.BusyLoadingError("Redis is loading the dataset in memory"), "it has just started, and loads its data"),
        (socket.gaierror(-2, "Name or service not known"), "its name leads nowhere (DNS)"),
        (redis.exceptions.InvalidResponse("Protocol Error: b'HTTP/1.1 400'"), "what answers there is no Redis"),
    ],
)
def test_why_the_store_cannot_be_used(error: Exception, said: str) -> None:
    assert reason(error) == said


def test_a_lookup_that_hangs_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    lookups: list[int] = []
    go_on = asyncio.Event()

    async def hangs(*_: object, **__: object) -> None:
        lookups.append(1)
        await go_on.wait()
        raise socket.gaierror(-2, "Name or service not known")

    async def scene() -> None:
        monkeypatch.setattr("homeport.fleet.store.CONNECT_S", 0.05)
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", hangs)
        store = Store("redis://store.example:6379/0")
        for _ in range(3):
            with pytest.raises(Away, match="does not answer"):
                await store.open()
        assert len(lookups) == 1
        asyncio.get_running_loop().call_soon(go_on.set)
        monkeypatch.setattr("homeport.fleet.store.CONNECT_S", 5.0)
        with pytest.raises(Away, match="leads nowhere"):
            await store.open()
        assert len(lookups) == 1

    asyncio.run(scene())


def test_a_connection_on_which_nothing_comes_is_kept_alive() -> None:
    assert set(keepalive().values()) == set(KEEPALIVE.values()) or not hasattr(socket, "TCP_KEEPIDLE")


def test_how_many_gateways_there_were_is_remembered(tmp_path: Path) -> None:
    def made() -> Gateways:
        return Gateways(Alone(), FleetSettings(url="redis://127.0.0.1:1/0"), data=tmp_path, gateway="vps")

    assert made().standing.gateways == 2, "[fleet] says that there are others"
    made()._keep(5)
    assert made().standing.gateways == 5
    (tmp_path / "fleet-gateways").write_text("many", encoding="ascii")
    assert made().standing.gateways == 2


def test_where_nobody_can_be_asked_each_does_it_itself(tmp_path: Path) -> None:
    async def scene() -> None:
        away = Exchange(Store("redis://127.0.0.1:1/0"), "vps:1", 10.0, 2, hinted=lambda *_: None, counted=lambda _: None)
        assert await away.once("load", 30.0)
        away.hint("home", ["m"])
        await away.stop()

    asyncio.run(scene())


def test_apart_is_what_the_crew_is(tmp_path: Path) -> None:
    crew = Alone()
    apart = together_with(crew, FleetSettings(), data=tmp_path, gateway="vps", workers=False)
    assert isinstance(apart, Apart) and apart.standing is None and apart.key("ada") is None
    assert Apart(crew, workers=True).key("ada") is not None
    pair = [0.0, 0.0]
    assert apart.level("ada", pair) is pair
    assert apart.at("home").take(1) and crew.at("home").in_use == 1
    apart.hint("home", ["m"])
    apart.hinted("home", ["m"])
    assert asyncio.run(apart.once("load", 1.0))


def test_a_fault_of_our_own_is_told_and_it_begins_anew(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    tries: list[int] = []

    async def fails(self: Store) -> None:
        tries.append(1)
        raise RuntimeError("a fault")

    async def scene() -> None:
        monkeypatch.setattr(Store, "open", fails)
        made = Exchange(Store("redis://127.0.0.1:1/0"), "vps:1", 10.0, 2, hinted=lambda *_: None, counted=lambda _: None)
        made.start()
        deadline = time.monotonic() + 20
        while len(tries) < 2 and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        assert len(tries) >= 2 and not made.together and "fault of this gateway" in made.reason
        await made.stop()

    asyncio.run(scene())
    assert "the exchange with the fleet's store failed" in caplog.text
