"""The connection is tried against a real gateway: free unless --try is asked for, and with a fix where it is not well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.cli.clients import probe
from homeport.cli.clients.client import Client
from homeport.storage.keys import Keys
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Refuse
from homeport.vocabulary import Surface
from tests.gateway import Running, config, soon

from .conftest import Homeport


@pytest.fixture
def backend() -> Iterator[ScriptedBackend]:
    with ScriptedBackend("Hello there, good friend of mine.") as backend:
        yield backend


@pytest.fixture
def running(backend: ScriptedBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    with Running(config(tmp_path, {"only": backend.url})) as gateway:
        monkeypatch.setenv("HOMEPORT_URL", gateway.url)
        yield gateway


def test_a_gateway_that_is_well(homeport: Homeport, running: Running, backend: ScriptedBackend) -> None:
    told = homeport("connect", "aider", "--write", "--json").json
    assert told["ok"] is True
    assert told["model"] == "assistant"
    assert [check["said"] for check in told["checks"]] == [
        f"a gateway answers at {running.url}, without a key",
        "assistant is answered by only (m)",
        "/v1/chat/completions is served",
    ]
    assert backend.generations == 0
    assert running.journal.lines() == []


def test_a_question_is_asked_only_where_it_is_wanted(homeport: Homeport, running: Running, backend: ScriptedBackend) -> None:
    ended = homeport("connect", "aider", "--try")
    assert ended.code == 0
    assert "it said “Hello there, good friend of mine.”" in ended.out
    assert backend.generations == 1
    assert running.journal.settled(1)[0]["app"] == "homeport-cli"
    backend.default = Refuse(status=500)
    ended = homeport("connect", "aider", "--try")
    assert ended.code == 1
    assert "  bad  a question was refused: " in ended.out


def test_a_key_that_is_missing_or_wrong(homeport: Homeport, running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Keys(running.app.settings.server.data)
    key = keys.add("aider")
    assert soon(lambda: homeport("connect", "aider").code == 1)
    ended = homeport("connect", "aider")
    assert f"  bad  the gateway at {running.url} wants a key\n       make one with: homeport keys add aider, then: export HOMEPORT_KEY=" in ended.out
    assert '  export AIDER_OPENAI_API_KEY="$HOMEPORT_KEY"\n' in ended.out
    monkeypatch.setenv("HOMEPORT_KEY", "hp_wrong")
    assert f"the gateway at {running.url} does not know the key in HOMEPORT_KEY" in homeport("connect", "aider").out
    assert "does not know the key of --key" in homeport("connect", "aider", "--key", "hp_other").out
    monkeypatch.setenv("HOMEPORT_KEY", key)
    told = homeport("connect", "aider", "--json").json
    assert (told["ok"], told["key_env"]) == (True, "HOMEPORT_KEY")
    assert told["checks"][0]["said"] == f"a gateway answers at {running.url} and takes the key in HOMEPORT_KEY"


def test_an_endpoint_that_is_not_served(running: Running) -> None:
    client = Client("x", "X", "", Surface.CHAT, lambda _: True)
    asking = probe.Probe(client, None, "HOMEPORT_KEY")
    assert asking.dialect(running.url).ok
    elsewhere = asking.dialect(f"{running.url}/nowhere")
    assert (elsewhere.ok, "is not served" in elsewhere.said, "X asks nothing else" in (elsewhere.fix or "")) == (False, True, True)


def test_a_model_whose_backends_are_all_down(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"id": "m", "homeport": {"routes": [{"backend": "home", "model": "m"}]}}
    seen = probe.Seen("http://x", "ok", probe.Finding("gateway", ok=True, said=""), {"m": entry})
    asking = probe.Probe(Client("x", "X", "", Surface.CHAT, lambda _: True), None, "K")
    monkeypatch.setattr(asking, "_backends", lambda url: [{"name": "home", "state": "down", "reason": "it is off"}, {"name": "b", "state": "healthy"}])
    found = asking.model(seen, "m")
    assert (found.ok, found.said, found.fix) == (False, "nothing can answer for m now: home is down", "it is off. See: homeport status")


@pytest.mark.parametrize(
    "body",
    [
        {"choices": [{"message": {"content": "Hi"}}]},
        {"output": [{"type": "reasoning", "summary": []}, {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}]},
        {"content": [{"type": "thinking", "thinking": "Hm"}, {"type": "text", "text": "Hi"}]},
    ],
    ids=["chat", "responses", "messages"],
)
def test_the_text_of_an_answer_in_each_dialect(body: dict[str, object]) -> None:
    assert probe._text(body) == "Hi"
