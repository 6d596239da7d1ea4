"""Ask + the backends as they are now → Routes in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from homeport.errors import NoRouteLeft
from homeport.ports import Backend, Catalogue, Served
from homeport.rules import pinning, selection
from homeport.vocabulary import Ask, Caller, Route
from homeport.wire import needs


class Choose:
    """Finds the ordered Routes of an Ask (step `choose`)."""

    def __init__(self, catalogue: Catalogue, backends: Mapping[str, Backend]) -> None:
        self._catalogue = catalogue
        self._backends = backends

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
        private = served.private or (ask.errand is not None and ask.errand.private)
        allowed = self._pinned(ask, served) if served.barred else served.routes
        routes = selection.order(allowed, self._backends, private=private)
        if not routes:
            raise self._none(ask, served, private=private)
        if routes[0] is not (first := allowed[0]):
            self._backends[first.backend].wanted()
        if served.lacks:
            return self._able(ask, routes, served.lacks)
        return routes

    def _pinned(self, ask: Ask, served: Served) -> tuple[Route, ...]:
        """The routes whose model is the one that is pinned, or that have no pin. Raises NoRouteLeft where there are none."""
        barred = served.barred
        for backend, _ in barred:
            self._backends[backend].wanted()  # one that sleeps tells nothing
        allowed = tuple(route for route in served.routes if (route.backend, route.model) not in barred)
        if not allowed:
            why = "; ".join(f"{model} at {backend}: {reason}" for (backend, model), reason in barred.items())
            error = NoRouteLeft(
                f"No backend has what is pinned for `{ask.model}`. {why}. Put that model back, or change the digest in homeport.toml and reload."
            )
            error.should_retry = None if pinning.UNKNOWN in barred.values() else False
            raise error
        return allowed

    def _none(self, ask: Ask, served: Served, *, private: bool) -> NoRouteLeft:
        if private and all(self._backends[route.backend].location == "cloud" for route in served.routes):
            error = NoRouteLeft(f'`{ask.model}` is private, and no local backend serves it. Add a route whose backend has location = "local".')
            error.should_retry = False
            return error
        return NoRouteLeft(f"Every backend of `{ask.model}` that may be asked is drained. Set drained = false for one of them, and reload.")

    @staticmethod
    def _able(ask: Ask, routes: Sequence[Route], lacks: Mapping[tuple[str, str], frozenset[str]]) -> Sequence[Route]:
        needed = needs.of(ask, frozenset().union(*lacks.values()))
        found = selection.able(routes, lacks, needed)
        if not found:
            raise selection.unable(ask.model, routes, lacks, needed)
        return found
