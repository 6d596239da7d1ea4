"""A backend goes down and comes back: what its owner is told, once, and what `/status` shows."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import homeport.backends.line
from homeport.testing.backend import ScriptedBackend
from homeport.testing.loopback import bound
from homeport.testing.script import Answer, Bytes, Refuse
from homeport.vocabulary import Finding
from tests.caller import Caller, asked, chat, request_bytes
from tests.gateway import Running, config, soon
from tests.receiver import Receiver

QUICK = {"probe_interval_s": 0.05, "down_after": 2, "up_after": 2}
FIELDS = ["id", "kind", "backend", "since", "reason", "downtime_s", "traffic"]


def down(gateway: Running, name: str) -> bool:
    return any(incident["backend"] == name and incident["until"] is None for incident in gateway.status()["incidents"])


def test_down_and_up_are_told_once_each(tmp_path: Path) -> None:
    with Receiver() as receiver, ScriptedBackend("from the vm") as vm, ExitStack() as there:
        home = there.enter_context(ScriptedBackend("from home"))
        path = config(tmp_path, {"home": home.url, "vm": vm.url}, monitor={**QUICK, "notify": [receiver.url]})
        with Running(path) as gateway:
            assert soon(lambda: len(home.requests) > 3)
            begun = time.time()
            there.close()
            assert receiver.until(lambda: len(receiver.taken) == 1)
            for _ in range(3):
                assert asked(gateway.url, chat()).text == "from the vm"
            with ScriptedBackend("from home", port=home.port):
                assert receiver.until(lambda: len(receiver.taken) == 2)
                time.sleep(0.5)  # nothing more comes
                [incident] = gateway.status()["incidents"]
    first, second = receiver.taken
    assert list(first) == list(second) == FIELDS
    assert receiver.kinds == [("down", "home"), ("up", "home")]
    assert first["id"] != second["id"]
    assert begun - 1 < first["since"] < time.time()
    assert (first["reason"], first["downtime_s"], first["traffic"]) == ("connection refused", None, "to vm (assistant)")
    assert second["downtime_s"] == pytest.approx(second["since"] - first["since"], abs=0.05)
    assert second["traffic"] == "vm answered 3"
    assert incident == {
        "id": first["id"],
        "kind": "down",
        "backend": "home",
        "since": first["since"],
        "until": second["since"],
        "reason": "connection refused",
        "downtime_s": second["downtime_s"],
        "traffic": "vm answered 3",
    }
    post = receiver.posts[0]
    assert (post["title"], post["type"]) == ("home is down", "failure")
    assert {name: post[name] for name in FIELDS} == json.loads(post["message"]) == first


def test_a_restart_while_it_is_down_neither_repeats_nor_forgets(tmp_path: Path) -> None:
    with Receiver() as receiver, bound() as holder:
        port = holder.getsockname()[1]
        path = config(tmp_path, {"home": f"http://127.0.0.1:{port}"}, monitor={**QUICK, "notify": [receiver.url]})
        with Running(path):
            assert receiver.until(lambda: len(receiver.taken) == 1)
        with Running(path) as gateway:
            assert soon(lambda: down(gateway, "home"))
            time.sleep(0.5)
            assert len(receiver.posts) == 1
        holder.close()
        with ScriptedBackend(port=port), Running(path):
            assert receiver.until(lambda: len(receiver.taken) == 2)
        with ScriptedBackend(port=port), Running(path) as gateway:
            time.sleep(0.3)
            [incident] = gateway.status()["incidents"]
    assert receiver.kinds == [("down", "home"), ("up", "home")]
    assert len(receiver.posts) == 2
    assert receiver.taken[1]["downtime_s"] == pytest.approx(receiver.taken[1]["since"] - receiver.taken[0]["since"], abs=0.05)
    assert incident["until"] == receiver.taken[1]["since"]


def test_what_loads_or_is_late_while_it_works_is_no_outage(tmp_path: Path) -> None:
    with Receiver() as receiver, ScriptedBackend() as fake:
        fake.loading = True
        with Running(config(tmp_path, {"home": fake.url}, monitor={**QUICK, "notify": [receiver.url]})) as gateway:
            assert soon(lambda: len(fake.requests) > 8)
            fake.loading = False
            assert soon(lambda: len(fake.requests) > 16)
            assert gateway.status()["incidents"] == []
        assert fake.generations == 0
    assert receiver.posts == []


@pytest.mark.parametrize(
    ("page", "reason"),
    [(Bytes(data=b"", close=False), "within 0.2 s"), (Bytes(data=b""), "closed"), (Refuse(status=502), "HTTP 502")],
    ids=["frozen", "closed", "502"],
)
def test_one_that_takes_connections_and_answers_nothing_is_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: Bytes | Refuse, reason: str) -> None:
    """A frozen process, the stale port of a tunnel, a proxy before a dead engine; while it works for us, its silence says nothing."""
    monkeypatch.setattr(homeport.backends.line.Line.page, "__kwdefaults__", {**homeport.backends.line.Line.page.__kwdefaults__, "timeout_s": 0.2})
    with Receiver() as receiver, ScriptedBackend(Answer(tokens=("x",), endless=True, delay_s=0.02)) as fake:
        with Running(config(tmp_path, {"home": fake.url}, monitor={**QUICK, "notify": [receiver.url]})) as gateway:

            async def busy() -> None:
                async with Caller(gateway.url) as caller:
                    await caller.send(request_bytes(chat(stream=True)))
                    await caller.reader.readuntil(b"data: ")
                    fake.pages["/v1/models"] = page
                    await asyncio.sleep(1.2)
                    assert receiver.posts == []

            if page == Bytes(data=b"", close=False):
                asyncio.run(busy())
            fake.pages["/v1/models"] = page
            assert receiver.until(lambda: receiver.kinds == [("down", "home")])
            assert reason in receiver.taken[0]["reason"]
            del fake.pages["/v1/models"]
            assert receiver.until(lambda: len(receiver.taken) == 2)


def test_a_receiver_that_is_away_for_a_while_gets_all_in_order(tmp_path: Path) -> None:
    with Receiver() as receiver, bound() as holder:
        receiver.status = 503
        port = holder.getsockname()[1]
        path = config(tmp_path, {"home": f"http://127.0.0.1:{port}"}, monitor={**QUICK, "notify": [receiver.url]})
        with Running(path) as gateway:
            assert receiver.until(lambda: len(receiver.posts) >= 2)
            assert len({post["id"] for post in receiver.posts}) == 1
            holder.close()
            with ScriptedBackend(port=port):
                assert soon(lambda: gateway.status()["incidents"][0]["until"] is not None)
                receiver.status = 200
                assert receiver.until(lambda: len(receiver.taken) == 2)
        assert receiver.kinds == [("down", "home"), ("up", "home")]


def test_the_loop_never_waits_for_a_receiver(tmp_path: Path) -> None:
    with Receiver() as receiver, ScriptedBackend("here") as vm, bound() as holder:
        receiver.held = threading.Event()
        url = f"http://127.0.0.1:{holder.getsockname()[1]}"
        try:
            with Running(config(tmp_path, {"vm": vm.url, "home": url}, monitor={**QUICK, "notify": [receiver.url]})) as gateway:
                assert receiver.until(lambda: len(receiver.posts) == 1)
                for _ in range(20):
                    begun = time.perf_counter()
                    assert asked(gateway.url, chat()).text == "here"
                    assert time.perf_counter() - begun < 1.0
                assert down(gateway, "home")
                receiver.held.set()
        finally:
            receiver.held.set()


def test_one_that_flaps_is_told_a_few_times(tmp_path: Path) -> None:
    """By its probes alone: 40 times there for two probes and away for two."""
    with Receiver() as receiver, ScriptedBackend() as fake:
        path = config(tmp_path, {"home": fake.url}, monitor={**QUICK, "probe_interval_s": 3600, "notify": [receiver.url]})
        with Running(path) as gateway:
            for _ in range(40):
                for good in (True, True, False, False):
                    gateway.app._monitor.saw("home", Finding(good, "gone"))
            assert receiver.until(lambda: len(receiver.taken) == 7, 30)
            for _ in range(64):
                gateway.app._monitor.saw("home", Finding(True))
            assert receiver.until(lambda: len(receiver.taken) == 8)
    assert [kind for kind, _ in receiver.kinds] == ["down", "up"] * 4
    assert receiver.taken[-1]["reason"] == "it answers again, after it had come and gone 36 times more"


class TestWatching:
    """Two Homeports, and the dead man's switch."""

    def test_two_that_watch_each_other(self, tmp_path: Path) -> None:
        folders = [tmp_path / name for name in ("one", "two")]
        for folder in folders:
            folder.mkdir()
        with Receiver() as receiver, ScriptedBackend() as fake, ExitStack() as there:
            url = there.enter_context(Running(config(folders[1], {"only": fake.url}))).url
            monitor = {**QUICK, "notify": [receiver.url], "watch": [url + "/v1/"]}
            with Running(config(folders[0], {"only": fake.url}, monitor=monitor)) as gateway:
                time.sleep(0.3)
                there.close()
                assert receiver.until(lambda: len(receiver.taken) == 1)
                name = f"Homeport at {url.removeprefix('http://')}"
                assert receiver.kinds == [("down", name)]
                assert receiver.taken[0]["traffic"] is None
                assert down(gateway, "Another Homeport")

    def test_the_switch_is_pinged_while_the_gateway_is_well(self, tmp_path: Path) -> None:
        with Receiver() as receiver, ExitStack() as there:
            fake = there.enter_context(ScriptedBackend())
            monitor: dict[str, Any] = {**QUICK, "dead_man_url": f"{receiver.http}/ping/token"}
            with Running(config(tmp_path, {"only": fake.url}, monitor=monitor)) as gateway:
                assert receiver.until(lambda: len(receiver.gets) > 3)
                assert set(receiver.gets) == {"/ping/token"}
                there.close()
                assert soon(lambda: gateway.backend("only")["state"] == "open")
                time.sleep(0.2)
                pings = len(receiver.gets)
                time.sleep(0.4)
                assert len(receiver.gets) == pings
