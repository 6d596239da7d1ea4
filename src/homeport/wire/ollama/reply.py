"""Whole Ollama replies: read, passed on, taken apart for a stream, and written anew; embeddings too."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from homeport.errors import BrokeMidStream
from homeport.vocabulary import EMBED, NOTHING, OLD_EMBED, OLLAMA_CHAT, Ask, Usage
from homeport.wire.normal import Answer, Piece, Vectors, object_of
from homeport.wire.ollama.card import card, models, running
from homeport.wire.ollama.errors import error_body, error_event, refusal, too_long
from homeport.wire.ollama.options import NULL
from homeport.wire.ollama.record import CUT_SHORT, Record, call_of, check_vanished, created_at, durations, ending, finish_of, piece_of, usage_of
from homeport.wire.ollama.request import loads
from homeport.wire.usage import Count, tokens

__all__ = [
    "card",
    "embeddings",
    "error_body",
    "error_event",
    "models",
    "pieces",
    "read",
    "ready",
    "refusal",
    "running",
    "too_long",
    "unfold",
    "vectors",
    "whole",
]

_encode = msgspec.json.Encoder().encode
_NO_REPLY = "the reply is not what Ollama answers"


class _Whole(Record, gc=False):
    """A record, or the reply of `/api/embed` or `/api/embeddings`."""

    embeddings: Raw = NULL
    embedding: Raw = NULL


class _Vectors(Struct, gc=False):
    embeddings: list[list[float]] | None = None
    embedding: list[float] | None = None
    prompt_eval_count: Count = 0
    error: Any = None


_wholes = msgspec.json.Decoder(_Whole)
_vectors = msgspec.json.Decoder(_Vectors)
_dicts = msgspec.json.Decoder(dict[str, Any])


def read(body: bytes, asked: str, *, tools: bool = False) -> tuple[bytes, Usage, str | None, bool]:
    """A whole reply: its bytes under the asked name, its usage, its finish in OpenAI's words, and whether it is empty.

    `tools` says that tools were offered: then an empty answer that made tokens is a call that vanished.
    Raises BrokeMidStream: it is no reply, an error under status 200, or not done, or it only loaded the model.
    """
    seen = _decoded(body)
    if seen.model is not None and seen.model != asked:
        body = _renamed(body, seen.model, asked)
    if seen.embeddings != NULL or seen.embedding != NULL:
        return body, Usage(tokens(seen.prompt_eval_count)), None, False
    finish = _finish(seen, tools=tools)
    return body, usage_of(seen, 0), finish, not seen.says_something


def pieces(body: bytes, *, tools: bool = False) -> list[Piece]:
    """A whole reply as Pieces. Raises BrokeMidStream as `read` does, and where a call's arguments are no JSON object."""
    seen = _decoded(body)
    finish = _finish(seen, tools=tools)
    piece = piece_of(seen, 0)
    piece.finish, piece.usage = finish, usage_of(seen, 0)
    return [piece]


def whole(ask: Ask, answer: Answer, created: float = 0, figures: dict[str, Any] | None = None) -> bytes:
    """An answer as the whole reply to a chat or a prompt. `created` is seconds since the epoch.

    Durations are known from `figures` only, and left out without them. Raises BrokeMidStream without a finish, and
    where a call's arguments are no JSON object.
    """
    if answer.finish is None:
        raise BrokeMidStream("the answer has no finish reason")
    said: dict[str, Any] = {"thinking": answer.reasoning} if answer.reasoning else {}
    calls = [call for call in answer.calls if answer.finish not in CUT_SHORT or object_of(call.arguments) is not None]  # half a call nobody may run
    if calls:
        said["tool_calls"] = [call_of(ask, call, index) for index, call in enumerate(calls)]
    body: dict[str, Any] = {"model": ask.model, "created_at": created_at(created)}
    if ask.surface is OLLAMA_CHAT:
        body["message"] = {"role": "assistant", "content": answer.text} | said
    else:
        body |= {"response": answer.text} | said
    return _encode(body | ending(answer.finish, answer.usage or NOTHING, figures or {}))


def loaded(body: bytes, asked: str) -> bytes:
    """The reply to a request that only loads or unloads a model, under the asked name. Raises BrokeMidStream where it is none."""
    seen = _decoded(body)
    if not seen.done or seen.says_something:
        raise BrokeMidStream(_NO_REPLY)
    return _renamed(body, seen.model, asked) if seen.model is not None and seen.model != asked else body


def timed(body: bytes, figures: dict[str, Any]) -> bytes:
    """A whole that `whole` wrote, with the durations that Homeport's figures tell."""
    took = durations(figures)
    if not took or b'"done":true' not in body:  # a mark that stands only as structure: inside a string its quotes are escaped
        return body
    return body[:-1] + b"," + _encode(took)[1:]


def unfold(body: bytes, ask: Ask, figures: dict[str, Any]) -> bytes:
    """A whole reply as the stream its caller asked for: thinking, text, each call, and the last record with the figures.

    Raises BrokeMidStream where it is no reply.
    """
    try:
        reply = _dicts.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BrokeMidStream(_NO_REPLY) from None
    head = {name: reply[name] for name in ("model", "created_at") if name in reply}
    message = reply.get("message")
    said: dict[str, Any] = message if isinstance(message, dict) else reply
    text = "content" if said is message else "response"
    fixed = {"role": said.get("role", "assistant")} if said is message else {}
    parts: list[dict[str, Any]] = []
    if said.get("thinking"):
        parts.append({text: "", "thinking": said.pop("thinking")})
    if said.get(text):
        parts.append({text: said[text]})
    parts += [{text: "", "tool_calls": [call]} for call in said.pop("tool_calls", None) or ()]
    odds = reply.pop("logprobs", None) if said.get(text) else None
    lines = []
    for part in parts:
        line = head | ({"message": fixed | part} if said is message else part) | {"done": False}
        if odds is not None and part.get(text):
            line["logprobs"] = odds
        lines.append(line)
    said[text] = ""
    lines.append(reply | {"homeport": figures})
    return b"".join(_encode(line) + b"\n" for line in lines)


def ready(ask: Ask, created: float = 0) -> bytes | None:
    """The reply to a request that needs no answer of a model, as Ollama gives it; None where a model must answer.

    That is: nothing asked, so that the model is only loaded or unloaded, and nothing to embed. It is a whole, streams too.
    """
    if ask.surface is EMBED:
        return _encode({"model": ask.model, "embeddings": []}) if bytes(ask.fields.get("input", b"null")) in (b"null", b'""', b"[]") else None
    if ask.surface is OLD_EMBED:
        return _encode({"embedding": []}) if bytes(ask.fields.get("prompt", b"null")) in (b"null", b'""') else None
    reason = loads(ask.fields, ask.surface)
    if reason is None:
        return None
    said: dict[str, Any] = {"message": {"role": "assistant", "content": ""}} if ask.surface is OLLAMA_CHAT else {"response": ""}
    return _encode({"model": ask.model, "created_at": created_at(created)} | said | {"done": True, "done_reason": reason})


def vectors(body: bytes) -> Vectors:
    """The embeddings in a reply of `/api/embed` or `/api/embeddings`. Raises BrokeMidStream where there are none."""
    try:
        seen = _vectors.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BrokeMidStream(_NO_REPLY) from None
    if seen.error:
        raise BrokeMidStream("the backend reported an error")
    found = seen.embeddings if seen.embedding is None else [seen.embedding]
    if found is None:
        raise BrokeMidStream(_NO_REPLY)
    return Vectors(found, Usage(tokens(seen.prompt_eval_count)))


def embeddings(ask: Ask, vectors: Vectors) -> bytes:
    """Vectors as the reply to `/api/embed`, or the only one as that to `/api/embeddings`."""
    if ask.surface is OLD_EMBED:
        return _encode({"embedding": vectors.vectors[0] if vectors.vectors else []})
    counted = {"prompt_eval_count": vectors.usage.prompt} if vectors.usage.prompt else {}
    return _encode({"model": ask.model, "embeddings": vectors.vectors} | counted)


def _decoded(body: bytes) -> _Whole:
    try:
        seen = _wholes.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BrokeMidStream(_NO_REPLY) from None
    if seen.error:
        raise BrokeMidStream("the backend reported an error")
    return seen


def _finish(seen: Record, *, tools: bool) -> str:
    if not seen.done:
        raise BrokeMidStream("the reply is not done")
    check_vanished(seen, said=seen.says_something, tools=tools)
    return finish_of(seen.done_reason, calls=bool(seen.calls))


def _renamed(body: bytes, theirs: str, asked: str) -> bytes:
    """The body under the asked name: in the bytes where the name stands first, as Ollama has it."""
    for gap in (b"", b" "):
        begin = b'{"model":' + gap + _encode(theirs)
        if body.startswith(begin):
            return b'{"model":' + gap + _encode(asked) + body[len(begin) :]
    return _encode(_dicts.decode(body) | {"model": asked})
