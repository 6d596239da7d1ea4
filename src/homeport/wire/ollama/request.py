"""Ollama requests: a body read once into typed fields, and passed on to an Ollama backend.

Source of the format: Ollama's API documentation, and what Ollama 0.32 was seen to take. Its streams are on by default;
a request without a prompt, or without messages, loads the model (`keep_alive` 0: unloads it) and generates nothing.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from homeport.errors import Malformed
from homeport.vocabulary import EMBED, GENERATE, OLD_EMBED, OLLAMA_CHAT, Ask, Surface
from homeport.wire.body import Reading, check_name, decode
from homeport.wire.body import value as body_value
from homeport.wire.ollama.compose import compose
from homeport.wire.ollama.options import NULL, Options, merged, split, split_for_embedding
from homeport.wire.ollama.understand import understand

__all__ = ["compose", "loads", "passing", "read", "streamable", "understand"]


class _Function(Struct, gc=False):
    name: str | None = None
    arguments: dict[str, Any] | None = None  # Ollama refuses a string


class _ToolCall(Struct, gc=False):
    function: _Function | None = None


class _Message(Struct, gc=False):
    role: str | None = None
    content: str | None = None  # Ollama refuses a list of parts
    thinking: str | None = None
    images: list[str] | None = None
    tool_calls: list[_ToolCall] | None = None


class _Body(Struct, gc=False):
    """What chat and generate share."""

    model: str
    stream: bool | None = None
    format: str | dict[str, Any] | None = None
    think: bool | str | None = None
    options: Options | None = None
    keep_alive: str | int | float | None = None
    truncate: bool | None = None
    shift: bool | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class _Chat(_Body, gc=False, kw_only=True):
    messages: list[_Message] | None = None
    tools: list[dict[str, Any]] | None = None


class _Generate(_Body, gc=False, kw_only=True):
    prompt: str | None = None
    suffix: str | None = None
    system: str | None = None
    template: str | None = None
    context: list[int] | None = None
    raw: bool | None = None
    images: list[str] | None = None


class _Embed(Struct, gc=False):
    model: str
    input: str | list[str] | None = None
    truncate: bool | None = None
    dimensions: int | None = None
    options: Options | None = None
    keep_alive: str | int | float | None = None


class _OldEmbed(Struct, gc=False):
    model: str
    prompt: str | None = None
    options: Options | None = None
    keep_alive: str | int | float | None = None


_decoders: dict[Surface, msgspec.json.Decoder[Any]] = {
    OLLAMA_CHAT: msgspec.json.Decoder(_Chat),
    GENERATE: msgspec.json.Decoder(_Generate),
    EMBED: msgspec.json.Decoder(_Embed),
    OLD_EMBED: msgspec.json.Decoder(_OldEmbed),
}
_encode = msgspec.json.Encoder().encode


def read(body: bytes, surface: Surface) -> Reading:
    """Decode and check a request body. One that only loads a model wants no stream: Ollama answers it whole.

    Raises:
        UnknownModel: a name that nothing can have.
        Malformed: not JSON, nested too deep, or a field of the wrong type; `param` names the field.
    """
    fields, seen = decode(body, _decoders[surface])
    check_name(seen.model)
    if surface is EMBED:
        return fields, seen.model, False, False, sum(map(len, _texts(seen.input)))
    if surface is OLD_EMBED:
        return fields, seen.model, False, False, len(seen.prompt or "")
    form = seen.format
    if isinstance(form, str) and form not in ("", "json"):
        raise Malformed(f'`format` is {form[:40]!r}; it is "json" or a JSON Schema as an object.', param="format")
    if surface is OLLAMA_CHAT:
        asks = bool(seen.messages)
        chars = sum(len(message.content) for message in seen.messages or () if message.content)
    else:
        asks = bool(seen.prompt)
        chars = len(seen.prompt or "") + len(seen.system or "") + len(seen.suffix or "")
        if seen.raw and asks and (seen.system or seen.template or seen.context):
            raise Malformed("`raw` takes neither `system` nor `template` nor `context`: the prompt goes to the model as it is. Leave them out.", param="raw")
    stream = asks and seen.stream is not False
    return fields, seen.model, stream, stream, chars


def loads(fields: dict[str, Raw], surface: Surface) -> str | None:
    """What a request does that asks nothing of its model: "load", or "unload" it; None for one that asks.

    The text is Ollama's `done_reason`; `ollama.reply.ready` makes the reply.
    """
    if surface is OLLAMA_CHAT:
        messages = bytes(fields.get("messages", NULL))
        asks = messages != b"null" and bool(messages[1:-1].strip())
    elif surface is GENERATE:
        asks = bytes(fields.get("prompt", NULL)) not in (b"null", b'""')
    else:
        return None
    if asks:
        return None
    keep = body_value(fields.get("keep_alive", NULL))
    if isinstance(keep, str):  # a duration, such as "5m": nothing where no digit of it is more than zero
        return "unload" if "0" in keep and not set(keep) & set("123456789") else "load"
    return "unload" if keep == 0 and keep is not None else "load"


def passing(ask: Ask, *, model: str, stream: bool, options: dict[str, Any]) -> bytes:
    """The body for an Ollama backend: the caller's own fields under its model's name there.

    `options` are the route's defaults: what the caller sent wins, each of its `options` for itself. Where the caller
    did not say, `truncate` is false: Ollama would cut a prompt that is too long, and says nothing of it.
    """
    surface = ask.surface
    top, inner = split(options) if surface is OLLAMA_CHAT or surface is GENERATE else split_for_embedding(options)
    out: dict[str, Any] = {"model": model} if surface is OLD_EMBED else {"model": model, "truncate": False}
    if surface is OLD_EMBED:
        top.pop("truncate", None)
    out |= top
    out |= {name: value for name, value in ask.fields.items() if value != NULL}
    out["model"] = model
    if surface is OLLAMA_CHAT or surface is GENERATE:
        out["stream"] = stream
    if inner:
        out["options"] = merged(inner, ask.fields.get("options"))
    return _encode(out)


def streamable(fields: dict[str, Raw], surface: Surface) -> bool:
    """Whether a stream carries all that a whole reply to this request would hold."""
    return (surface is OLLAMA_CHAT or surface is GENERATE) and loads(fields, surface) is None


def _texts(given: str | list[str] | None) -> list[str]:
    return [given] if isinstance(given, str) else given or []
