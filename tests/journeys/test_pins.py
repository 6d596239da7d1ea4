"""A pinned digest: a backend whose model is another one is not asked, the owner is told once, and what cannot be checked is refused with its reason."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from homeport import pilot
from homeport.errors import BadSettings
from homeport.monitor.outbox import Outbox
from homeport.settings import load
from homeport.testing import ollama
from homeport.testing.backend import ScriptedBackend
from tests.caller import asked, chat
from tests.gateway import Running, config, soon

PIN, OTHER = "ab" * 32, "cd" * 32
MONITOR = {"probe_interval_s": 0.2, "notify": ["json://127.0.0.1:9/x"]}


def routes(**more: Any) -> dict[str, Any]:
    return {"assistant": {"routes": [{"backend": "home", "model": "m", **more}]}}


def told(data: Path) -> list[str]:
    outbox = Outbox(data)
    try:
        rows = outbox._connection.execute("SELECT reason FROM events WHERE kind = 'drift'").fetchall()
    finally:
        outbox.close()
    return [reason for (reason,) in rows]


@pytest.mark.parametrize("pin", [f"sha256:{PIN}", PIN[:12].upper()])
def test_what_is_pinned_is_asked_until_it_is_another(pin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ollama, "_digest", lambda model: PIN)
    with ScriptedBackend("hello", style="ollama", models=["m"]) as backend:
        path = config(tmp_path, {"home": {"kind": "ollama", "url": backend.url}}, models=routes(digest=pin), monitor=MONITOR)
        with Running(path) as gateway:
            assert soon(lambda: asked(gateway.url, chat()).status == 200)
            monkeypatch.setattr(ollama, "_digest", lambda model: OTHER)
            assert soon(lambda: asked(gateway.url, chat()).status == 503, 10)
            before = backend.generations
            heard = asked(gateway.url, chat())
            assert (heard.status, backend.generations, heard.headers["x-should-retry"]) == (503, before, "false")
            assert f"m at home: its digest is {OTHER[:12]}, and {PIN[:12]} is pinned" in heard.error["message"]
            assert soon(lambda: len(told(gateway.journal.data)) == 1)
            monkeypatch.setattr(ollama, "_digest", lambda model: PIN)
            assert soon(lambda: asked(gateway.url, chat()).status == 200, 10)
        monkeypatch.setattr(ollama, "_digest", lambda model: OTHER)
        with Running(path) as gateway:
            assert soon(lambda: OTHER[:12] in asked(gateway.url, chat()).body.decode())
        assert told(tmp_path / "data") == [f"m at home is another model: its digest is {OTHER[:12]}, and {PIN[:12]} is pinned"]


def test_the_next_route_answers_in_its_place(tmp_path: Path) -> None:
    with ScriptedBackend("home", style="ollama", models=["m"]) as home, ScriptedBackend("spare") as spare:
        models = {"assistant": {"routes": [{"backend": "home", "model": "m", "digest": PIN}, {"backend": "spare", "model": "m"}]}}
        with Running(config(tmp_path, {"home": {"kind": "ollama", "url": home.url}, "spare": spare.url}, models=models, monitor=MONITOR)) as gateway:
            assert asked(gateway.url, chat()).text == "spare"  # before it was ever looked at, too
            assert soon(lambda: len(told(gateway.journal.data)) == 1)
            assert asked(gateway.url, chat()).text == "spare"
        assert home.generations == 0


@pytest.mark.parametrize("style", ["vllm", "llama.cpp"])
def test_a_pin_that_cannot_be_checked_is_refused_and_said_so(style: Any, tmp_path: Path) -> None:
    with ScriptedBackend("hello", style=style, models=["m"]) as backend:
        path = config(tmp_path, {"home": backend.url}, models=routes(digest=PIN), monitor=MONITOR)
        assert "only an Ollama tells its models' digests" in load(config=path).notices[0]
        with Running(path) as gateway:
            assert "not known yet" in (first := asked(gateway.url, chat())).error["message"] or "does not tell" in first.error["message"]
            assert soon(lambda: f"{style} does not tell one" in asked(gateway.url, chat()).error["message"])
        assert (backend.generations, told(tmp_path / "data")) == (0, [])


@pytest.mark.slow
def test_the_file_of_our_own_engine_is_checked(tmp_path: Path) -> None:
    digest = hashlib.sha256(pilot.PATH.read_bytes()).hexdigest()
    path = config(
        tmp_path,
        {"box": {"kind": "engine", "model": str(pilot.PATH), "slots": 1, "context": 512, "max_in_flight": 1}},
        models={
            "good": {"routes": [{"backend": "box", "digest": digest}]},
            "bad": {"routes": [{"backend": "box", "model": "other", "digest": OTHER}]},
        },
        monitor=MONITOR,
    )
    with Running(path) as gateway:
        assert soon(lambda: asked(gateway.url, chat(model="good", max_tokens=2)).status == 200, 60)
        assert digest[:12] in asked(gateway.url, chat(model="bad")).error["message"]


@pytest.mark.slow
def test_a_pin_that_a_reload_brings_is_looked_at_soon(tmp_path: Path) -> None:
    digest = hashlib.sha256(pilot.PATH.read_bytes()).hexdigest()
    path = config(tmp_path, {"box": {"kind": "pilot", "slots": 1, "context": 512, "max_in_flight": 1}}, models={"assistant": {"routes": [{"backend": "box"}]}})
    with Running(path) as gateway:
        assert soon(lambda: asked(gateway.url, chat(max_tokens=2)).status == 200, 60)
        text = path.read_text(encoding="utf-8")
        for pin, status in ((OTHER, 503), (digest[:12], 200)):
            path.write_text(text.replace('backend = "box" }', f'backend = "box", digest = "{pin}" }}'), encoding="utf-8")
            asyncio.run_coroutine_threadsafe(gateway.app.reload(load(config=path)), gateway._loop).result(20)
            assert soon(lambda: asked(gateway.url, chat(max_tokens=2)).status == status, 10)  # noqa: B023
            heard = asked(gateway.url, chat(max_tokens=2))
            assert heard.status == 200 or soon(lambda: digest[:12] in asked(gateway.url, chat()).error["message"])


@pytest.mark.parametrize(
    ("digest", "kind", "said"),
    [
        ("xyz", "ollama", "takes a SHA-256"),
        (PIN[:11], "ollama", "takes a SHA-256"),
        (PIN + "a", "ollama", "takes a SHA-256"),
        ("md5:" + PIN, "ollama", "takes a SHA-256"),
        (PIN, "anthropic", "cannot be checked"),
    ],
)
def test_a_digest_that_is_none_is_refused_with_the_file(digest: str, kind: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=rf"homeport\.toml:\d+: .*{said}"):
        load(config=config(tmp_path, {"home": {"kind": kind, "url": "http://127.0.0.1:9"}}, models=routes(digest=digest)))
