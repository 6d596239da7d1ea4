"""What a backend's models can do is asked of its pages, no more often than need be, and never by making it generate."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from homeport.backends.cards import Cards
from homeport.errors import Refused
from homeport.wire.fitting import Fit

GO, JINJA = "{{ .Prompt }}", "{% for m in messages %}{% endfor %}"


class Pages:
    """A backend by its pages."""

    def __init__(self, **pages: Any) -> None:
        self.pages = {"/" + name.replace("__", "/"): page for name, page in pages.items()}
        self.shows: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.busy = False

    async def __call__(self, path: str, body: bytes | None) -> bytes:
        self.asked.append(path)
        if self.busy:
            raise Refused("HTTP 503")
        if path == "/api/show":
            assert body is not None
            shown = self.shows.get(json.loads(body)["model"])
            return json.dumps(shown).encode() if shown is not None else b""
        assert body is None
        page = self.pages.get(path)
        return json.dumps(page).encode() if page is not None else b""


def learn(cards: Cards, pages: Pages, listing: dict[str, Any]) -> None:
    asyncio.run(cards.learn(json.dumps(listing).encode(), pages))


def tags(**digests: str) -> dict[str, Any]:
    return {"models": [{"name": f"{name}:latest", "digest": digest} for name, digest in digests.items()]}


def show(*can: str, template: str = GO, length: int = 8192) -> dict[str, Any]:
    info = {"general.architecture": "llama", "llama.context_length": length}
    return {"template": template, "model_info": info, "capabilities": list(can), "details": {"family": "llama"}}


@pytest.fixture
def ollama() -> Pages:
    pages = Pages(api__version={"version": "0.32.15"}, api__ps={"models": [{"name": "a:latest", "context_length": 4096}]})
    pages.shows = {"a:latest": show("completion", "tools"), "b:latest": show("completion", "thinking", template=JINJA)}
    return pages


def test_ollama_is_asked_about_a_model_once_and_again_when_it_changes(ollama: Pages) -> None:
    cards = Cards("home", "ollama")
    learn(cards, ollama, tags(a="1", b="1"))
    a, b = cards.find("a:latest"), cards.find("b")  # the tag may be left out
    assert a is not None
    assert b is not None
    assert (a.context, a.trained, b.context) == (4096, 8192, None)
    assert (a.lacks >= {"thinking", "vision"}, b.lacks >= {"tools"}) == (True, True)
    assert ollama.asked == ["/api/version", "/api/ps", "/api/show", "/api/show"]
    ollama.asked.clear()
    ollama.pages["/api/ps"] = {"models": [{"name": "b:latest", "context_length": 512}]}
    learn(cards, ollama, tags(a="1", b="1"))
    assert ollama.asked == ["/api/version", "/api/ps"]
    assert [card.context for card in (cards.find("a"), cards.find("b")) if card is not None] == [None, 512]
    ollama.shows["a:latest"] = show("completion", "vision")
    learn(cards, ollama, tags(a="2"))
    a = cards.find("a")
    assert a is not None
    assert a.capabilities["vision"]
    assert cards.find("b") is None


def test_what_requests_must_fit(ollama: Pages) -> None:
    cards = Cards("home", "ollama")
    learn(cards, ollama, tags(a="1", b="1"))
    assert cards.fits == {name: Fit(thinks=False) for name in ("a", "a:latest")} | {name: Fit(schemas_only=True) for name in ("b", "b:latest")}


def test_a_model_that_cannot_be_shown_has_no_card(ollama: Pages) -> None:
    cards = Cards("home", "ollama")
    del ollama.shows["b:latest"]
    learn(cards, ollama, tags(a="1", b="1"))
    assert (cards.find("a") is not None, cards.find("b")) == (True, None)
    ollama.shows["b:latest"] = show("completion")
    learn(cards, ollama, tags(a="1", b="1"))
    assert cards.find("b") is not None


def test_a_busy_backend_keeps_what_was_known_of_it(ollama: Pages) -> None:
    cards = Cards("home", "ollama")
    learn(cards, ollama, tags(a="1"))
    ollama.busy = True
    with pytest.raises(Refused):
        learn(cards, ollama, tags(a="1"))
    assert cards.find("a") is not None


@pytest.mark.parametrize(("kind", "version", "fix"), [("ollama", "0.12.5", "Update it to 0.12.6"), ("openai", "0.32.15", 'Give it kind = "ollama"')])
def test_an_ollama_that_cuts_in_silence_is_told_of_once(ollama: Pages, caplog: pytest.LogCaptureFixture, kind: str, version: str, fix: str) -> None:
    ollama.pages |= {"/api/version": {"version": version}, "/api/tags": tags(a="1")}
    listing = tags(a="1") if kind == "ollama" else {"object": "list", "data": [{"id": "a:latest", "object": "model", "owned_by": "library"}]}
    cards = Cards("home", kind)
    with caplog.at_level(logging.WARNING, "homeport"):
        learn(cards, ollama, listing)
        learn(cards, ollama, listing)
    assert [fix in message for message in caplog.messages] == [True]
    card = cards.find("a")
    assert card is not None
    assert card.cuts


def test_llama_cpp_has_one_model_by_any_name() -> None:
    rows = [{"id": "a.gguf", "owned_by": "llamacpp", "meta": {"n_ctx": 2048}}]
    pages = Pages(props={"modalities": {"vision": False}})
    cards = Cards("box", "openai")
    learn(cards, pages, {"data": rows})
    card = cards.find("whatever")
    assert card is not None
    assert (card.context, card.lacks) == (2048, {"vision"})
    learn(cards, pages, {"data": [*rows, {"id": "b.gguf", "owned_by": "llamacpp"}]})  # a router: each model has properties of its own
    assert cards.find("whatever") is None
    assert pages.asked == ["/props"]


def test_our_own_engine_embeds() -> None:
    cards = Cards("laptop", "engine")
    learn(cards, Pages(props={}), {"data": [{"id": "laptop", "owned_by": "llamacpp"}]})
    card = cards.find("laptop")
    assert card is not None
    assert card.capabilities["embedding"]


def test_vllm_and_anthropic() -> None:
    vllm = Cards("gpu", "openai")
    learn(vllm, Pages(version={"version": "0.32.0"}), {"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 2048}]})
    assert vllm.fits == {"m": Fit(max_tokens=2048)}
    claude = Cards("claude", "anthropic")
    pages = Pages()
    learn(claude, pages, {"data": [{"type": "model", "id": "claude-x", "display_name": "X", "max_tokens": 64000}]})
    assert claude.fits == {"claude-x": Fit(max_tokens=64000)}
    assert pages.asked == []


def test_nobody_else_is_asked_for_pages_it_may_not_have() -> None:
    for kind in ("openai", "anthropic"):
        pages = Pages()
        cards = Cards("cloud", kind)
        learn(cards, pages, {"data": [{"id": "m", "object": "model", "owned_by": "somebody"}]})
        assert (pages.asked, cards.find("m")) == ([], None)
