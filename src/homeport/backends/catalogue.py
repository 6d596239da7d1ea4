"""The models that are served, by the names apps ask for: those of the settings, or those the backends list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from homeport.rules import pinning
from homeport.settings import ModelSettings, Settings
from homeport.vocabulary import Card, Route

DEFAULT = "default"
OURS = {"engine": "llama.cpp", "pilot": "llama.cpp"}  # kinds of backends whose engine needs no asking
Place = tuple[str, str]
"""A backend's name, and that of a model there."""


class Served(Struct, frozen=True):
    """One name and what may answer it (port Served)."""

    routes: tuple[Route, ...]
    private: bool = False
    lacks: Mapping[Place, frozenset[str]] = {}  # what is known not to be there; places that lack nothing are left out
    pins: Mapping[Place, str] = {}  # digests that models must have
    barred: Mapping[Place, str] = {}  # where a model is not known to be the one that is pinned, and why


class Catalogue:
    """Finds what stands behind a name (port Catalogue).

    With `[backends]` and `[models]` in the settings the names are those of `[models]`. Else every model that a backend
    lists is served under its own name too, the first backend's where two list the same, and `default` is an alias of
    the best: the first model of the first backend, the pilot last.
    """

    def __init__(self, settings: Settings) -> None:
        self.configure(settings)
        self._served = dict(self._configured)

    def configure(self, settings: Settings) -> None:
        """Take over other settings; what is served changes with the next `learn`, all at once."""
        self._open = settings.discover or not settings.models  # whether what backends list is served too
        self._configured: dict[str, Served] = {}
        for model in settings.models.values():
            routes = tuple(_route(settings, route.backend, route.model, route.while_in_flight_below, model.options, model.name) for route in model.routes)
            if model.on_break == "continue":
                routes = tuple(msgspec.structs.replace(route, on_break="continue", engine=OURS.get(settings.backends[route.backend].kind)) for route in routes)
            if model.private:
                routes = tuple(msgspec.structs.replace(route, private=True) for route in routes)
            pins = _pins(model, routes)
            self._configured[model.name] = Served(routes, model.private, pins=pins, barred=dict.fromkeys(pins, pinning.UNKNOWN))
        self._openai = frozenset(name for name, backend in settings.backends.items() if backend.kind == "openai")

    def find(self, name: str) -> Served | None:
        """What stands behind a name, or None. A name without its tag finds `name:latest`, and the other way round, as with Ollama."""
        return self._served.get(name) or self._served.get(f"{name}:latest") or self._served.get(name.removesuffix(":latest"))

    def names(self) -> list[str]:
        """All names, in order."""
        return list(self._served)

    def items(self) -> Iterable[tuple[str, Served]]:
        return self._served.items()

    def learn(self, listed: Mapping[str, list[str]], card: Callable[[str, str], Card | None]) -> None:
        """Take in what the backends list, by backend, best first, and what is known of a model at one. A name of the settings wins."""
        served = dict(self._configured)
        if self._open:
            for backend, models in listed.items():
                for model in models:
                    served.setdefault(model, Served((Route(backend, model),)))
            found = next((Served((Route(backend, model),)) for backend, models in listed.items() for model in models), None)
            if found is not None and DEFAULT not in served:
                served = {DEFAULT: found, **served}
        self._served = {name: self._with_cards(one, card) for name, one in served.items()}

    def strayed(self, card: Callable[[str, str], Card | None]) -> Iterable[tuple[Place, str, str]]:
        """Each place where another model is than its owner pinned: the place, its digest, and why that is not it."""
        for served in self._served.values():
            for place, why in served.barred.items():
                found = card(*place)
                if found is not None and pinning.bare(found):
                    yield place, pinning.bare(found), why

    def _with_cards(self, served: Served, card: Callable[[str, str], Card | None]) -> Served:
        known = {(route.backend, route.model): found for route in served.routes if (found := card(route.backend, route.model)) is not None}
        lacks = {place: found.lacks for place, found in known.items() if found.lacks}
        routes = served.routes
        if any(route.on_break == "continue" for route in routes):
            routes = tuple(self._with_engine(route, known.get((route.backend, route.model))) for route in routes)
        barred = {place: why for place, pin in served.pins.items() if (why := pinning.against(pin, known.get(place)))}
        return Served(routes, served.private, lacks, served.pins, barred) if lacks or served.pins or routes is not served.routes else served

    def _with_engine(self, route: Route, card: Card | None) -> Route:
        return msgspec.structs.replace(route, engine=card.engine) if card is not None and route.backend in self._openai else route


def _pins(model: ModelSettings, routes: tuple[Route, ...]) -> dict[Place, str]:
    return {(route.backend, route.model): told.digest for told, route in zip(model.routes, routes, strict=True) if told.digest is not None}


def _route(settings: Settings, backend: str, model: str | None, below: int | None, options: dict[str, Any], name: str) -> Route:
    told = settings.backends[backend]
    kind = told.kind
    if model is None:
        model = (told.model.stem if told.model else "pilot") if kind == "pilot" else backend if kind == "engine" else name
    if kind in ("ollama", "anthropic"):  # their dialects put each option where it belongs
        return Route(backend, model, below, options)
    sent = {key: value for key, value in options.items() if key not in ("think", "keep_alive", "num_ctx")}
    if "think" in options:  # llama.cpp and vLLM take it as an argument of the chat template
        sent["chat_template_kwargs"] = {"enable_thinking": bool(options["think"])}
    return Route(backend, model, below, sent)
