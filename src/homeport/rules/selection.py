"""Which routes an ask may take, in which order, given how the backends are at this moment."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Protocol

from homeport.errors import Uncarried, UnknownModel
from homeport.vocabulary import Route

WELL, UNSTEADY, FULL, OPEN, GONE = range(5)
"""How well a backend could take an ask: well and with room; so many fail that others come first; no place free; left out; not to be asked at all."""


class Load(Protocol):
    """What the rule sees of a backend."""

    def load(self, model: str) -> float:
        """Leases taken, and more where asks for this model fail."""

    @property
    def location(self) -> str:
        """local | cloud"""

    def rank(self, model: str) -> int:
        """How well it could take an ask for this model now: one of the words above."""


def order(routes: tuple[Route, ...], loads: Mapping[str, Load], *, private: bool) -> Sequence[Route]:
    """The allowed routes, the best first, those alike in the order of their owner.

    A route with `while_in_flight_below` has room only below that load. Where nobody has room the ask waits at the first of
    those that are full; one that is left out (rules/breaker) is tried last. A private ask has no cloud routes.
    """
    if len(routes) == 1 and not private:
        return routes
    ranked: list[tuple[int, Route]] = []
    worst = WELL
    for route in routes:
        load = loads[route.backend]
        if private and load.location == "cloud":
            continue
        rank, limit = load.rank(route.model), route.while_in_flight_below
        if limit is not None and rank < FULL and load.load(route.model) >= limit:
            rank = FULL
        if rank != GONE:
            ranked.append((rank, route))
            worst = max(worst, rank)
    if worst != WELL:
        ranked.sort(key=itemgetter(0))
    return [route for _, route in ranked]


def able(routes: Sequence[Route], lacks: Mapping[tuple[str, str], frozenset[str]], needs: Collection[str]) -> Sequence[Route]:
    """The routes whose model is not known to lack what is needed. One of which nothing is known is taken to be able."""
    if not needs:
        return routes
    return [route for route in routes if not any(need in lacks.get((route.backend, route.model), ()) for need in needs)]


def unable(name: str, routes: Sequence[Route], lacks: Mapping[tuple[str, str], frozenset[str]], needs: Sequence[str]) -> Uncarried:
    """The error for a request that asks for what no model behind a name can do, naming both."""
    missing = next((need for need in needs if all(need in lacks.get((route.backend, route.model), ()) for route in routes)), needs[0])
    what, param, instead = _WORDS[missing]
    places = ", ".join(dict.fromkeys(f"{route.model} at {route.backend}" for route in routes))
    return Uncarried(f"`{name}` cannot {what}: {places} cannot. {instead}; `homeport models` shows what each can do.", param=param)


_WORDS = {  # a capability: what is asked, in which field, and the way out
    "tools": ("call tools", "tools", "Leave them out, or ask for another model"),
    "vision": ("look at images", "messages", "Leave them out, or ask for another model"),
    "format": ("keep to JSON", "response_format", "Leave the format out, or ask for another model"),
    "embedding": ("embed", "model", "Ask for a model that was made for it"),
    "completion": ("chat", "model", "It only embeds: ask for another model"),
    "thinking": ("think", "think", "Leave `think` out, or ask for another model"),
    "insert": ("fill a gap before a suffix", "suffix", "Leave it out, or ask for another model"),
}


def unknown(name: str, known: Sequence[str]) -> UnknownModel:
    """The error for a name nobody serves, with the nearest that is."""
    meant = nearest(name, known)
    hint = f"Did you mean `{meant}`?" if meant else "GET /v1/models lists what is."
    return UnknownModel(f"No model `{name[:100]}` is served here. {hint}")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant, or None."""
    found = difflib.get_close_matches(name.lower(), {known_name.lower(): known_name for known_name in known}, n=1, cutoff=0.5)
    return next((known_name for known_name in known if known_name.lower() == found[0]), None) if found else None
