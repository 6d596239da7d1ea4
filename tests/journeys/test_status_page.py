"""`/status` of a running gateway: what was asked and probed is on it, after a restart too, and it is public without betraying anything."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from homeport.storage.keys import Keys
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer
from tests.caller import Heard, asked, chat
from tests.gateway import Running, config, soon

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
QUICK = {"probe_interval_s": 0.05}


def page(gateway: Running, **headers: str) -> Heard:
    return asked(gateway.url, method="GET", path="/status", headers=headers or BROWSER)


def counted(gateway: Running, name: str) -> int:
    speeds = {entry["model"]: entry for entry in gateway.status()["distributions"]}
    return speeds[name]["first_token_ms"]["count"] if name in speeds else 0


def probes(gateway: Running, backend: str, kind: str) -> int:
    return sum(day[kind] for day in gateway.status()["heartbeats"][backend])


def grows(figure: Callable[[], int]) -> bool:
    before = figure()
    return soon(lambda: figure() > before)


def test_a_page_for_browsers_and_json_for_programs(tmp_path: Path) -> None:
    with ScriptedBackend() as backend, Running(config(tmp_path, {"home": backend.url})) as gateway:
        heard = page(gateway)
        assert (heard.status, heard.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert heard.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
        assert heard.body.startswith(b"<!doctype html><html")
        for accept in ("application/json", "*/*"):
            told = page(gateway, accept=accept)
            assert (told.headers["content-type"], told.json["backends"][0]["name"]) == ("application/json", "home")
            assert {"verdict", "backends", "incidents", "distributions", "heartbeats"} <= set(told.json)


@pytest.mark.parametrize("stream", [True, False])
def test_what_was_answered_and_probed_is_there_after_a_restart(tmp_path: Path, stream: bool) -> None:
    with ScriptedBackend(Answer(tokens=("one", "two", "three"), delay_s=0.02)) as backend:
        path = config(tmp_path, {"home": backend.url}, monitor=QUICK)
        with Running(path) as gateway:
            for number in range(1, 4):
                assert asked(gateway.url, chat(stream=stream)).text == "onetwothree"
                assert counted(gateway, "assistant") == number
            assert grows(lambda: probes(gateway, "home", "good"))
            [speeds] = gateway.status()["distributions"]
            journal = gateway.journal.receipts
        first = sorted(receipt["first_token_ms"] for receipt in journal)
        found = speeds["first_token_ms"]
        assert found["p50"] == pytest.approx(first[1], rel=0.06)
        assert (found["min"], found["max"]) == pytest.approx((first[0], first[2]), rel=0.01)
        assert speeds["tok_per_s"]["count"] == 3
        with Running(path) as gateway:
            assert soon(lambda: counted(gateway, "assistant") == 3)
            asked(gateway.url, chat(stream=stream))
            assert counted(gateway, "assistant") == 4
    assert (tmp_path / "data" / "history.sqlite").exists()


def test_failed_probes_are_counted_and_told_in_words(tmp_path: Path) -> None:
    with ScriptedBackend() as vm, Running(config(tmp_path, {"home": "http://127.0.0.1:9", "vm": vm.url}, monitor=QUICK)) as gateway:
        assert grows(lambda: probes(gateway, "home", "bad"))
        assert soon(lambda: gateway.status()["incidents"] != [])
        assert soon(lambda: "home does not answer" in page(gateway).body.decode())
        said = page(gateway).body.decode()
        assert "does not answer (connection refused); the other answers." in said
        assert "Not answering" in said
        assert "Its requests go to vm (assistant)." in said
        assert probes(gateway, "home", "good") == 0


def test_anybody_may_look_and_sees_no_address_key_or_prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = "CANARY-" + os.urandom(6).hex()
    with ScriptedBackend(Answer(tokens=(canary,))) as backend:
        table: dict[str, Any] = {"home": {"url": backend.url, "api_key": {"env": "CANARY_TOKEN"}}, "gone": "http://127.0.0.1:9/a-path"}
        monkeypatch.setenv("CANARY_TOKEN", canary)
        path = config(tmp_path, table, monitor=QUICK)
        (tmp_path / "data").mkdir(exist_ok=True)
        keys = Keys(tmp_path / "data")
        secret = keys.add("laptop")
        with Running(path) as gateway:
            assert asked(gateway.url, chat(canary, stream=True), headers={"authorization": f"Bearer {secret}"}).status == 200
            assert soon(lambda: counted(gateway, "assistant") == 1)
            assert soon(lambda: gateway.status()["incidents"] != [])
            for heard in (page(gateway), page(gateway, accept="application/json")):
                assert heard.status == 200
                said = heard.body.decode()
                for betrayed in (canary, secret, "laptop", "127.0.0.1", "a-path", f":{backend.port}", str(tmp_path)):
                    assert betrayed not in said, betrayed
