"""A backend that the configuration no longer has, for journeys that chose it before."""

from __future__ import annotations

import time

from homeport.errors import Unreachable
from homeport.ports import Upstream
from homeport.rules import selection
from homeport.vocabulary import Ask, Card, Route, Standing

REASON = "it was taken out of the configuration"


class Removed:
    """Fulfils ports.Backend, and answers nothing."""

    kind = "openai"
    dialect = "openai"
    location = "local"
    available = False
    in_flight = 0

    def __init__(self, name: str) -> None:
        self.name = name

    def rank(self, model: str) -> int:
        """Not to be asked."""
        return selection.GONE

    def wanted(self) -> None:
        """It is nothing that could be woken."""

    def standing(self) -> Standing:
        return Standing(self.name, self.kind, self.location, "drained", REASON, time.time(), 0, 0, 0, [])

    def load(self, model: str) -> float:
        """Nothing."""
        return 0

    def card(self, model: str) -> Card | None:
        """Nothing is known."""

    def take(self, model: str) -> None:
        """No place."""

    async def wait(self, model: str, key: str | None, *, only: bool) -> None:
        raise Unreachable(REASON)

    def send(self, ask: Ask, route: Route) -> None:
        raise Unreachable(REASON)

    def seen(self, model: str, error: BaseException | None, upstream: Upstream | None = None) -> bool:
        """Nothing is learnt."""
        return False
