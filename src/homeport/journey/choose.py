"""Ask + the backends as they are now → Routes in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from homeport.errors import NoRouteLeft
from homeport.ports import Catalogue
from homeport.rules import selection
from homeport.vocabulary import Ask, Caller, Route
from homeport.wire import needs


class Choose:
    """Finds the ordered Routes of an Ask (step `choose`)."""

    def __init__(self, catalogue: Catalogue, loads: Mapping[str, selection.Load]) -> None:
        self._catalogue = catalogue
        self._loads = loads

    def __call__(self, ask: Ask, caller: Caller) -> Sequence[Route]:
        """The routes, best first.

        Raises:
            UnknownModel: with the nearest name.
            NoRouteLeft: none is allowed.
            Uncarried: the models of all of them are known not to do what is asked.
        """
        served = self._catalogue.find(ask.model)
        if served is None:
            raise selection.unknown(ask.model, self._catalogue.names())
        routes = selection.order(served.routes, self._loads, private=served.private)
        if not routes:
            error = NoRouteLeft(f'`{ask.model}` is private, and no local backend serves it. Add a route whose backend has location = "local".')
            error.should_retry = False
            raise error
        if served.lacks:
            return self._able(ask, routes, served.lacks)
        return routes

    @staticmethod
    def _able(ask: Ask, routes: Sequence[Route], lacks: Mapping[tuple[str, str], frozenset[str]]) -> Sequence[Route]:
        needed = needs.of(ask, frozenset().union(*lacks.values()))
        found = selection.able(routes, lacks, needed)
        if not found:
            raise selection.unable(ask.model, routes, lacks, needed)
        return found
