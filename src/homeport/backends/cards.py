"""What the models of one backend can do, asked of it without a single generation, and what follows for requests to them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable

import msgspec

from homeport.errors import BackendError
from homeport.vocabulary import Card
from homeport.wire import cards as wire
from homeport.wire import node
from homeport.wire.fitting import Fit, fit
from homeport.wire.ollama import card as ollama_card

log = logging.getLogger("homeport")

SHOWN_AT_ONCE = 64  # models of an Ollama that are asked about in one round; the others have the next

Page = Callable[[str, bytes | None], Awaitable[bytes]]
"""A path of the backend, and a body to post there: what it answers, b"" where that is not status 200. Raises BackendError."""


class Cards:
    """The Cards of one backend's models, as they were when it was asked last."""

    def __init__(self, name: str, kind: str) -> None:
        self.about = ""  # what is said of every model here (Card.about)
        self.fits: dict[str, Fit] = {}  # by the model's name there; only those that requests must be made to fit
        self._name = name
        self._own = kind in ("engine", "pilot")
        self._ollama = kind == "ollama"
        self._by_v1 = kind == "openai"  # an Ollama may be there all the same
        self._homeport = False  # another Homeport is there, whatever the kind
        self._found: dict[str, Card] = {}
        self._shown: dict[tuple[str, str, str | None], Card] = {}  # Ollama's models by name, digest and Ollama's version
        self._warned = False

    def find(self, model: str) -> Card | None:
        """The card of a model by its name in a route: Ollama's tag may be left out, and llama.cpp has one model by any name."""
        found = self._found
        card = found.get(model) or found.get(f"{model}:latest")
        if card is None and len(found) == 1:
            only = next(iter(found.values()))
            card = only if only.engine == "llama.cpp" else None
        return card

    @property
    def engine(self) -> str | None:
        """What it is: "ollama" "llama.cpp" "vllm" "anthropic" "homeport"; None while that is not known."""
        if self._own:
            return "llama.cpp"
        if self._ollama and not self._homeport:
            return "ollama"
        return next((card.engine for card in self._found.values() if card.engine), None)

    async def learn(self, listing: bytes, page: Page) -> None:
        """Ask about the models of a list, which the backend just gave. What it does not tell now stays as it was. Raises BackendError."""
        self._homeport = node.gateway(listing) is not None
        if self._homeport:
            self._found, self.fits = node.cards(await page(node.LIST, None) if self._ollama else listing), {}  # it fits requests to its models by itself
            return
        rows = {name: row for row in wire.rows(listing) if (name := wire.name_of(row)) is not None}
        engines = {wire.engine_of(row) for row in rows.values()}
        if self._ollama or (self._by_v1 and "ollama" in engines):
            await self._learn_ollama(listing, page)
            return
        found: dict[str, Card] = {}
        props = await page("/props", None) if "llama.cpp" in engines and len(rows) == 1 else b""  # several: a router, each with its own
        version = wire.version(await page("/version", None)) if "vllm" in engines else None
        for name, row in rows.items():
            engine = wire.engine_of(row)
            if engine == "llama.cpp":
                found[name] = wire.of_llama_cpp(row, props, embeds=True if self._own else None)
            elif engine == "vllm":
                found[name] = wire.of_vllm(row, version=version)
            elif engine == "anthropic":
                found[name] = wire.of_anthropic(row)
        self._keep(found)

    async def _learn_ollama(self, listing: bytes, page: Page) -> None:
        if self._by_v1:  # its list for OpenAI's clients says less
            listing = await page("/api/tags", None)
        version = wire.version(await page("/api/version", None))
        loaded = ollama_card.running(await page("/api/ps", None))
        found: dict[str, Card] = {}
        left = SHOWN_AT_ONCE
        for row in wire.rows(listing):
            name = row.get("name") or row.get("model")
            if not isinstance(name, str):
                continue
            key = (name, str(row.get("digest")), version)
            if key not in self._shown and left:
                left -= 1
                shown = b""
                with contextlib.suppress(BackendError):  # busy: the next round asks again
                    shown = await page("/api/show", msgspec.json.encode({"model": name}))
                if shown:
                    card = wire.of_ollama(shown, row, loaded=None, version=version)
                    self._shown[key] = msgspec.structs.replace(card, cuts=True) if self._by_v1 else card
            if key in self._shown:
                found[name] = msgspec.structs.replace(self._shown[key], context=loaded.get(name))
        self._shown = {key: card for key, card in self._shown.items() if key[0] in found}
        self._keep(found)

    def _keep(self, found: dict[str, Card]) -> None:
        self._found = {name: msgspec.structs.replace(card, about=self.about) for name, card in found.items()} if self.about else found
        fits = {name: fitting for name, card in found.items() if (fitting := fit(card)) is not None}
        self.fits = {name.removesuffix(":latest"): fitting for name, fitting in fits.items()} | fits
        if not self._warned and any(card.cuts for card in found.values()):
            self._warned = True
            fix = 'Give it kind = "ollama" in homeport.toml' if self._by_v1 else "Update it to 0.12.6 or later"
            log.warning("%s is an Ollama that cuts prompts that are too long, and says nothing of it. %s.", self._name, fix)
