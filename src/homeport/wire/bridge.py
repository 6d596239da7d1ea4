"""From any caller's dialect to any backend's: the Bridge of each pair."""

from __future__ import annotations

from homeport.vocabulary import (
    CHAT,
    COMPLETIONS,
    COUNT_TOKENS,
    EMBED,
    EMBEDDINGS,
    GENERATE,
    MESSAGES,
    OLD_EMBED,
    OLLAMA_CHAT,
    RESPONSES,
    Surface,
)
from homeport.wire.across import Across
from homeport.wire.crossing import Bridge
from homeport.wire.dialects import HEARD, SPOKEN
from homeport.wire.passing import Anthropic, Counting, Ollama, OpenAI

SURFACES: dict[str, tuple[Surface, ...]] = {
    "openai": (CHAT, COMPLETIONS, EMBEDDINGS),
    "responses": (RESPONSES,),
    "anthropic": (MESSAGES, COUNT_TOKENS),
    "ollama": (OLLAMA_CHAT, GENERATE, EMBED, OLD_EMBED),
}
_SAME: dict[str, Bridge] = {"openai": OpenAI("openai"), "ollama": Ollama("ollama"), "anthropic": Anthropic("anthropic")}


def _between(dialect: str, surface: Surface, backend: str) -> Bridge:
    if surface is COUNT_TOKENS:
        return Counting(backend)
    return _SAME[dialect] if dialect == backend else Across(HEARD[dialect], SPOKEN[backend])


BRIDGES: dict[str, dict[Surface, Bridge]] = {
    backend: {surface: _between(dialect, surface, backend) for dialect, surfaces in SURFACES.items() for surface in surfaces} for backend in SPOKEN
}
"""By the backend's dialect, then by the surface that was asked."""
