"""Replies that need no model."""

from __future__ import annotations

import time
from collections.abc import Mapping

from homeport.errors import Uncarried
from homeport.ports import Backend, Catalogue
from homeport.vocabulary import NOTHING, Ask, Reply
from homeport.wire.ollama import reply as ollama_reply


class Answers:
    """Answers what asks nothing of a model (step `answer`): Ollama's requests that only load one, or embed nothing."""

    def __init__(self, catalogue: Catalogue, backends: Mapping[str, Backend]) -> None:
        self._catalogue = catalogue
        self._backends = backends

    def __call__(self, ask: Ask) -> Reply | None:
        """The reply, or None where a backend must answer; also for a model that is not served, so that `choose` says so.

        Raises Uncarried where a model should be unloaded that no Ollama serves.
        """
        if ask.dialect != "ollama":
            return None
        body = ollama_reply.ready(ask, time.time())
        served = self._catalogue.find(ask.model) if body is not None else None
        if body is None or served is None or any(self._backends[route.backend].dialect == "ollama" for route in served.routes):
            return None  # a real Ollama loads and unloads by itself
        if b'"unload"' in body:
            raise Uncarried("`keep_alive` of 0 would unload the model, and no backend of this one is an Ollama. Leave it out.", param="keep_alive")
        return Reply(200, "application/json", body, NOTHING, None, True, 0.0)
