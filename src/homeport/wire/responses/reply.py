"""Whole replies to `/v1/responses`, and how errors are told there."""

from __future__ import annotations

from typing import Any

import msgspec

from homeport.errors import BrokeMidStream, HomeportError
from homeport.vocabulary import NOTHING, Ask
from homeport.wire.normal import Answer
from homeport.wire.openai import reply as openai_reply
from homeport.wire.openai.writer import call_id
from homeport.wire.responses import output
from homeport.wire.responses.tools import offer

_encode = msgspec.json.Encoder().encode


def whole(ask: Ask, answer: Answer, created: int = 0) -> bytes:
    """An answer as the whole response. `created` is seconds since the epoch. Raises BrokeMidStream without a finish."""
    if answer.finish is None:
        raise BrokeMidStream("the answer has no finish reason")
    offered = offer(ask.fields)
    items: list[output.Item] = []
    if answer.reasoning:
        items.append(output.reasoning(output.item_id(ask, "reasoning", len(items)), answer.reasoning, "completed"))
    if answer.text:
        items.append(output.message(output.item_id(ask, "message", len(items)), answer.text, "completed"))
    for index, call in enumerate(answer.calls):
        called = offered.called(call.name)
        id = output.item_id(ask, called.kind, len(items))
        items.append(output.call(id, call.id or call_id(ask, index), called, call.arguments, "completed"))
    if items and output.cut_short(answer.finish):
        items[-1]["status"] = "incomplete"
    return _encode(output.ended(output.response(ask, offered, created), items, answer.finish, answer.usage or NOTHING))


def error_body(error: HomeportError, id: str) -> bytes:
    """An error before the stream, or instead of a whole reply: OpenAI's envelope."""
    return openai_reply.error_body(error)


def error_event(error: HomeportError, id: str, number: int = 0) -> bytes:
    """An error amid a stream, after which Homeport aborts the connection. `id` is the Ask's, `number` the next event's.

    Two events, as OpenAI itself sends them: `response.failed`, which Codex reads, and `error`, at which the SDKs raise;
    the latter has its fields both beside its type, as documented, and under `error`, as sent.
    """
    told: dict[str, Any] = msgspec.json.decode(openai_reply.error_body(error))["error"]
    failed = {
        "type": "response.failed",
        "sequence_number": number,
        "response": {
            "id": f"resp_{id.removeprefix('req-')}",
            "object": "response",
            "status": "failed",
            "error": {"code": told["code"] or "server_error", "message": told["message"]},
            "incomplete_details": None,
            "output": [],
            "usage": None,
        },
    }
    event = {"type": "error", "code": told["code"], "message": told["message"], "param": told["param"], "sequence_number": number + 1, "error": told}
    return b"event: response.failed\ndata: " + _encode(failed) + b"\n\nevent: error\ndata: " + _encode(event) + b"\n\n"
