"""A response of the Responses API and the items of its output, as the streams and the whole replies both have them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from homeport.vocabulary import Ask, Usage
from homeport.wire.responses.tools import Offer, Offered, unwrapped

_encode = msgspec.json.Encoder().encode
_NULL = Raw(b"null")
_PREFIXES = {"message": "msg", "reasoning": "rs", "function": "fc", "custom": "ctc", "tool_search": "tsc"}
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
_ECHOED = {  # what is said again as it was sent, and what stands there where it was not
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "top_p": None,
    "user": None,
}

Item = dict[str, Any]


def response(ask: Ask, offered: Offer, created: int) -> dict[str, Any]:
    """A response in progress. `created` is seconds since the epoch. Its tools are those that the model was offered."""
    head: dict[str, Any] = {
        "id": f"resp_{stem(ask)}",
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": ask.model,
        "output": [],
        "previous_response_id": None,
        "service_tier": "default",
        "store": False,
        "tools": Raw(_encode(offered.shown)),
        "top_logprobs": 0,
        "truncation": "disabled",
        "usage": None,
    }
    for name, default in _ECHOED.items():
        given = ask.fields.get(name, _NULL)
        head[name] = default if given == _NULL else given
    return head


def ended(head: dict[str, Any], output: list[Item], finish: str, usage: Usage) -> dict[str, Any]:
    """The response as it came out: completed, or incomplete where its length or a filter ended it."""
    reason = _INCOMPLETE.get(finish)
    return head | {
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "output": output,
        "usage": {
            "input_tokens": usage.prompt,
            "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
            "output_tokens": usage.completion,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": usage.prompt + usage.completion,
        },
    }


def cut_short(finish: str) -> bool:
    """Whether this finish leaves the last item incomplete."""
    return finish in _INCOMPLETE


def stem(ask: Ask) -> str:
    """What all ids of a response have in common."""
    return ask.id.removeprefix("req-")


def item_id(ask: Ask, kind: str, index: int) -> str:
    """The id of the item at `index` of the output."""
    return f"{_PREFIXES[kind]}_{stem(ask)}_{index}"


def message(id: str, text: str | None, status: str) -> Item:
    """A message; without content where `text` is None."""
    return {"type": "message", "id": id, "status": status, "role": "assistant", "content": [] if text is None else [text_part(text)]}


def reasoning(id: str, text: str | None, status: str) -> Item:
    """The thinking itself, in its own words, so it is content and no summary; without any where `text` is None."""
    return {"type": "reasoning", "id": id, "status": status, "summary": [], "content": [] if text is None else [thought_part(text)]}


def text_part(text: str) -> dict[str, Any]:
    """The content of a message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def thought_part(text: str) -> dict[str, Any]:
    """The content of a reasoning item."""
    return {"type": "reasoning_text", "text": text}


def call(id: str, call_id: str, called: Offered, arguments: str, status: str) -> Item:
    """A call, as the kind of tool that the caller offered under this name. `arguments` are the model's JSON text."""
    item: Item = {"id": id, "call_id": call_id, "status": status}
    if called.kind == "tool_search":
        return item | {"type": "tool_search_call", "execution": "client", "arguments": _object(arguments)}
    item["name"] = called.name
    if called.namespace:
        item["namespace"] = called.namespace
    if called.kind == "custom":
        return item | {"type": "custom_tool_call", "input": unwrapped(arguments) if arguments else ""}
    return item | {"type": "function_call", "arguments": arguments}


def _object(arguments: str) -> Any:
    try:
        return msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):  # it was cut
        return {}
