"""After a stream broke: which route goes on with the answer, from what the caller has of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from homeport.rules import continuation
from homeport.vocabulary import Ask, Route
from homeport.wire.continuing import Telling, plan
from homeport.wire.crossing import Bridge, Streaming


class Resumption:
    """The ways of one Ask whose answer may be told by several attempts in turn (`on_break = "continue"`)."""

    __slots__ = ("_route", "_routes", "telling")

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes
        self._route = routes[0]
        self.telling: Telling | None = None  # once a stream is on its way that may be gone on with

    @property
    def times(self) -> int:
        """How often the answer was gone on with."""
        return self.telling.parts - 1 if self.telling is not None else 0

    def ways(self) -> Iterator[Route]:
        """The routes in their order; once an answer broke amid its stream, those that may go on with it, and with what."""
        for route in self._routes:
            self._route = route
            yield route
            if self._broken:
                break
        told = ""
        while self._broken and (begun := self._broken.beginning) is not None and begun.text != told:
            told = begun.text
            for route in continuation.order(self._routes, self._route):
                self._route = route
                yield msgspec.structs.replace(route, begun=begun)
                if (now := self._broken.beginning) is None or now.text != begun.text:
                    break

    @property
    def _broken(self) -> Telling | None:
        return self.telling if self.telling is not None and self.telling.told else None

    def after(self, error: BaseException) -> bool:
        """Whether the answer may go on after what broke it."""
        broken = self._broken
        return broken is not None and broken.beginning is not None and continuation.excusable(error) and bool(continuation.order(self._routes, self._route))

    def stream(self, ask: Ask, bridge: Bridge, route: Route, dialect: str, created: int) -> Streaming:
        """For the stream of an attempt: a new one, or the open one, which goes on. `created` in seconds since the epoch."""
        if route.begun is not None and self.telling is not None:
            self.telling.go_on(route, dialect)
            return self.telling
        found = plan(ask, route.options)
        self.telling = Telling(ask, found, dialect, created) if found is not None else None
        return self.telling or bridge.stream(ask, created)
