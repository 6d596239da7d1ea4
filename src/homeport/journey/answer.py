"""Replies that need no model."""

from __future__ import annotations

import time

from homeport.ports import Catalogue
from homeport.vocabulary import NOTHING, Ask, Reply
from homeport.wire.ollama import reply as ollama_reply


class Answers:
    """Answers what asks nothing of a model (step `answer`): Ollama's requests that only load one, or embed nothing."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def __call__(self, ask: Ask) -> Reply | None:
        """The reply, or None where a model must answer; also for a model that is not served, so that `choose` says so."""
        if ask.dialect != "ollama":
            return None
        body = ollama_reply.ready(ask, time.time())
        if body is None or self._catalogue.find(ask.model) is None:
            return None
        return Reply(200, "application/json", body, NOTHING, None, True, 0.0)
