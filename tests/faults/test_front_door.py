"""The front door that ships: a real nginx with TLS, a real Homeport behind it, and what a visitor sees when either is in trouble."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import signal
import ssl
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.storage.keys import Keys
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer, Fault, Point
from tests.caller import Heard, asked, chat
from tests.front_door import FrontDoor, Visitor, visit
from tests.gateway import Running, Spawned, config
from tests.nginx import EXECUTABLE

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="nginx is not on this machine")

GAP_S = 0.05
TOKENS = tuple(f"{number} " for number in range(24))
SLOW = Answer(tokens=TOKENS, delay_s=GAP_S)
TOLERANCE_S = 0.02  # of the median gap, beside a direct one
PATHS = {"openai": "/v1/chat/completions", "ollama": "/api/chat", "anthropic": "/v1/messages"}


@pytest.fixture
def backend() -> Iterator[ScriptedBackend]:
    with ScriptedBackend(SLOW) as scripted:
        yield scripted


@pytest.fixture
def gateway(tmp_path: Path, backend: ScriptedBackend) -> Iterator[Running]:
    with Running(config(tmp_path, {"home": backend.url}, max_body_mb=1)) as running:
        yield running


def behind(gateway: Running | Spawned) -> str:
    return gateway.url.removeprefix("http://")


def gaps(heard: Heard) -> list[float]:
    """Seconds between reads that brought content."""
    times = [when for when, data in heard.pieces if b'"content"' in data]
    return [after - before for before, after in itertools.pairwise(times)]


def told(heard: Heard, dialect: str) -> str:
    """The message of an error in its dialect's envelope."""
    assert heard.headers["content-type"] == "application/json"
    document = heard.json
    if dialect == "ollama":
        assert document.keys() == {"error"}
        return str(document["error"])
    if dialect == "anthropic":
        assert document.keys() == {"type", "error", "request_id"}
        assert document["request_id"] == heard.headers["x-request-id"]
    else:
        assert document["error"].keys() == {"message", "type", "param", "code"}
    return str(document["error"]["message"])


@pytest.mark.slow
def test_the_gaps_of_a_stream_survive(tmp_path: Path, gateway: Running) -> None:
    with FrontDoor(tmp_path, behind(gateway)) as door:
        direct = asked(gateway.url, chat(stream=True))
        through = visit(door, chat(stream=True))
    assert through.finished and through.text == direct.text == "".join(TOKENS)
    assert len(gaps(through)) >= len(TOKENS) * 0.8, "tokens came in lumps"
    assert abs(statistics.median(gaps(through)) - statistics.median(gaps(direct))) < TOLERANCE_S
    assert through.headers["x-request-id"] == gateway.journal.settled(2)[1]["id"]
    assert through.headers["x-homeport-backend"] == "home"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine")
def test_the_gaps_of_a_stream_survive_in_http_2(tmp_path: Path, gateway: Running) -> None:
    with FrontDoor(tmp_path, behind(gateway)) as door:
        command = ["curl", "-sN", "--http2", "--cacert", str(door.certificate), "-w", "\n%{http_version}", f"{door.url}{PATHS['openai']}"]
        command += ["-H", "content-type: application/json", "-d", json.dumps(chat(stream=True))]
        times: list[float] = []
        with subprocess.Popen(command, stdout=subprocess.PIPE) as curl:
            assert curl.stdout is not None
            for line in curl.stdout:
                times += [time.perf_counter()] if b'"content"' in line else []
    assert line == b"2"
    assert len(times) >= len(TOKENS)
    found = [after - before for before, after in itertools.pairwise(times)]
    assert abs(statistics.median(found) - GAP_S) < TOLERANCE_S


@pytest.mark.parametrize("dialect", PATHS)
def test_too_many_requests_of_one_address(tmp_path: Path, gateway: Running, dialect: str) -> None:
    async def go(door: FrontDoor) -> list[Heard]:
        async def one() -> Heard:
            async with Visitor(door) as visitor:
                return await visitor.ask({}, path=PATHS[dialect])

        return list(await asyncio.gather(*(one() for _ in range(12))))

    with FrontDoor(tmp_path, behind(gateway), rate=1, burst=2) as door:
        heard = asyncio.run(go(door))
    refused = [one for one in heard if one.status == 429]
    assert {one.status for one in heard} == {400, 429}
    assert 3 <= len(heard) - len(refused) <= 9, "three at once, and one a second"
    for one in refused:
        assert told(one, dialect) == "Too many requests from this address: the front door takes 1 a second and 1000 at the same time. Ask again in a moment."
        assert one.headers["retry-after"] == "1"


def test_too_many_answers_of_one_address_at_once(tmp_path: Path, gateway: Running, backend: ScriptedBackend) -> None:
    async def go(door: FrontDoor) -> list[Heard]:
        async def one() -> Heard:
            async with Visitor(door) as visitor:
                return await visitor.ask(chat(stream=True))

        return list(await asyncio.gather(*(one() for _ in range(5))))

    with FrontDoor(tmp_path, behind(gateway), open=2) as door:
        heard = asyncio.run(go(door))
    assert sorted(one.status for one in heard) == [200, 200, 429, 429, 429]
    assert backend.in_flight_peak == 2


def test_a_network_of_ipv6_is_one_visitor(tmp_path: Path, gateway: Running) -> None:
    with FrontDoor(tmp_path, behind(gateway), rate=1, burst=1) as door:
        seen_as(door)

        def statuses(*addresses: str, path: str = "/v1/nothing") -> list[int]:
            return [visit(door, method="GET", path=path, headers={"x-seen-as": address}).status for address in addresses]

        assert 429 in statuses(*(f"2001:db8::{number}" for number in range(1, 7))), "one /64, which one visitor has all"
        assert 429 in statuses(*["::ffff:203.0.113.1"] * 6)
        for apart in ("2001:db8:0:{}::1", "203.0.114.{}", "::ffff:203.0.115.{}"):
            assert 429 not in statuses(*(apart.format(number) for number in range(1, 7))), apart
        assert statuses(*["203.0.116.1"] * 9, path="/health") == [200] * 9
        assert 429 not in statuses("203.0.116.1"), "a watcher's visits are counted apart"


def seen_as(door: FrontDoor) -> None:
    """Have it take the header x-seen-as for the visitor's address."""
    site = door.folder / "site.conf"
    site.write_text("set_real_ip_from 127.0.0.1; real_ip_header x-seen-as;\n" + site.read_text(encoding="utf-8"), encoding="utf-8")
    door.reload()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "home.example"])
def test_without_keys_it_is_shut_whatever_host_a_visitor_writes(tmp_path: Path, gateway: Running, backend: ScriptedBackend, host: str) -> None:
    with FrontDoor(tmp_path, behind(gateway), name="home.example") as door:
        seen_as(door)
        for method, path, body in (("POST", PATHS["openai"], chat()), ("GET", "/tasks", None), ("GET", "/v1/models", None)):
            heard = visit(door, body, method=method, path=path, host=host, headers={"x-seen-as": "203.0.113.9"})
            assert (heard.status, "Make a key" in told(heard, "openai")) == (403, True)
    assert backend.generations == 0


def test_a_body_that_is_too_large(tmp_path: Path, gateway: Running, backend: ScriptedBackend) -> None:
    body = chat("x" * (1 << 20))
    with FrontDoor(tmp_path, behind(gateway), body_mb=1) as door:
        for dialect, path in PATHS.items():
            heard = visit(door, body, path=path)
            assert heard.status == 413
            assert told(heard, dialect) == "The body is larger than 1 MB, the most that the front door takes."
        assert visit(door, chat("x" * 600_000)).status == 200
    assert backend.generations == 1


@pytest.mark.slow
def test_the_gateway_is_off_and_comes_back(tmp_path: Path, backend: ScriptedBackend, free_port: int) -> None:
    backend.default = "all is well"
    path = config(tmp_path, {"home": backend.url}, listen=f"127.0.0.1:{free_port}")
    with FrontDoor(tmp_path, f"127.0.0.1:{free_port}") as door:
        for dialect, where in PATHS.items():
            heard = visit(door, chat(), path=where)
            assert heard.status == 502
            assert "the Homeport gateway behind it is off" in told(heard, dialect)
            assert heard.headers["retry-after"] == "5"
        page = visit(door, method="GET", path="/", headers={"accept": "text/html,application/xhtml+xml"})
        assert (page.status, page.headers["content-type"], page.headers["cache-control"]) == (502, "text/html", "no-store")
        assert b"Homeport, the gateway on this server: does not answer" in page.body
        with Spawned(path) as gateway:
            assert visit(door, chat()).text == "all is well"
            gateway.end(signal.SIGKILL)
        assert visit(door, chat()).status == 502
        with Spawned(path):
            assert visit(door, chat()).text == "all is well"


def test_a_gateway_that_stands_still(tmp_path: Path, backend: ScriptedBackend) -> None:
    backend.default = backend.pages["/frozen"] = Answer(fault=Fault(Point.REQUEST, "freeze"))
    with FrontDoor(tmp_path, backend.url.removeprefix("http://")) as door:
        site = door.folder / "site.conf"
        assert "proxy_read_timeout 660s;" in site.read_text(encoding="utf-8")
        site.write_text(site.read_text(encoding="utf-8").replace("proxy_read_timeout 660s;", "proxy_read_timeout 500ms;"), encoding="utf-8")
        door.reload()
        heard = visit(door, chat())
        assert heard.status == 504
        assert told(heard, "openai") == "The Homeport gateway behind the front door took the request, but did not answer in time."
        page = visit(door, method="GET", path="/frozen", headers={"accept": "text/html"})
        assert page.status == 504
        assert b"took the request, and gave no answer" in page.body
    assert backend.generations == 1, "nothing is asked twice"


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("at", [Point.REQUEST, 3], ids=["before the first token", "in mid-stream"])
def test_a_visitor_who_hangs_up(tmp_path: Path, gateway: Running, backend: ScriptedBackend, at: Point | int, streamed: bool) -> None:
    backend.default = Answer(tokens=TOKENS, fault=Fault(at, "freeze"))

    async def go(door: FrontDoor) -> float:
        async with Visitor(door) as visitor:
            asking = asyncio.ensure_future(visitor.ask(chat(stream=streamed)))
            await asyncio.to_thread(backend.until, lambda: backend.in_flight == 1, 10.0)
            asking.cancel()
        return time.perf_counter()

    with FrontDoor(tmp_path, behind(gateway)) as door:
        left = asyncio.run(go(door))
        assert backend.until(lambda: backend.in_flight == 0, 5.0)
    [seen] = backend.asks
    assert seen.ended == "peer_left"
    assert seen.peer_left_at is not None
    assert seen.peer_left_at - left < 1.0
    assert gateway.journal.settled(1)[0]["outcome"] == "client_left"


def test_what_only_the_inside_may_see(tmp_path: Path, gateway: Running) -> None:
    with FrontDoor(tmp_path, behind(gateway)) as door:
        for path in ("/status", "/metrics"):
            assert visit(door, method="GET", path=path).status == 200, "from loopback"
        assert visit(door, method="GET", path="/health").json == {"status": "ok"}
        site = door.folder / "site.conf"
        text = site.read_text(encoding="utf-8")
        site.write_text(text.replace("allow 127.0.0.1;", ""), encoding="utf-8")
        door.reload()
        for path in ("/status", "/metrics"):
            heard = visit(door, method="GET", path=path)
            assert heard.status == 404
            assert told(heard, "openai") == "There is no such page here."
        assert visit(door, method="GET", path="/health").json == {"status": "ok"}
        site.write_text(text.replace("allow 127.0.0.1;", "").replace("deny all;", "allow 127.0.0.0/8; deny all;"), encoding="utf-8")
        door.reload()
        assert visit(door, method="GET", path="/status", headers={"accept": "application/json"}).json["backends"][0]["name"] == "home"


def test_without_tls_nothing_is_asked(tmp_path: Path, gateway: Running, backend: ScriptedBackend) -> None:
    (tmp_path / "acme" / ".well-known" / "acme-challenge").mkdir(parents=True)
    (tmp_path / "acme" / ".well-known" / "acme-challenge" / "token").write_text("proof", encoding="utf-8")
    with FrontDoor(tmp_path, behind(gateway), acme=tmp_path / "acme") as door:
        page = asked(door.plain_url, method="GET", path="/v1/models?limit=3", host="home.example")
        assert (page.status, page.headers["location"]) == (301, "https://home.example/v1/models?limit=3")
        refused = asked(door.plain_url, chat())
        assert (refused.status, refused.json["error"]["code"]) == (403, "tls_needed")
        assert asked(door.plain_url, method="GET", path="/.well-known/acme-challenge/token").body == b"proof"
    assert backend.generations == 0


def test_the_key_and_the_name_go_through(tmp_path: Path, backend: ScriptedBackend) -> None:
    backend.default = "all is well"
    with Running(config(tmp_path, {"home": backend.url})) as gateway, FrontDoor(tmp_path, behind(gateway)) as door:
        stranger = visit(door, chat(), host="home.example")
        assert stranger.status == 403, "without keys, only localhost may ask"
    secret = Keys(tmp_path / "data").add("visitor")
    shutil.rmtree(tmp_path / "front-door")
    with Running(config(tmp_path, {"home": backend.url})) as gateway, FrontDoor(tmp_path, behind(gateway)) as door:
        assert visit(door, chat(), host="home.example").status == 401
        heard = visit(door, chat(), host="home.example", headers={"authorization": f"Bearer {secret}"})
        assert (heard.status, heard.text) == (200, "all is well")
        assert secret not in door.log + (door.folder / "access.log").read_text(encoding="utf-8")


def test_the_site_offers_http_2_and_only_new_tls(tmp_path: Path, gateway: Running) -> None:
    async def offered(door: FrontDoor) -> tuple[str | None, str | None]:
        context = door.context()
        context.set_alpn_protocols(["h2", "http/1.1"])
        _, writer = await asyncio.open_connection("127.0.0.1", door.https, ssl=context)
        tls = writer.get_extra_info("ssl_object")
        writer.transport.abort()
        return tls.selected_alpn_protocol(), tls.version()

    async def old(door: FrontDoor) -> None:
        context = door.context()
        context.minimum_version, context.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion.TLSv1_1
        await asyncio.open_connection("127.0.0.1", door.https, ssl=context)

    with FrontDoor(tmp_path, behind(gateway)) as door:
        assert asyncio.run(offered(door)) == ("h2", "TLSv1.3")
        with pytest.warns(DeprecationWarning, match="TLS"), pytest.raises(OSError):
            asyncio.run(old(door))
