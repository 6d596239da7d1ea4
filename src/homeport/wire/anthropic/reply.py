"""Whole Anthropic replies: what Homeport reads in them, and errors in Anthropic's envelope."""

from __future__ import annotations

from typing import Any

import msgspec

from homeport.errors import BrokeMidStream, HomeportError, TooLong
from homeport.vocabulary import Ask, Usage
from homeport.wire.anthropic.events import NO_CALL, Event, calls, finish_of, merged, speaks, translated_finish, untranslated, usage_of, wire
from homeport.wire.anthropic.writer import whole
from homeport.wire.normal import CallPiece, Piece
from homeport.wire.openai import reply as openai_reply
from homeport.wire.openai.stream import error_kind

__all__ = ["error_body", "error_event", "models", "pieces", "read", "refusal", "unfold", "whole"]

_encode = msgspec.json.Encoder().encode
_TOO_LONG = "prompt is too long"  # Anthropic's own words
_NO_REPLY = "the reply is not what the Anthropic surface answers"


def read(body: bytes, asked: str) -> tuple[bytes, Usage, str | None, bool]:
    """A whole reply: its bytes under the asked name, its usage, its finish in OpenAI's words, and whether it is empty.

    Raises BrokeMidStream: it is no reply, an error under status 200, it stopped for no reason, or its call is not there.
    """
    message = _decoded(body)
    content = message["content"]
    finish = finish_of(message.get("stop_reason"))
    if finish is None:
        raise BrokeMidStream("the reply has no stop reason")
    if finish == "tool_calls" and not any(map(calls, content)):
        raise BrokeMidStream(NO_CALL)
    return _renamed(body, message, asked), usage_of(merged({}, message)), finish, not any(map(speaks, content))


def pieces(body: bytes) -> list[Piece]:
    """A whole reply as pieces of an answer. Raises BrokeMidStream as `read` does, and for what no other dialect can say."""
    message = _decoded(body)
    out: list[Piece] = []
    number = 0
    for block in message["content"]:
        kind = block.get("type")
        if kind == "text":
            out.append(Piece(text=_string(block, "text")))
        elif kind == "thinking":
            out.append(Piece(reasoning=_string(block, "thinking")))
        elif kind == "tool_use":
            given = block.get("input", {})
            if not isinstance(given, dict):
                raise BrokeMidStream(_NO_REPLY)
            out.append(Piece(calls=[CallPiece(number, _string(block, "id"), _string(block, "name"), _encode(given).decode())]))
            number += 1
        elif kind != "redacted_thinking":  # nobody but its author can read that
            raise untranslated(block)
    finish = translated_finish(message.get("stop_reason"))
    if finish == "tool_calls" and not number:
        raise BrokeMidStream(NO_CALL)
    stopped_by = message.get("stop_sequence")
    usage = usage_of(merged({}, message)) if isinstance(message.get("usage"), dict) else None
    out.append(Piece(finish=finish, stopped_by=stopped_by if isinstance(stopped_by, str) and stopped_by else None, usage=usage))
    return out


def unfold(body: bytes, ask: Ask, figures: dict[str, Any]) -> bytes:
    """A whole reply as the stream its caller asked for, where a backend answers only wholes. Raises BrokeMidStream where it is none."""
    message = _decoded(body)
    content, usage = message.pop("content"), message.pop("usage", None)
    delta = {name: message.get(name) for name in ("stop_reason", "stop_sequence")}
    counts = usage if isinstance(usage, dict) else {"input_tokens": 0, "output_tokens": 0}
    start = message | {"model": ask.model, "content": [], "stop_reason": None, "stop_sequence": None, "usage": counts | {"output_tokens": 0}}
    out = [wire({"type": "message_start", "message": start})]
    for number, block in enumerate(content):
        empty, deltas = _taken_apart(block)
        out.append(wire({"type": "content_block_start", "index": number, "content_block": empty}))
        out += [wire({"type": "content_block_delta", "index": number, "delta": piece}) for piece in deltas]
        out.append(wire({"type": "content_block_stop", "index": number}))
    out.append(wire({"type": "message_delta", "delta": delta, "usage": counts, "homeport": figures}))
    out.append(wire({"type": "message_stop"}))
    return b"".join(out)


def _taken_apart(block: Event) -> tuple[Event, list[Event]]:
    """A block as its start and its deltas; one of a kind that streams send at once has none."""
    kind = block.get("type")
    if kind == "text":
        return block | {"text": ""}, [{"type": "text_delta", "text": _string(block, "text")}]
    if kind == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": _string(block, "thinking")}, {"type": "signature_delta", "signature": block.get("signature") or ""}]
        return block | {"thinking": "", "signature": ""}, deltas
    if calls(block):
        return block | {"input": {}}, [{"type": "input_json_delta", "partial_json": _encode(block.get("input") or {}).decode()}]
    return block, []


def _decoded(body: bytes) -> Event:
    """The message in a body. Raises BrokeMidStream where it is none, or an error."""
    try:
        message = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BrokeMidStream(_NO_REPLY) from None
    if isinstance(message, dict) and (message.get("error") or message.get("type") == "error"):
        raise BrokeMidStream(f"the backend reported an error ({error_kind(message.get('error'))})")
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        raise BrokeMidStream(_NO_REPLY)
    return message


def _renamed(body: bytes, message: Event, asked: str) -> bytes:
    """A call's input may hold the same words, and llama.cpp writes the name after it: so only bytes that are alone are replaced."""
    theirs = message.get("model")
    if theirs == asked:
        return body
    name = _encode(theirs)
    if isinstance(theirs, str) and body.count(name) == 1:
        out = openai_reply.renamed(body, theirs, asked)
        if out is not body:
            return out
    return _encode(message | {"model": asked})


def _string(block: Event, name: str) -> str:
    value = block.get(name)
    if not isinstance(value, str):
        raise BrokeMidStream(_NO_REPLY)
    return value


def models(body: bytes) -> list[str]:
    """The ids in an Anthropic backend's `/v1/models` list, which looks like OpenAI's; none where it is not one."""
    return openai_reply.model_names(body)


def refusal(status: int, body: bytes) -> HomeportError:
    """What an answer other than 200 means: as openai_reply.refusal, with Anthropic's own words for a prompt that is too long."""
    error = openai_reply.refusal(status, body)
    return TooLong(str(error), param="messages") if status == 400 and _TOO_LONG in str(error) else error


_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def _type_of(error: HomeportError) -> str:
    """Anthropic's name for an error.

    `overloaded_error` is what its API says with 529 when it has no room, and clients wait and come again on it: so it is
    said where every queue was full. Other answers of 5xx are `api_error`: waiting may not help.
    """
    if error.code == "queue_full":
        return "overloaded_error"
    return _TYPES.get(error.status, "invalid_request_error" if error.status < 500 else "api_error")


def error_body(error: HomeportError, id: str) -> bytes:
    """An error as Anthropic's envelope: {"type": "error", "error": {type, message}, "request_id"}."""
    return _encode(_error(error, id))


def error_event(error: HomeportError, id: str) -> bytes:
    """The same as an event of a stream that is about to be aborted."""
    return wire(_error(error, id))


def _error(error: HomeportError, id: str) -> Event:
    message = str(error)
    if isinstance(error, TooLong) and _TOO_LONG not in message:  # by these words clients know that they must compact, as there is no code
        message = f"{_TOO_LONG}: {message}"
    return {"type": "error", "error": {"type": _type_of(error), "message": message}, "request_id": id}
