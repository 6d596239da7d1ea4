"""Two gateways of one fleet: limits, loads and what one finds out hold for both, and the pages say how it stands."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from homeport.cli.status import lines
from homeport.doctor.case import Case
from homeport.doctor.gateway import judge as judged
from homeport.doctor.gateway import look
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer, Refuse
from tests.caller import Heard, ask, asked, chat
from tests.gateway import Running, config, soon
from tests.redis import Redis, needs_redis, with_fleet

pytestmark = [needs_redis, pytest.mark.slow]


@contextmanager
def pair(folder: Path, store: Redis, backends: dict[str, Any], more: str = "", **given: Any) -> Iterator[list[Running]]:
    paths = []
    for name in ("vps", "home"):
        (folder / name).mkdir()
        path = with_fleet(config(folder / name, backends, **given), store.url)
        path.write_text(f"{path.read_text(encoding='utf-8')}{more}\n", encoding="utf-8")
        paths.append(path)
    with Running(paths[0]) as first, Running(paths[1]) as second:
        assert soon(lambda: all(one.status()["fleet"]["gateways"] == 2 for one in (first, second)), 20)
        yield [first, second]


def statuses(gateways: list[Running], number: int) -> Counter[int]:
    return Counter(asked(gateways[one % 2].url, chat(str(one))).status for one in range(number))


@pytest.mark.parametrize("limit", ["requests_per_minute = 6", "max_in_flight = 6"])
def test_a_limit_is_that_of_all_gateways(tmp_path: Path, limit: str) -> None:
    with ScriptedBackend(Answer(text="hello", wait_s=3.0 if "flight" in limit else 0.0)) as box, Redis(tmp_path) as store:
        with pair(tmp_path, store, {"box": box.url}, f"[limits]\n{limit}") as gateways:

            async def play() -> list[Heard]:
                tasks = []
                for number in range(12):
                    tasks.append(asyncio.ensure_future(ask(gateways[number % 2].url, chat(str(number)))))
                    await asyncio.sleep(0.05)
                return await asyncio.gather(*tasks)

            met = Counter(one.status for one in asyncio.run(asyncio.wait_for(play(), 60)))
            assert met == {200: 6, 429: 6}
            assert all(soon(lambda one=one: one.backend("box")["in_flight"] == 0) for one in gateways)  # type: ignore[misc]


def test_tokens_are_counted_over_all_gateways_and_a_gateway_that_comes_later_knows_them(tmp_path: Path) -> None:
    with ScriptedBackend(Answer(tokens=tuple("abcdefgh"))) as box, Redis(tmp_path) as store:
        with pair(tmp_path, store, {"box": box.url}, "[limits]\ntokens_per_minute = 8") as gateways:
            met = statuses(gateways, 6)
            assert met[200] <= 2 and met[429] >= 4
            (tmp_path / "third").mkdir()
            path = with_fleet(config(tmp_path / "third", {"box": box.url}), store.url)
            path.write_text(f"{path.read_text(encoding='utf-8')}[limits]\ntokens_per_minute = 8\n", encoding="utf-8")
            with Running(path) as late:
                assert asked(late.url, chat()).status == 429


def test_a_load_is_that_of_all_gateways_so_an_ask_goes_where_there_is_room(tmp_path: Path) -> None:
    models = {"assistant": {"routes": [{"backend": "big", "model": "m", "while_in_flight_below": 2}, {"backend": "small", "model": "m"}]}}
    with ScriptedBackend(Answer(text="big", wait_s=2.0)) as big, ScriptedBackend(Answer(text="small")) as small, Redis(tmp_path) as store:
        with pair(tmp_path, store, {"big": big.url, "small": small.url}, models=models) as gateways:

            async def play() -> list[Heard]:
                held = [asyncio.ensure_future(ask(gateways[0].url, chat(str(number)))) for number in range(2)]
                while big.in_flight < 2:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.2)
                other = await ask(gateways[1].url, chat("other"))
                return [other, *await asyncio.gather(*held)]

            other, *held = asyncio.run(asyncio.wait_for(play(), 60))
            assert (other.text, [one.text for one in held]) == ("small", ["big", "big"])


def test_an_ask_whose_place_another_gateway_took_goes_on_to_the_next(tmp_path: Path) -> None:
    """Both see one place free at the same moment; the store gives it to one, and the other does not wait in vain."""
    backends: dict[str, Any] = {"one": {"max_in_flight": 1}, "two": {"max_in_flight": 64}}
    with ScriptedBackend(Answer(text="one", wait_s=1.0)) as one, ScriptedBackend(Answer(text="two")) as two, Redis(tmp_path) as store:
        backends["one"]["url"], backends["two"]["url"] = one.url, two.url
        with pair(tmp_path, store, backends) as gateways:

            async def play() -> list[Heard]:
                return await asyncio.gather(*(ask(gateways[number % 2].url, chat(str(number))) for number in range(16)))

            heard = asyncio.run(asyncio.wait_for(play(), 60))
            assert Counter(each.text for each in heard) == {"one": 1, "two": 15}
            assert one.in_flight_peak == 1


def test_what_one_finds_out_is_a_hint_to_the_other_and_no_more(tmp_path: Path) -> None:
    with ScriptedBackend(Answer(text="hello")) as box, Redis(tmp_path) as store:
        with pair(tmp_path, store, {"box": box.url}) as gateways:
            assert statuses(gateways, 4) == {200: 4}
            box.default = Refuse(status=500)
            for _ in range(5):
                asked(gateways[0].url, chat())
            assert gateways[0].backend("box")["state"] == "open"
            health = gateways[1].app.upstreams.backends["box"].health
            assert soon(lambda: not health.pristine and health.circuit("m").failures == 4), "the next failure is enough"
            assert gateways[1].backend("box")["state"] == "healthy", "nothing is closed out on hearsay"
            before = box.generations
            asked(gateways[1].url, chat())
            assert box.generations == before + 1
            assert gateways[1].backend("box")["state"] == "open"


def test_something_is_done_by_one_of_them(tmp_path: Path) -> None:
    with ScriptedBackend(Answer(text="hello")) as box, Redis(tmp_path) as store:
        with pair(tmp_path, store, {"box": box.url}) as gateways:

            def claims(name: str, for_s: float) -> list[bool]:
                return [asyncio.run_coroutine_threadsafe(one.app.fleet.once(name, for_s), one._loop).result(10) for one in gateways]

            assert claims("load", 30.0) == [True, False]
            assert claims("other", 0.2) == [True, False]
            assert soon(lambda: claims("other", 0.2)[0], 5), "after its time another may"


def test_the_pages_say_how_it_stands(tmp_path: Path) -> None:
    with ScriptedBackend(Answer(text="hello")) as box, Redis(tmp_path) as store:
        with pair(tmp_path, store, {"box": box.url}) as gateways:
            assert asked(gateways[0].url, chat()).status == 200
            found = gateways[0].status()
            assert found["verdict"] == "All is well."
            fleet = found["fleet"]
            assert (fleet["state"], fleet["reason"], fleet["workers"], fleet["store"]) == ("together", "", 2, f"redis://127.0.0.1:{store.port}")
            assert fleet["round_trip_ms"] > 0
            assert any("fleet: together with 1 other gateway, 2 workers in all" in line for line in lines(found))
            page = asked(gateways[0].url, method="GET", path="/metrics", host="127.0.0.1").body.decode()
            assert "homeport_fleet_together 1.0" in page and "homeport_fleet_gateways 2.0" in page and "homeport_fleet_round_trip_seconds" in page
            case = Case(version=found["version"], settings=gateways[0].app.settings, gateway=gateways[0].url)

            def diagnosed() -> list[tuple[bool | None, str, str]]:
                return [(one.ok, one.what, one.fix) for one in judged(case, look(case), set()) if one.check == "fleet.store"]

            assert diagnosed()[0][0] is True
            store.end()
            assert soon(lambda: gateways[0].status()["fleet"]["state"] == "away", 10)
            assert diagnosed()[0][0] is False and "[fleet]" in diagnosed()[0][2]
            assert any("fleet: away from redis://" in line for line in lines(gateways[0].status()))
            reply = asked(gateways[0].url, method="GET", path="/status", host="127.0.0.1", headers={"accept": "text/html"}).body.decode()
            assert "keeps to its share" in reply
