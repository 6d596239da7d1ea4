"""Loads a model into an engine by a request that generates nothing, so that the first ask need not wait for it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable

import msgspec

from homeport.backends.cards import Page
from homeport.backends.line import Line
from homeport.errors import BackendError
from homeport.ports import Clock
from homeport.runner import drive
from homeport.wire.ollama import card as ollama_card

LOAD_S = 600.0  # for loading a model
ALONE_S = 30.0  # one gateway of a fleet loads it; after so long another may, or it would stay away with the first


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


class Warmer:
    """Keeps one model of an Ollama in memory; `changed` is called when it begins to load, and when that is over.

    `model` and `keep_alive` are told from outside; while there is no model it does nothing.
    """

    def __init__(self, line: Line, changed: Callable[[], None], clock: Clock) -> None:
        self.model: str | None = None
        self.keep_alive: object = None
        self.loading = False
        self.took_s: float | None = None  # to load it, the last time
        self.once: Callable[[str, float], Awaitable[bool]] | None = None  # whether it is for this process to do, for so many seconds
        self._line = line
        self._changed = changed
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    async def look(self) -> None:
        """Begin to load it, beside whatever goes on, where it is not there. Raises BackendError."""
        if self.model is None or self.loading or await drive(loaded(self.model, self._line.page)):
            return
        if self.once is not None and not await self.once(f"load {self.model}", ALONE_S):
            return
        self.loading = True
        self._changed()
        self._task = asyncio.ensure_future(self._load(self.model))

    def stop(self) -> None:
        """The backend is gone: whatever it was doing is over."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    async def _load(self, model: str) -> None:
        begun = self._clock.monotonic()
        try:
            with contextlib.suppress(BackendError):  # the next probe tries again
                if await drive(load(model, self.keep_alive, functools.partial(self._line.page, timeout_s=LOAD_S))):
                    self.took_s = round(self._clock.monotonic() - begun, 3)
        finally:
            self.loading = False
            self._changed()
