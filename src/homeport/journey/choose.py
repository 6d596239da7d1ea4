"""Ask + the backends as they are now → Routes in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from homeport.errors import NoRouteLeft
from homeport.ports import Catalogue
from homeport.rules import selection
from homeport.vocabulary import Ask, Caller, Route


class Choose:
    """Finds the ordered Routes of an Ask (step `choose`)."""

    def __init__(self, catalogue: Catalogue, loads: Mapping[str, selection.Load]) -> None:
        self._catalogue = catalogue
        self._loads = loads

    def __call__(self, ask: Ask, caller: Caller) -> Sequence[Route]:
        """The routes, best first. Raises UnknownModel with the nearest name, NoRouteLeft where none is allowed."""
        served = self._catalogue.find(ask.model)
        if served is None:
            raise selection.unknown(ask.model, self._catalogue.names())
        routes = selection.order(served.routes, self._loads, private=served.private)
        if not routes:
            error = NoRouteLeft(f'`{ask.model}` is private, and no local backend serves it. Add a route whose backend has location = "local".')
            error.should_retry = False
            raise error
        return routes
