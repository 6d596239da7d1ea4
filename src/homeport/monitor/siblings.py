"""A gateway of one process has no siblings (port Siblings)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


class NoSiblings:
    """Nobody answers, and nobody asks."""

    folder: Path | None = None

    async def gather(self, topic: str) -> list[bytes]:
        """Nothing."""
        return []

    def answer(self, topic: str, give: Callable[[], bytes]) -> None:
        """To nobody."""
