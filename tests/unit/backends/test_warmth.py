"""Loading a model ahead is done by one gateway of a fleet."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from homeport.backends.http import SYSTEM
from homeport.backends.line import Line
from homeport.backends.warmth import ALONE_S, Warmer


class Pages:
    """An Ollama that has nothing in memory, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def page(self, path: str, body: bytes | None, **_: Any) -> bytes:
        self.asked.append(path)
        return b'{"models": []}' if path == "/api/ps" else b"{}"


@pytest.mark.parametrize(("ours", "asked"), [(True, ["/api/ps", "/api/generate"]), (False, ["/api/ps"])])
def test_who_is_not_the_one_loads_nothing(ours: bool, asked: list[str]) -> None:
    claimed: list[tuple[str, float]] = []

    async def once(what: str, for_s: float) -> bool:
        claimed.append((what, for_s))
        return ours

    async def scene() -> None:
        pages = Pages()
        warmer = Warmer(cast(Line, pages), lambda: None, SYSTEM)
        warmer.model, warmer.once = "m", once
        await warmer.look()
        for _ in range(500):
            if not warmer.loading:
                break
            await asyncio.sleep(0.01)
        assert pages.asked == asked and claimed == [("load m", ALONE_S)]

    asyncio.run(scene())
