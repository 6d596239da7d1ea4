"""`homeport config reload` and SIGHUP: a good file is taken over with all that is under way, a bad one changes nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from homeport.errors import BadSettings
from homeport.settings import load
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer
from tests.caller import Heard, asked, chat
from tests.gateway import Running, Spawned, config, soon

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither SIGHUP nor these sockets")

WORDS = tuple(f"word{number} " for number in range(12))
SLOW = Answer(tokens=WORDS, delay_s=0.1)


@pytest.fixture
def home() -> Iterator[ScriptedBackend]:
    with ScriptedBackend(SLOW) as backend:
        yield backend


@pytest.fixture
def vm() -> Iterator[ScriptedBackend]:
    with ScriptedBackend("from the vm") as backend:
        yield backend


def status(url: str) -> dict[str, Any]:
    found: dict[str, Any] = asked(url, method="GET", path="/status", headers={"accept": "application/json"}).json
    return found


def names(url: str) -> list[str]:
    return [row["name"] for row in status(url)["backends"]]


def in_flight(url: str) -> int:
    return sum(row["in_flight"] for row in status(url)["backends"])


def begin(url: str, **fields: Any) -> Future[Heard]:
    """An ask in a thread of its own."""
    heard: Future[Heard] = Future()
    threading.Thread(target=lambda: heard.set_result(asked(url, chat("hello", stream=True, **fields))), daemon=True).start()
    return heard


def reload(gateway: Running) -> Any:
    """Take over what the file says now."""
    settings = load(config=gateway.app.settings.path)
    return asyncio.run_coroutine_threadsafe(gateway.app.reload(settings), gateway._loop).result(20)


@pytest.mark.slow
def test_what_changed_is_taken_over_and_what_did_not_is_kept(tmp_path: Path, home: ScriptedBackend, vm: ScriptedBackend) -> None:
    home.default = Answer(tokens=WORDS, delay_s=0.8)  # so slow that the command has its time
    with Spawned(config(tmp_path, {"home": home.url})) as gateway:
        under_way = begin(gateway.url)
        assert soon(lambda: home.in_flight == 1)
        config(tmp_path, {"home": home.url, "vm": vm.url}, models={"assistant": {"routes": [{"backend": "vm", "model": "m"}]}})
        done = gateway.run("config", "reload", "--json")
        told = json.loads(done.stdout)
        assert (done.returncode, told["ok"], told["pid"]) == (0, True, gateway.pid)
        assert told["backends"] == {"added": ["vm"], "changed": [], "removed": []}
        assert names(gateway.url) == ["home", "vm"]
        assert in_flight(gateway.url) == 1, "the lease of the answer under way is still counted"
        assert asked(gateway.url, chat()).text == "from the vm"
        heard = under_way.result(20)
        assert heard.finished and heard.text == "".join(WORDS)
        assert soon(lambda: in_flight(gateway.url) == 0)


@pytest.mark.slow
def test_a_bad_file_changes_nothing_and_is_told_with_its_line(tmp_path: Path, vm: ScriptedBackend) -> None:
    path = config(tmp_path, {"vm": vm.url})
    with Spawned(path) as gateway:
        good = path.read_text(encoding="utf-8")
        line = good.splitlines().index("[backends.vm]") + 2
        path.write_text(good.replace('kind = "openai"', 'kind = "opnai"'), encoding="utf-8")
        for flags in ((), ("--json",)):
            done = gateway.run("config", "reload", *flags)
            told = done.stdout if flags else done.stderr
            assert done.returncode == 2
            assert f"homeport.toml:{line}" in told and "opnai" in told and "openai" in told, told
        assert json.loads(done.stdout)["ok"] is False
        assert asked(gateway.url, chat()).text == "from the vm"
        os.kill(gateway.pid, signal.SIGHUP)
        log = tmp_path / "gateway.log"
        assert soon(lambda: log.read_text(encoding="utf-8").count("was not reloaded") == 3)
        assert asked(gateway.url, chat()).text == "from the vm"
        path.write_text("[server\n", encoding="utf-8")
        assert gateway.run("config", "reload").returncode == 2
        assert asked(gateway.url, chat()).text == "from the vm"


@pytest.mark.slow
def test_what_only_a_restart_can_change_is_refused_as_such(tmp_path: Path, vm: ScriptedBackend) -> None:
    with Spawned(config(tmp_path, {"vm": vm.url})) as gateway:
        config(tmp_path, {"vm": vm.url}, listen="127.0.0.1:1")
        done = gateway.run("config", "reload")
        assert done.returncode == 2
        assert "server.listen cannot change while the gateway runs" in done.stderr and "Restart" in done.stderr
        assert asked(gateway.url, chat()).text == "from the vm"


@pytest.mark.slow
def test_sighup_does_the_same(tmp_path: Path, home: ScriptedBackend, vm: ScriptedBackend) -> None:
    with Spawned(config(tmp_path, {"home": home.url})) as gateway:
        config(tmp_path, {"vm": vm.url})
        os.kill(gateway.pid, signal.SIGHUP)
        assert soon(lambda: names(gateway.url) == ["vm"])
        assert asked(gateway.url, chat()).text == "from the vm"


def test_no_gateway_runs_there(tmp_path: Path) -> None:
    done = Spawned(config(tmp_path, {"vm": "http://127.0.0.1:9"})).run("config", "reload")
    assert done.returncode == 1
    assert "homeport up" in done.stderr


def test_a_backend_that_is_removed_ends_its_answers_first(tmp_path: Path, home: ScriptedBackend, vm: ScriptedBackend) -> None:
    with Running(config(tmp_path, {"home": home.url})) as gateway:
        under_way = begin(gateway.url)
        assert soon(lambda: home.in_flight == 1)
        config(tmp_path, {"vm": vm.url}, models={"other": {"routes": [{"backend": "vm", "model": "m"}]}})
        change = reload(gateway)
        assert (change.added, change.removed) == (["vm"], ["home"])
        assert names(gateway.url) == ["vm"]
        assert asked(gateway.url, chat()).status == 404, "the name is served no more"
        assert asked(gateway.url, chat(model="other")).text == "from the vm"
        heard = under_way.result(20)
        assert heard.finished and heard.text == "".join(WORDS)
        assert soon(lambda: home.sockets == 0), "what it had open is closed"


def test_a_changed_backend_and_the_one_before_never_exceed_the_limit_together(tmp_path: Path) -> None:
    with ScriptedBackend(SLOW) as home:
        with Running(config(tmp_path, {"home": {"url": home.url, "max_in_flight": 2}})) as gateway:
            first = [begin(gateway.url), begin(gateway.url)]
            assert soon(lambda: home.in_flight == 2)
            config(tmp_path, {"home": {"url": home.url, "max_in_flight": 2, "idle_timeout_s": 6.0}})
            assert reload(gateway).changed == ["home"]
            assert in_flight(gateway.url) == 2
            second = [begin(gateway.url) for _ in range(3)]
            assert all(heard.result(20).finished for heard in first + second)
            assert home.in_flight_peak == 2
            assert home.generations == 5
            assert soon(lambda: in_flight(gateway.url) == 0)


def test_a_journey_that_chose_a_removed_backend_finds_it_gone(tmp_path: Path, home: ScriptedBackend, vm: ScriptedBackend) -> None:
    home.default = Answer(tokens=WORDS, wait_s=1.0, delay_s=0.02)
    routes = [{"backend": "first", "model": "m"}, {"backend": "home", "model": "m"}]
    with ScriptedBackend(Answer(wait_s=30.0)) as first:
        slow = {"url": first.url, "first_token_timeout_s": 1.5}
        with Running(config(tmp_path, {"first": slow, "home": home.url}, models={"assistant": {"routes": routes}})) as gateway:
            under_way = begin(gateway.url)
            assert soon(lambda: first.in_flight == 1)
            config(tmp_path, {"vm": vm.url})
            reload(gateway)
            heard = under_way.result(20)
            assert heard.status == 503
            assert "taken out of the configuration" in heard.error["message"]
            assert home.generations == 0


def test_a_secret_is_read_again(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("old", encoding="utf-8")
    with ScriptedBackend("hello", api_key="new") as home:
        with Running(config(tmp_path, {"home": {"url": home.url, "api_key": {"file": str(key)}}})) as gateway:
            assert asked(gateway.url, chat()).status != 200
            key.write_text("new", encoding="utf-8")
            assert reload(gateway).changed == ["home"]
            assert asked(gateway.url, chat()).text == "hello"


def test_a_backend_that_cannot_be_made_changes_nothing(tmp_path: Path, vm: ScriptedBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    with Running(config(tmp_path, {"vm": vm.url})) as gateway:
        before = gateway.app.upstreams.backends["vm"]

        def refuse(_: object) -> None:
            raise BadSettings("no such file")

        config(tmp_path, {"vm": vm.url, "late": vm.url})
        monkeypatch.setattr(gateway.app.upstreams, "_made", refuse)
        with pytest.raises(BadSettings):
            reload(gateway)
        assert list(gateway.app.upstreams.backends.values()) == [before]
        assert "late" not in gateway.app.settings.backends


@pytest.mark.slow
def test_an_engine_that_did_not_change_keeps_its_child(tmp_path: Path, vm: ScriptedBackend) -> None:
    routes = {"assistant": {"routes": [{"backend": "pilot"}]}}
    with Running(config(tmp_path, {"vm": vm.url}, models=routes)) as gateway:
        engine = gateway.app.upstreams._engines["pilot"]
        assert soon(lambda: engine.state == "healthy", 60)
        child = engine.pid
        config(tmp_path, {"vm": {"url": vm.url, "max_in_flight": 7}}, models={**routes, "more": {"routes": [{"backend": "pilot"}]}})
        assert reload(gateway).changed == ["vm"]
        assert (engine.pid, engine.restarts) == (child, 0)
        assert asked(gateway.url, chat(model="more", max_tokens=4)).status == 200


def test_limits_and_monitor_are_taken_over(tmp_path: Path, vm: ScriptedBackend) -> None:
    path = config(tmp_path, {"vm": vm.url})
    with Running(path) as gateway:
        config(tmp_path, {"vm": vm.url}, monitor={"down_after": 5, "watch": ["http://127.0.0.1:9"]}, max_body_mb=1)
        path.write_text(path.read_text(encoding="utf-8") + "[limits]\nrequests_per_minute = 1\n", encoding="utf-8")
        monitor = gateway.app._monitor
        reload(gateway)
        assert gateway.app.upstreams.backends["vm"].probing.down_after == 5
        assert gateway.app._monitor is not monitor and not monitor._thread.is_alive() and gateway.app._monitor._thread.is_alive()
        assert gateway.app.max_body == 1024 * 1024
        assert asked(gateway.url, chat()).status == 200
        assert asked(gateway.url, chat()).status == 429
