"""A prompt beyond the context is refused with both numbers in every dialect, whatever the engine says or would have done in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Refuse
from homeport.testing.shapes import StyleName
from tests.caller import asked
from tests.captures import captured
from tests.gateway import Running, config, soon

TURN = [{"role": "user", "content": "x" * 100}]
DOORS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": TURN},
    "/v1/responses": {"input": "x" * 100},
    "/v1/messages": {"messages": TURN, "max_tokens": 9},
    "/api/chat": {"messages": TURN},
}
REFUSALS: dict[tuple[str, StyleName], tuple[str, str, tuple[str, str]]] = {
    ("openai", "llama.cpp"): ("llamacpp", "context-prompt-too-long", ("2118", "2048")),
    ("openai", "vllm"): ("vllm", "context-prompt-too-long", ("2049", "2048")),
    ("ollama", "ollama"): ("ollama", "overflow: chat, truncate false", ("1400", "512")),
}
CODES = {"/v1/chat/completions": "context_length_exceeded", "/v1/responses": "context_length_exceeded"}


def refusal(engine: str, name: str) -> Refuse:
    given = captured(engine)[name].response
    assert given.status is not None
    return Refuse(status=given.status, body="".join(text for _, text in given.pieces).encode())


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize(("kind", "style"), REFUSALS)
def test_the_engines_refusal_has_both_numbers_in_every_dialect(tmp_path: Path, kind: str, style: StyleName, path: str, stream: bool) -> None:
    engine, name, numbers = REFUSALS[kind, style]
    with ScriptedBackend(refusal(engine, name), style=style) as backend:
        with Running(config(tmp_path, {"only": {"kind": kind, "url": backend.url}})) as gateway:
            heard = asked(gateway.url, {"model": "assistant", "stream": stream, **DOORS[path]}, path=path)
            assert heard.status == 400
            error = heard.json["error"]
            words = error if isinstance(error, str) else error["message"]
            assert [number for number in numbers if number not in words] == []
            if path in CODES:
                assert error["code"] == CODES[path]
            if path == "/v1/messages":  # by these words its clients know that they must compact
                assert (error["type"], words.startswith("prompt is too long")) == ("invalid_request_error", True)
            (receipt,) = gateway.journal.settled(1)
            assert (receipt["outcome"], len(receipt["attempts"])) == ("refused", 1)


@pytest.mark.parametrize("path", DOORS)
def test_ollama_is_told_to_cut_nothing(tmp_path: Path, path: str) -> None:
    """With `truncate` false it neither drops old messages nor cuts the last one, whichever template the model has."""
    with ScriptedBackend(style="ollama") as backend, Running(config(tmp_path, {"only": {"kind": "ollama", "url": backend.url}})) as gateway:
        assert asked(gateway.url, {"model": "assistant", **DOORS[path]}, path=path).status == 200
        assert backend.asks[0].path == "/api/chat"
        assert backend.asks[0].fields["truncate"] is False


@pytest.mark.parametrize("path", ["/v1/embeddings", "/api/embed"])
def test_a_text_too_long_to_embed_is_the_callers_fault(tmp_path: Path, path: str) -> None:
    """llama.cpp says 500, and names both numbers."""
    with ScriptedBackend(refusal("llamacpp", "embeddings-too-long")) as backend, Running(config(tmp_path, {"only": backend.url})) as gateway:
        heard = asked(gateway.url, {"model": "assistant", "input": "x" * 100}, path=path)
        assert heard.status == 400
        assert b"input (2100 tokens) is too large" in heard.body
        assert b"512" in heard.body


def test_an_ollama_reached_by_v1_is_named_in_the_list(tmp_path: Path) -> None:
    """There it takes no `truncate`: the card says that it cuts in silence, and the log how to mend it."""
    with ScriptedBackend(style="ollama", models=["talker:latest"]) as backend:
        models = {"assistant": {"routes": [{"backend": "only", "model": "talker"}]}}
        with Running(config(tmp_path, {"only": {"kind": "openai", "url": backend.url}}, models=models)) as gateway:

            def card() -> Any:
                return asked(gateway.url, method="GET", path="/v1/models").json["data"][0]["homeport"]["routes"][0]["card"]

            assert soon(lambda: card() is not None)
            assert card()["cuts"] is True
