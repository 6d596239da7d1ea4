"""OpenAI requests: a body read once into typed fields, and written anew for a backend."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from homeport.errors import Malformed
from homeport.vocabulary import CHAT, COMPLETIONS, EMBEDDINGS, Surface
from homeport.wire.body import Reading, check_name, decode
from homeport.wire.body import value as body_value


class StreamOptions(Struct, gc=False):
    """`stream_options`."""

    include_usage: bool | None = None


class Message(Struct, gc=False):
    """One of `messages`."""

    role: str
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[dict[str, Any]] | None = None


class ChatBody(Struct, gc=False):
    """What Homeport looks at in `/v1/chat/completions`; everything else passes through."""

    model: str
    messages: list[Message]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    user: str | None = None


class CompletionBody(Struct, gc=False):
    """What Homeport looks at in `/v1/completions`."""

    model: str
    prompt: str | list[Any] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = None
    best_of: int | None = None
    echo: bool | None = None
    logprobs: int | bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: str | list[str] | None = None


class EmbeddingBody(Struct, gc=False):
    """What Homeport looks at in `/v1/embeddings`."""

    model: str
    input: str | list[Any]
    encoding_format: str | None = None
    dimensions: int | None = None


_decoders: dict[Surface, msgspec.json.Decoder[Any]] = {
    CHAT: msgspec.json.Decoder(ChatBody),
    COMPLETIONS: msgspec.json.Decoder(CompletionBody),
    EMBEDDINGS: msgspec.json.Decoder(EmbeddingBody),
}
_encoder = msgspec.json.Encoder()


def read(body: bytes, surface: Surface) -> Reading:
    """Decode and check a request body.

    Raises:
        UnknownModel: a name that nothing can have.
        Malformed: not JSON, nested deeper than MAX_DEPTH, or a field of the wrong type; `param` names the field.
    """
    fields, seen = decode(body, _decoders[surface])
    check_name(seen.model)
    if surface is EMBEDDINGS:
        return fields, seen.model, False, False, _prompt_chars(seen.input)
    chars = 0
    if surface is CHAT:
        if not seen.messages:
            raise Malformed("`messages` is empty. Send at least one message.", param="messages")
        for message in seen.messages:
            content = message.content
            chars += len(content) if type(content) is str else _part_chars(content)
    else:
        chars = _prompt_chars(seen.prompt)
    n = seen.n
    if n is not None and not 1 <= n <= 128:
        raise Malformed(f"`n` is {n}; it must be from 1 to 128.", param="n")
    if not seen.stream:
        return fields, seen.model, False, False, chars
    options = seen.stream_options
    return fields, seen.model, True, options is not None and bool(options.include_usage), chars


def write(fields: dict[str, Raw], *, model: str, stream: bool, options: dict[str, Any], surface: Surface) -> bytes:
    """The body for a backend: the caller's fields, with its model's name there, and a stream with usage where one is asked.

    `options` are defaults: a field the caller sent wins. Unknown fields pass through untouched.
    """
    if surface is EMBEDDINGS:  # nothing is sampled, so no option applies
        return _encoder.encode({**fields, "model": model})
    out: dict[str, Any] = {**options, **fields} if options else dict(fields)
    if options and "max_completion_tokens" in fields and "max_tokens" not in fields:  # two names of one limit
        out.pop("max_tokens", None)
    out["model"] = model
    if stream:
        out["stream"] = True
        given = fields.get("stream_options")
        out["stream_options"] = _with_usage(given) if given is not None else _ASK_USAGE
    else:
        out.pop("stream_options", None)  # vLLM refuses it without `stream`
        if "stream" in out:
            out["stream"] = False
    return _encoder.encode(out)


_ASK_USAGE = Raw(b'{"include_usage":true}')


def _with_usage(given: Raw) -> dict[str, Any]:
    options = body_value(given)
    return {**options, "include_usage": True} if isinstance(options, dict) else {"include_usage": True}


def streamable(fields: dict[str, Raw], surface: Surface) -> bool:
    """Whether a stream carries all that a whole reply to this request would hold."""
    if surface is CHAT:
        return _UNSTREAMED_CHAT.isdisjoint(fields)
    if surface is COMPLETIONS:
        plain = all(name not in fields or bytes(fields[name]) in off for name, off in _OFF.items())
        return plain and bytes(fields.get("prompt", b'"'))[:1] == b'"'
    return False


_UNSTREAMED_CHAT = frozenset({"prompt_logprobs", "modalities", "audio"})
_OFF = {  # fields of a completion whose answer a stream does not carry, and the values that switch them off
    "echo": (b"null", b"false"),
    "best_of": (b"null", b"1"),
    "logprobs": (b"null", b"false"),
    "prompt_logprobs": (b"null",),
    "suffix": (b"null", b'""'),
}


def several(fields: dict[str, Raw], surface: Surface) -> bool:
    """Whether more than one choice may come: `n`, or a list of prompts."""
    return "n" in fields or (surface is COMPLETIONS and bytes(fields.get("prompt", b'"'))[:1] == b"[")


def _prompt_chars(prompt: str | list[Any] | None) -> int:
    if isinstance(prompt, str):
        return len(prompt)
    return sum(len(part) for part in prompt if isinstance(part, str)) if prompt else 0


def _part_chars(parts: list[dict[str, Any]] | None) -> int:
    return sum(len(part["text"]) for part in parts if isinstance(part.get("text"), str)) if parts else 0
