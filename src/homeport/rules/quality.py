"""Whether a whole reply, still held, is good enough to show."""

from __future__ import annotations

from homeport.vocabulary import Reply


def fault(reply: Reply) -> str | None:
    """Why a reply is not to be shown, or None where it is fine.

    An empty message that claims to have stopped by itself is what a vanished tool call or a model that only loaded
    looks like (Ollama); an empty one that ran into its limit is an answer.
    """
    if reply.empty and reply.finish in (None, "load"):
        return "an empty reply"
    return None
