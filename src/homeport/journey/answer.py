"""Replies that need no model."""

from __future__ import annotations

import time
from collections.abc import Mapping

import msgspec

from homeport.errors import Malformed, Uncarried
from homeport.ports import Backend, Catalogue
from homeport.rules.canned import Canned
from homeport.vocabulary import CHAT, GENERATE, MESSAGES, NOTHING, OLLAMA_CHAT, RESPONSES, Ask, Reply
from homeport.wire.dialects import HEARD
from homeport.wire.normal import Answer, Prompt
from homeport.wire.ollama import reply as ollama_reply

CHATS = frozenset({CHAT, RESPONSES, MESSAGES, OLLAMA_CHAT, GENERATE})
NONE = Canned()


class Answers:
    """Answers what asks nothing of a model (step `answer`): what the owner wrote answers for, and Ollama's requests that only load one, or embed nothing."""

    def __init__(self, catalogue: Catalogue, backends: Mapping[str, Backend], canned: Canned = NONE) -> None:
        self._catalogue = catalogue
        self._backends = backends
        self._canned = canned if canned else None

    def __call__(self, ask: Ask) -> Reply | None:
        """The reply, or None where a backend must answer; also for a model that is not served, so that `choose` says so.

        Raises Uncarried where a model should be unloaded that no Ollama serves.
        """
        if self._canned is not None and self._canned.covers(ask.model) and (reply := self._by_rule(ask, self._canned)) is not None:
            return reply
        if ask.dialect != "ollama":
            return None
        body = ollama_reply.ready(ask, time.time())
        served = self._catalogue.find(ask.model) if body is not None else None
        if body is None or served is None or any(self._backends[route.backend].dialect == "ollama" for route in served.routes):
            return None  # a real Ollama loads and unloads by itself
        if b'"unload"' in body:
            raise Uncarried("`keep_alive` of 0 would unload the model, and no backend of this one is an Ollama. Leave it out.", param="keep_alive")
        return Reply(200, "application/json", body, NOTHING, None, True, 0.0)

    def _by_rule(self, ask: Ask, canned: Canned) -> Reply | None:
        """What the owner's rules say to the last message of a chat; a task, whose answer has a type, has rules of its own."""
        if ask.surface not in CHATS or (ask.errand is not None and ask.errand.task) or self._catalogue.find(ask.model) is None:
            return None
        text = _message(ask)
        said = canned.reply(ask.model, text) if text is not None else None
        if said is None:
            return None
        written, heard = ask, HEARD[ask.dialect]
        if ask.stream and ask.surface is RESPONSES:  # its streams are made of a chat
            written, heard = msgspec.structs.replace(ask, surface=CHAT), HEARD["openai"]
        body = heard.whole(written, Answer(said, finish="stop", usage=NOTHING), int(time.time()))
        return Reply(200, "application/json", body, NOTHING, "stop", False, 0.0)


def _message(ask: Ask) -> str | None:
    """The text of a chat's last message where its user wrote it, and it asks for no form of the answer; else None."""
    try:
        prompt = HEARD[ask.dialect].understand(ask)
    except (Malformed, Uncarried):  # a backend of the same dialect may know better
        return None
    if not isinstance(prompt, Prompt) or prompt.raw or prompt.suffix or prompt.format is not None or not prompt.turns:
        return None
    last = prompt.turns[-1]
    return last.text if last.role == "user" and not last.images else None
