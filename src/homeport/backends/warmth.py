"""Loads a model into an engine by a request that generates nothing, so that the first ask need not wait for it."""

from __future__ import annotations

import msgspec

from homeport.backends.cards import Page
from homeport.wire.ollama import card as ollama_card


async def loaded(model: str, page: Page) -> bool:
    """Whether an Ollama has this model in memory (`/api/ps`). Raises BackendError."""
    names = ollama_card.running(await page("/api/ps", None))
    return model in names or f"{model}:latest" in names


async def load(model: str, keep_alive: object, page: Page) -> bool:
    """Have an Ollama load it: `/api/generate` without a prompt (its API documentation, "Load a model"). Whether it did. Raises BackendError."""
    body: dict[str, object] = {"model": model, "stream": False}
    if keep_alive is not None:
        body["keep_alive"] = keep_alive
    return bool(await page("/api/generate", msgspec.json.encode(body)))
