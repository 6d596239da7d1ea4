"""Visits to scripted engines on real sockets, and what they come to."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from homeport.doctor import web
from homeport.doctor.diagnosis import Diagnosis
from homeport.doctor.engines import judge
from homeport.doctor.visit import Loaded, Visit, visit
from homeport.settings import BackendSettings, Settings, load
from homeport.settings.address import socket_url
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Bytes, Model, Refuse
from homeport.vocabulary import Card
from tests.gateway import Running, soon
from tests.pairs import a_key, joined, node_config


def backend(url: str, kind: Any = "openai", **more: Any) -> BackendSettings:
    return BackendSettings(name="home", kind=kind, url=url, **more)


def settings(tmp_path: Path, text: str = "") -> Settings:
    path = tmp_path / "homeport.toml"
    path.write_text(f'[backends.home]\nkind = "openai"\nurl = "http://192.0.2.1"\n{text}', encoding="utf-8")
    return load(config=path, environ={"HOMEPORT_DATA": str(tmp_path / "data")})


def findings(tmp_path: Path, *visits: Visit, text: str = "") -> list[Diagnosis]:
    return list(judge(settings(tmp_path, text), visits))


@pytest.mark.parametrize(
    ("style", "kind", "engine", "said"),
    [
        ("ollama", "ollama", "ollama", "home answers: Ollama 0.32.15 with talker"),
        ("llama.cpp", "openai", "llama.cpp", "home answers: llama.cpp b0-unknown with talker"),
        ("vllm", "openai", "vllm", "home answers: vLLM 0.32.0 with talker"),
        ("anthropic", "anthropic", "anthropic", "home answers: Anthropic's API with talker"),
    ],
)
def test_each_engine_is_known_without_a_generation(tmp_path: Path, style: Any, kind: str, engine: str, said: str) -> None:
    with ScriptedBackend(style=style, models=[Model("talker", context=4096, trained=4096)]) as scripted:
        seen = visit(backend(scripted.url, kind), named=True)
        assert scripted.generations == 0
    assert (seen.engine, seen.models) == (engine, ("talker",))
    [found] = findings(tmp_path, seen)
    assert (found.check, found.ok, found.what) == ("engine.reachable", True, said)


def test_many_models_are_counted(tmp_path: Path) -> None:
    with ScriptedBackend(style="vllm", models=[f"m{number}" for number in range(7)]) as scripted:
        [found] = findings(tmp_path, visit(backend(scripted.url), named=True))
    assert found.what.endswith("with m0, m1, m2, m3 and 3 more")


def test_the_key_is_sent_and_a_missing_one_told(tmp_path: Path) -> None:
    with ScriptedBackend(style="vllm", api_key="s3cret") as scripted:
        assert visit(backend(scripted.url, api_key="s3cret"), named=True).good
        [without] = findings(tmp_path, visit(backend(scripted.url), named=True))
        [bad] = findings(tmp_path, visit(backend(scripted.url, api_key="wr0ng"), named=True))
    assert (without.check, without.ok, without.what) == ("engine.key", False, "home wants a key (HTTP 401)")
    assert bad.what == "home does not take the api_key it is given (HTTP 401)"
    assert "wr0ng" not in str(bad)


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of something that listens and never answers."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(8)
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"


def test_one_that_hangs_is_left_within_its_time(tmp_path: Path, silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web.fetch, "__defaults__", ({}, None, 0.3))
    began = time.monotonic()
    seen = visit(backend(silent), named=True)
    assert time.monotonic() - began < 3
    [found] = findings(tmp_path, seen)
    assert found.what == f"home does not answer at {silent}: no answer within 0.3 s"
    assert "it hangs" in found.why and "restart the engine" in found.fix


def test_a_page_that_drips_is_bounded_as_a_whole() -> None:
    drip = Bytes(data=b"HTTP/1.1 200 OK\r\ncontent-length: 4000\r\n\r\n" + b"x" * 4000, cut_into=1, pause_s=0.02)
    with ScriptedBackend() as scripted:
        scripted.pages["/slow"] = drip
        began = time.monotonic()
        with pytest.raises(web.Stalled, match=r"no answer within 0\.5 s"):
            web.fetch(f"{scripted.url}/slow", within_s=0.5)
        assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("kind", "url", "fix"),
    [
        ("ollama", "http://127.0.0.1:{}", "start it: ollama serve"),
        ("openai", "http://127.0.0.1:{}", "start the engine, or set url"),
        ("openai", "http://no.such.host.invalid:{}", "to a name or address that this machine can look up"),
    ],
)
def test_one_that_is_not_there(tmp_path: Path, free_port: int, kind: str, url: str, fix: str) -> None:
    [found] = findings(tmp_path, visit(backend(url.format(free_port), kind), named=True))
    assert (found.check, found.ok) == ("engine.reachable", False)
    assert fix in found.fix


def away(fault: str, kind: str = "ollama", **more: Any) -> Visit:
    return Visit(backend=backend("http://192.168.1.20:11434", kind, **more), named=True, fault=fault)


def test_a_box_elsewhere_gets_the_fix_that_fits(tmp_path: Path) -> None:
    [refused] = findings(tmp_path, away("connection refused"))
    assert "OLLAMA_HOST=0.0.0.0" in refused.fix
    [asleep] = findings(tmp_path, away("no answer within 5 s"))
    assert "off or asleep" in asleep.why and "port 11434" in asleep.fix and "wake =" in asleep.fix
    [sleeps] = findings(tmp_path, away("no answer within 5 s", wake="02:00:00:00:00:01"))
    assert sleeps.ok is None and "may be asleep" in sleeps.why
    [refuses] = findings(tmp_path, away("connection refused", wake="02:00:00:00:00:01"))
    assert refuses.ok is False  # it is awake


def test_one_that_loads_is_not_broken(tmp_path: Path) -> None:
    with ScriptedBackend() as scripted:
        scripted.loading = True
        [found] = findings(tmp_path, visit(backend(scripted.url), named=True))
    assert found.ok is None and "still loads" in found.what


def test_something_else_at_the_address(tmp_path: Path) -> None:
    with ScriptedBackend() as scripted:
        scripted.pages["/v1/models"] = Refuse(status=404)
        [found] = findings(tmp_path, visit(backend(scripted.url), named=True))
        assert found.ok is False and "lists no models (HTTP 404)" in found.what
        scripted.pages["/v1/models"] = Bytes(data=b"SSH-2.0-OpenSSH_9.9\r\n")
        [found] = findings(tmp_path, visit(backend(scripted.url), named=True))
        assert found.ok is False and "speaks no HTTP" in found.what


def page(value: Any) -> Bytes:
    body = msgspec.json.encode(value)
    return Bytes(data=b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body)


@pytest.mark.parametrize("value", [{}, [], None, "x", {"data": None}, {"data": [1, None, {"id": 4}]}, {"models": [{"name": 7}]}, {"data": {"id": "m"}}])
def test_a_list_that_is_none_is_told_and_not_stumbled_over(tmp_path: Path, value: Any) -> None:
    with ScriptedBackend(style="ollama") as scripted:
        scripted.pages["/v1/models"] = scripted.pages["/api/tags"] = page(value)
        for kind in ("openai", "ollama"):
            [found] = findings(tmp_path, visit(backend(scripted.url, kind), named=True))
            assert (found.check, found.ok) == ("engine.models", False)


@pytest.mark.parametrize("value", [{}, None, {"models": [{"name": "talker", "size": "big", "size_vram": -1}]}, {"models": [None, {"size": 1}]}])
def test_a_memory_page_that_is_none_is_not_stumbled_over(value: Any) -> None:
    with ScriptedBackend(style="ollama") as scripted:
        scripted.pages["/api/ps"] = page(value)
        assert all(loaded.size == loaded.on_gpu == 0 for loaded in visit(backend(scripted.url, "ollama"), named=True).loaded)


def test_an_ollama_with_many_models_is_not_asked_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homeport.doctor.visit.ALL_S", 0.0)
    with ScriptedBackend(style="ollama", models=[f"m{number}" for number in range(40)]) as scripted:
        seen = visit(backend(scripted.url, "ollama"), named=True)
        assert len(scripted.requests) == 1
    assert (len(seen.models), seen.cards) == (40, {})
    assert findings(tmp_path, seen)[0].what == "home answers: Ollama with m0, m1, m2, m3 and 36 more"


def test_what_ollama_holds_in_memory_is_seen() -> None:
    with ScriptedBackend(style="ollama", models=[Model("qwen3:8b", size=1000, vram=600)]) as scripted:
        assert visit(backend(scripted.url, "ollama"), named=True).loaded == (Loaded("qwen3:8b", 1000, 600),)


ROUTE = '[models.assistant]\nroutes = [{{ backend = "home", model = "{}" }}, {{ backend = "pilot" }}]\n'


def listing(*models: str, engine: str = "ollama", **card: Any) -> Visit:
    cards = {model: Card(engine=engine, **card) for model in models}
    return Visit(backend=backend("http://192.168.1.20:11434", "ollama"), named=True, connected=True, status=200, engine=engine, models=models, cards=cards)


def test_a_route_to_a_model_that_is_not_there(tmp_path: Path) -> None:
    found = findings(tmp_path, listing("qwen3:8b"), text=ROUTE.format("qwen3:4b"))[-1]
    assert (found.check, found.ok) == ("engine.routes", False)
    assert found.what == '[models.assistant] asks home for "qwen3:4b", which it does not have'
    assert found.fix == 'did you mean "qwen3:8b"? Else: ollama pull qwen3:4b'
    assert findings(tmp_path, listing("zephyr"), text=ROUTE.format("qwen3:4b"))[-1].fix == "ollama pull qwen3:4b"


@pytest.mark.parametrize(("wanted", "there"), [("qwen3", "qwen3:latest"), ("qwen3:latest", "qwen3"), ("qwen3:8b", "qwen3:8b")])
def test_ollamas_tag_may_be_left_out(tmp_path: Path, wanted: str, there: str) -> None:
    assert all(one.ok for one in findings(tmp_path, listing(there), text=ROUTE.format(wanted)))


def test_llama_cpp_answers_by_any_name(tmp_path: Path) -> None:
    assert all(one.ok for one in findings(tmp_path, listing("weights.gguf", engine="llama.cpp"), text=ROUTE.format("qwen3")))


@pytest.mark.parametrize(
    ("engine", "context", "trained", "asked"),
    [("ollama", 4096, 40960, "OLLAMA_CONTEXT_LENGTH=32768"), ("ollama", 2048, 16384, "num_ctx = 16384"), ("llama.cpp", 4096, 131072, "-c 32768")],
)
def test_a_window_much_smaller_than_the_model(tmp_path: Path, engine: str, context: int, trained: int, asked: str) -> None:
    found = findings(tmp_path, listing("m", engine=engine, context=context, trained=trained))[-1]
    assert (found.check, found.ok) == ("engine.context", None)
    assert found.what == f"m on home has room for {context:,} of the {trained:,} tokens it was made for"
    assert asked in found.fix


@pytest.mark.parametrize(("context", "trained"), [(4096, 4096), (16384, 131072), (None, 40960), (4096, None)])
def test_a_window_that_will_do(tmp_path: Path, context: int | None, trained: int | None) -> None:
    assert [one.check for one in findings(tmp_path, listing("m", context=context, trained=trained))] == ["engine.reachable"]


def test_a_window_that_the_settings_chose_is_left_alone(tmp_path: Path) -> None:
    chosen = ROUTE.format("m") + "options = { num_ctx = 4096 }\n"
    assert all(one.ok for one in findings(tmp_path, listing("m", context=4096, trained=40960), text=chosen))


def test_an_ollama_that_cuts_prompts_by_its_v1_surface(tmp_path: Path) -> None:
    with ScriptedBackend(style="ollama", models=[Model("m", context=4096, trained=4096)]) as scripted:
        seen = visit(backend(scripted.url, "openai"), named=True)
    found = findings(tmp_path, seen)[-1]
    assert (found.check, found.ok) == ("engine.context", False)
    assert found.fix == 'set kind = "ollama" under [backends.home]'


def test_without_backends_the_usual_places_are_looked_at(tmp_path: Path, free_port: int) -> None:
    free = load(environ={"HOMEPORT_DATA": str(tmp_path)})
    nothing = visit(backend(f"http://127.0.0.1:{free_port}"), named=False)
    [found] = judge(free, [nothing])
    assert found.ok is None and found.what == f"No engine was found on this machine (ports {free_port})"
    with ScriptedBackend(style="vllm") as scripted:
        there = visit(backend(scripted.url), named=False)
    [found] = judge(free, [nothing, there])
    assert found.ok is True
    found = findings(tmp_path, there)[-1]  # where the settings name others
    assert found.ok is None and "An engine that no backend names answers" in found.what


def test_a_homeport_is_known_and_what_is_away_behind_it(tmp_path: Path, free_port: int) -> None:
    with ScriptedBackend(style="vllm", models=["m"]) as scripted:
        node = node_config(tmp_path, {"gpu": scripted.url, "vm": f"http://127.0.0.1:{free_port}"}, {"qwen": {"routes": [{"backend": "gpu", "model": "m"}]}})
        with Running(node) as running:
            for kind in ("openai", "ollama", "anthropic"):
                [found] = findings(tmp_path, visit(backend(running.url, kind), named=True))
                assert (found.ok, found.what) == (True, "home answers: Homeport 0.1.0 with qwen")
        node = node_config(tmp_path, {"gpu": f"http://127.0.0.1:{free_port}"})
        with Running(node) as running:
            assert soon(lambda: running.backend("gpu")["state"] == "open")
            well, away = findings(tmp_path, visit(backend(running.url), named=True))
            assert (well.ok, away.ok) == (True, None)
            assert away.what == "home: it is up, but nothing behind it answers: gpu is away (connection refused)"
            a_key(node.parent)
            assert soon(lambda: visit(backend(running.url), named=True).status == 401)
            [refused] = findings(tmp_path, visit(backend(running.url, api_key="wr0ng"), named=True))
            assert refused.what == "home does not take the api_key it is given (HTTP 401)"
            assert "homeport keys add NAME" in str(refused)


def test_an_engine_behind_a_unix_socket(tmp_path: Path) -> None:
    with ScriptedBackend(style="vllm", models=["m"]) as scripted, joined(tmp_path / "engine.sock", scripted.port) as path:
        seen = visit(backend(socket_url(path)), named=True)
        assert (seen.good, seen.models) == (True, ("m",))
    assert visit(backend(socket_url(str(tmp_path / "gone.sock"))), named=True).fault == "no such file or directory"
