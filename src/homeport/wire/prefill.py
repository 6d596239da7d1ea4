"""A request that asks an engine to go on with a begun answer."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from homeport.vocabulary import Begun, Route

_encode = msgspec.json.Encoder().encode
_fields = msgspec.json.Decoder(dict[str, Raw])
_messages = msgspec.json.Decoder(list[Raw])
_LIMITS = ("max_tokens", "max_completion_tokens")
_FLAGS = {"continue_final_message": True, "add_generation_prompt": False}  # without them vLLM begins a new turn, and so does a llama.cpp that was told to


def given(text: str, engine: str | None) -> tuple[str, str]:
    """A begun text as an engine gets it, and what of its end is kept back for the engine to say again.

    llama.cpp puts the text behind its prompt as it is. vLLM cuts the blanks off its end where the chat template does,
    and nobody can tell: so it gets none, and has to begin with just these.
    """
    if engine != "vllm":
        return text, ""
    bare = text.rstrip()
    return bare, text[len(bare) :]


def kept(begun: Begun, engine: str | None) -> int:
    """About how many tokens of a begun text the engine gets, and need not make again."""
    return begun.tokens - bool(given(begun.text, engine)[1])


def prefilled(body: bytes, route: Route) -> bytes:
    """A request of OpenAI's dialect with the answer's beginning in it, and its limit lowered by what was said.

    A chat gets it as a last turn of the assistant's, a prompt without a template as its end. `route.begun` is there.
    """
    begun = route.begun
    assert begun is not None
    fields: dict[str, Any] = dict(_fields.decode(body))
    made = begun.tokens
    if "messages" in fields:
        text, _ = given(begun.text, route.engine)
        made = kept(begun, route.engine)
        fields["messages"] = [*_messages.decode(fields["messages"]), {"role": "assistant", "content": text}]
        fields |= _FLAGS
    else:
        fields["prompt"] = msgspec.json.decode(fields["prompt"]) + begun.text
    for name in _LIMITS:
        if name in fields:
            fields[name] = _left(fields[name], made)
    return _encode(fields)


def _left(limit: Raw, made: int) -> Any:
    most = msgspec.json.decode(limit)
    return max(1, int(most) - made) if isinstance(most, int | float) and most > 0 else limit
