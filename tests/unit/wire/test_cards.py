"""What engines say of their models, as Cards: read from what real ones were recorded to say, and from what may be wrong with it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from homeport.vocabulary import Card, Weights
from homeport.wire import cards
from tests.captures import captured


def said(engine: str, name: str) -> bytes:
    return "".join(text for _, text in captured(engine)[name].response.pieces).encode()


def row(engine: str, name: str, model: str) -> dict[str, Any]:
    return next(row for row in cards.rows(said(engine, name)) if cards.name_of(row) == model)


def test_ollama() -> None:
    told = {"loaded": 4096, "version": "0.32.15"}
    talker = cards.of_ollama(said("ollama", "about: show"), row("ollama", "about: tags", "filler:latest"), **told)  # type: ignore[arg-type]
    assert (talker.engine, talker.version, talker.context, talker.trained) == ("ollama", "0.32.15", 4096, 8192)
    assert (talker.capabilities["tools"], talker.capabilities["thinking"], talker.capabilities["vision"]) == (True, True, False)
    assert (talker.format, talker.cuts) == ("yes", False)
    assert talker.lacks == {"vision", "embedding", "insert"}
    assert (talker.weights.family, talker.weights.quantization, len(talker.weights.digest)) == ("llama", "F16", 64)
    native = cards.of_ollama(said("ollama", "about: show, native"), {}, loaded=None, version="0.32.15")
    assert (native.format, native.context) == ("schema", None)
    embedder = cards.of_ollama(said("ollama", "about: show, old field name"), {}, loaded=None, version="0.32.15")
    assert embedder.capabilities["embedding"]
    assert "completion" in embedder.lacks


@pytest.mark.parametrize(
    ("version", "cuts", "embeds"),
    [
        ("0.32.15", False, False),
        ("0.30.0", False, False),
        ("0.29.9-rc1", False, None),
        ("0.12.6", False, None),
        ("0.12.5", True, None),
        ("0.3.14", True, None),
        ("0.0.0", False, False),  # built from source
        ("devel", False, False),
        (None, False, False),
    ],
)
def test_an_old_ollama(version: str | None, cuts: bool, embeds: bool | None) -> None:
    """`truncate` came with 0.12.6; with 0.30 a model that chats ceased to embed."""
    card = cards.of_ollama(json.dumps({"capabilities": ["completion"]}).encode(), {}, loaded=None, version=version)
    assert card.cuts is cuts
    assert card.capabilities.get("embedding") is embeds


def test_llama_cpp() -> None:
    card = cards.of_llama_cpp(row("llamacpp", "get /v1/models", "talker.gguf"), said("llamacpp", "get /props"), embeds=None)
    assert (card.engine, card.context, card.trained, card.format) == ("llama.cpp", 2048, 4096, "yes")
    assert card.capabilities == {"completion": True, "tools": True, "vision": False, "thinking": True}
    assert card.weights == Weights(form="gguf", parameters="2.28M", quantization="all F32", size=9111552)
    bare = cards.of_llama_cpp(row("llamacpp", "get /v1/models", "talker.gguf"), b"", embeds=True)
    assert (bare.context, bare.capabilities) == (2048, {"completion": True, "embedding": True})
    assert not bare.lacks


def test_vllm() -> None:
    card = cards.of_vllm(row("vllm", "get /v1/models", "talker"), version=cards.version(said("vllm", "get /version")))
    assert card == Card(engine="vllm", version="0.32.0", context=2048, max_tokens=2048, format="yes")


def test_anthropic() -> None:
    shown = {
        "type": "model",
        "id": "claude-x",
        "display_name": "X",
        "max_input_tokens": 200000,
        "max_tokens": 64000,
        "capabilities": {"image_input": {"supported": True}, "thinking": {"supported": False}, "structured_outputs": {"supported": False}},
    }
    card = cards.of_anthropic(shown)
    assert (card.context, card.max_tokens, card.format) == (200000, 64000, "no")
    assert card.lacks == {"thinking", "embedding", "format"}
    old = cards.of_anthropic({"type": "model", "id": "claude-x", "display_name": "X"})
    assert (old.context, old.format, old.lacks) == (None, "unknown", {"embedding"})


@pytest.mark.parametrize(
    ("engine", "name", "expected"),
    [
        ("llamacpp", "get /v1/models", {"llama.cpp"}),
        ("vllm", "get /v1/models", {"vllm"}),
        ("ollama", "about: v1 models", {"ollama"}),
        ("ollama", "about: tags", {None}),
    ],
)
def test_engines_are_known_by_their_lists(engine: str, name: str, expected: set[str | None]) -> None:
    assert {cards.engine_of(row) for row in cards.rows(said(engine, name))} == expected


@pytest.mark.parametrize("page", [b"", b"[]", b"null", b"{", b'{"data": 5}', b'{"models": [1, null]}', b"\xff", b"[" * 5000])
def test_pages_that_are_none(page: bytes) -> None:
    assert cards.rows(page) == []
    assert cards.version(page) is None
    card = cards.of_ollama(page, {"size": "big", "details": []}, loaded=None, version=None)
    assert (card.trained, card.capabilities, card.weights) == (None, {}, Weights())
    assert cards.of_llama_cpp({"meta": {"n_ctx": -1, "size": 1.5}}, page, embeds=None).context is None


@pytest.mark.parametrize(("number", "short"), [(7615616512, "7.6B"), (1514688, "1.51M"), (26448, "26K"), (999, "999"), (None, "")])
def test_parameters(number: int | None, short: str) -> None:
    """As Ollama writes them."""
    assert cards.of_llama_cpp({"meta": {"n_params": number}}, b"", embeds=None).weights.parameters == short
