"""What models can do is learnt without a generation, is shown, and decides where a request goes and in what form."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Model
from homeport.testing.shapes import StyleName
from tests.caller import Heard, asked
from tests.gateway import Running, config, soon

TURN = [{"role": "user", "content": "Hi"}]
PIXEL = "iVBORw0KGgo="
PICTURE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}]}]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
CODER = Model("coder:latest", capabilities=("completion", "tools"))
SEER = Model("seer:latest", context=512, capabilities=("completion", "vision", "thinking"), template="{% for m in messages %}{% endfor %}")
EMBEDDER = Model("embedder:latest", capabilities=("embedding",))


def cards(gateway: Running) -> dict[str, list[Any]]:
    """What `/status` shows of each name's models."""
    return {row["name"]: [route["card"] for route in row["routes"]] for row in gateway.status()["models"]}


def known(gateway: Running) -> bool:
    """Every model has a card, within a few seconds."""
    return soon(lambda: all(card is not None for found in cards(gateway).values() for card in found))


def home(backend: ScriptedBackend, **models: list[str]) -> dict[str, Any]:
    return {
        "backends": {"home": {"kind": "ollama", "url": backend.url}},
        "models": {name: {"routes": [{"backend": "home", "model": model} for model in given]} for name, given in models.items()},
    }


@pytest.mark.parametrize(
    ("kind", "style", "expected"),
    [
        ("ollama", "ollama", {"engine": "ollama", "context": 512, "trained": 4096, "format": "schema"}),
        ("openai", "llama.cpp", {"engine": "llama.cpp", "context": 512, "trained": 4096, "format": "yes"}),
        ("openai", "vllm", {"engine": "vllm", "context": 512, "max_tokens": 512, "format": "yes"}),
        ("openai", "ollama", {"engine": "ollama", "context": 512, "cuts": True}),
        ("anthropic", "anthropic", {"engine": "anthropic"}),
    ],
)
def test_every_engine_is_known_without_a_generation(tmp_path: Path, kind: str, style: StyleName, expected: dict[str, Any]) -> None:
    with ScriptedBackend(style=style, models=[SEER]) as backend:
        models = {"assistant": {"routes": [{"backend": "only", "model": SEER.name}]}}
        with Running(config(tmp_path, {"only": {"kind": kind, "url": backend.url}}, models=models)) as gateway:
            assert known(gateway)
            (card,) = cards(gateway)["assistant"]
            assert {name: card[name] for name in expected} == expected
            listed = asked(gateway.url, method="GET", path="/v1/models").json["data"][0]
            assert listed["homeport"]["routes"][0]["card"] == card
        assert backend.generations == 0


def test_our_own_engine_is_known_once_it_has_loaded(tmp_path: Path) -> None:
    models = {"assistant": {"routes": [{"backend": "pilot"}]}}
    path = config(tmp_path, {"pilot": {"kind": "pilot", "max_in_flight": 4}}, models=models, monitor={"probe_interval_s": 1})
    with Running(path) as gateway:
        assert soon(lambda: cards(gateway)["assistant"] != [None], 30)
        (card,) = cards(gateway)["assistant"]
        assert (card["engine"], card["format"], card["capabilities"]["embedding"]) == ("llama.cpp", "yes", True)
        assert card["context"] > 0


def probed(gateway: Running) -> None:
    """What a gateway does every few seconds."""
    asyncio.run_coroutine_threadsafe(gateway.app.upstreams.round(), gateway._loop).result(10)


def test_a_model_that_changes_is_learnt_anew(tmp_path: Path) -> None:
    with ScriptedBackend(style="llama.cpp", models=[CODER]) as backend, Running(config(tmp_path, {"only": backend.url})) as gateway:
        probed(gateway)
        assert cards(gateway)["assistant"][0]["capabilities"]["vision"] is False
        backend.models = [SEER]
        probed(gateway)
        assert cards(gateway)["assistant"][0]["capabilities"]["vision"] is True


def test_a_backend_that_says_nothing_of_its_models_is_used_all_the_same(tmp_path: Path) -> None:
    with ScriptedBackend(style="vllm", models=["other"]) as backend, Running(config(tmp_path, {"only": backend.url})) as gateway:
        probed(gateway)
        assert cards(gateway)["assistant"] == [None]
        assert asked(gateway.url, {"model": "assistant", "messages": PICTURE, "tools": TOOLS}).status == 200


REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/chat/completions", {"messages": PICTURE}),
    "responses": ("/v1/responses", {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"}]}]}),
    "anthropic": (
        "/v1/messages",
        {
            "max_tokens": 9,
            "messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}]}],
        },
    ),
    "ollama": ("/api/chat", {"messages": [{"role": "user", "content": "What?", "images": [PIXEL]}]}),
}


@pytest.mark.parametrize("dialect", REQUESTS)
def test_an_image_goes_to_the_model_that_sees(tmp_path: Path, dialect: str) -> None:
    path, body = REQUESTS[dialect]
    with ScriptedBackend(style="ollama", models=[CODER, SEER]) as backend:
        told = home(backend, assistant=["coder", "seer"], blind=["coder"])
        with Running(config(tmp_path, told["backends"], models=told["models"])) as gateway:
            assert known(gateway)
            assert asked(gateway.url, {"model": "assistant", **body}, path=path).headers["x-homeport-model"] == "seer"
            plain = {"model": "assistant", "messages": TURN}
            assert asked(gateway.url, plain).headers["x-homeport-model"] == "coder"
            refused = asked(gateway.url, {"model": "blind", **body}, path=path)
            assert refused.status == 400
            assert b"`blind` cannot look at images: coder at home cannot." in refused.body
        assert [seen.fields["model"] for seen in backend.asks] == ["seer", "coder"]


CANNOT: list[tuple[str, dict[str, Any], str, str]] = [
    ("/v1/chat/completions", {"messages": TURN, "tools": TOOLS}, "seer", "call tools"),
    ("/api/chat", {"messages": TURN, "think": True}, "coder", "think"),
    ("/api/generate", {"prompt": "a", "suffix": "b"}, "coder", "fill a gap"),
    ("/v1/embeddings", {"input": "hi"}, "coder", "embed"),
    ("/api/embed", {"input": "hi"}, "coder", "embed"),
    ("/v1/chat/completions", {"messages": TURN}, "embedder", "chat"),
]


@pytest.mark.parametrize(("path", "body", "model", "what"), CANNOT)
def test_what_no_model_behind_a_name_can_do_is_refused_in_words(tmp_path: Path, path: str, body: dict[str, Any], model: str, what: str) -> None:
    with ScriptedBackend(style="ollama", models=[CODER, SEER, EMBEDDER]) as backend:
        told = home(backend, assistant=[model])
        with Running(config(tmp_path, told["backends"], models=told["models"])) as gateway:
            assert known(gateway)
            refused = asked(gateway.url, {"model": "assistant", **body}, path=path)
            assert refused.status == 400
            assert f"`assistant` cannot {what}".encode() in refused.body
            (receipt,) = gateway.journal.settled(1)
            assert (receipt["outcome"], receipt["attempts"]) == ("refused", [])
        assert backend.generations == 0


def test_private_stays_private_whoever_could_do_more(tmp_path: Path) -> None:
    with ScriptedBackend(style="ollama", models=[CODER]) as local, ScriptedBackend(style="ollama", models=[SEER]) as cloud:
        backends = {"home": {"kind": "ollama", "url": local.url}, "far": {"kind": "ollama", "url": cloud.url, "location": "cloud"}}
        routes = [{"backend": "home", "model": "coder"}, {"backend": "far", "model": "seer"}]
        with Running(config(tmp_path, backends, models={"assistant": {"private": True, "routes": routes}})) as gateway:
            assert known(gateway)
            refused = asked(gateway.url, {"model": "assistant", "messages": PICTURE})
            assert (refused.status, refused.error["code"]) == (400, "not_carried")
        assert (local.generations, cloud.generations) == (0, 0)


def sent(tmp_path: Path, backend: ScriptedBackend, kind: str, path: str, body: dict[str, Any]) -> tuple[Heard, dict[str, Any]]:
    """What a gateway answers, and what it sent, once the model is known."""
    models = {"assistant": {"routes": [{"backend": "only", "model": backend.models[0].name}]}}
    with Running(config(tmp_path, {"only": {"kind": kind, "url": backend.url}}, models=models)) as gateway:
        assert known(gateway)
        heard = asked(gateway.url, {"model": "assistant", **body}, path=path, headers={"anthropic-version": "2023-06-01"})
    return heard, backend.asks[-1].fields


@pytest.mark.parametrize(
    ("path", "body", "there"),
    [
        ("/v1/messages", {"max_tokens": 32000, "messages": TURN}, lambda fields: fields["max_tokens"]),
        ("/v1/chat/completions", {"max_tokens": 32000, "messages": TURN}, lambda fields: fields["max_tokens"]),
        ("/v1/responses", {"max_output_tokens": 32000, "input": "hi"}, lambda fields: fields["max_tokens"]),
        ("/api/chat", {"options": {"num_predict": 32000}, "messages": TURN}, lambda fields: fields["max_tokens"]),
    ],
)
def test_a_limit_beyond_the_context_is_lowered_to_it_for_vllm(tmp_path: Path, path: str, body: dict[str, Any], there: Callable[[Any], int]) -> None:
    """Claude Code sends 32000, and vLLM refuses more than the context; no answer can be longer than that anyway."""
    with ScriptedBackend(style="vllm", models=[SEER]) as backend:
        heard, fields = sent(tmp_path, backend, "openai", path, body)
    assert (heard.status, there(fields)) == (200, 512)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", {"max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1024}, "messages": TURN}),
        ("/v1/messages", {"max_tokens": 2000, "output_config": {"effort": "high"}, "messages": TURN}),
        ("/v1/responses", {"input": "hi", "reasoning": {"effort": "high"}}),
        ("/v1/chat/completions", {"messages": TURN, "reasoning_effort": "high"}),
    ],
)
def test_how_hard_to_think_is_no_reason_to_refuse(tmp_path: Path, path: str, body: dict[str, Any]) -> None:
    """Claude Code and Codex always say it; an Ollama refuses it for a model that cannot think at all."""
    with ScriptedBackend(style="ollama", models=[CODER]) as backend:
        heard, fields = sent(tmp_path, backend, "ollama", path, body)
    assert (heard.status, "think" in fields) == (200, False)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": TURN, "response_format": {"type": "json_object"}}),
        ("/v1/responses", {"input": "hi", "text": {"format": {"type": "json_object"}}}),
        ("/api/chat", {"messages": TURN, "format": "json"}),
    ],
)
def test_bare_json_is_asked_for_by_a_schema_where_only_that_holds(tmp_path: Path, path: str, body: dict[str, Any]) -> None:
    """Ollama does not hold a model that has only its file's template to "json" at all."""
    with ScriptedBackend(style="ollama", models=[SEER]) as backend:
        heard, fields = sent(tmp_path, backend, "ollama", path, body)
    assert (heard.status, fields["format"]) == (200, {"type": "object"})
    with ScriptedBackend(style="ollama", models=[CODER]) as backend:
        (tmp_path / "other").mkdir()
        heard, fields = sent(tmp_path / "other", backend, "ollama", path, body)
    assert (heard.status, fields["format"]) == (200, "json")
