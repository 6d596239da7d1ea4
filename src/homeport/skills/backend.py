"""The bundled model as a backend: what code answers better is answered here, with the engine's help; all else is the engine's own."""

from __future__ import annotations

import os
from typing import Any

from homeport.backends.discovery import weights
from homeport.backends.http import HttpBackend
from homeport.pilot import ABOUT
from homeport.ports import Upstream
from homeport.vocabulary import CHAT, GENERATE, MESSAGES, OLLAMA_CHAT, RESPONSES, Ask, Route

CHATS = frozenset({CHAT, RESPONSES, MESSAGES, OLLAMA_CHAT, GENERATE})
SWITCH = "HOMEPORT_PILOT_SKILLS"  # of the evaluation: "both"; "rules", which never asks the engine for a task; "decoder", which leaves all to it


class PilotBackend(HttpBackend):
    """A backend of kind pilot (port Backend). No other kind's answers are touched."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._cards.about = ABOUT[weights(self.settings).stem]
        self._mode = os.environ.get(SWITCH, "both")

    def send(self, ask: Ask, route: Route) -> Upstream:
        """Send the ask, or have code answer it; what comes back comes by `head`."""
        if ask.surface in CHATS and route.begun is None and self._mode != "decoder":
            from homeport.skills import answering  # what follows from it is loaded with the first chat

            work = answering.work(ask, decoder=self._mode != "rules")
            if work is not None:
                return answering.Composed(work, ask, route, self._line.page)
        return super().send(ask, route)
