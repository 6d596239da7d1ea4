"""The events of Anthropic's streams, one at a time, and the words and counts that streams and whole replies share.

Source of the format: Anthropic's Messages API. An event is a line `event: TYPE` and a line `data: {"type": TYPE, …}`.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from homeport.errors import BrokeMidStream
from homeport.vocabulary import Usage
from homeport.wire.assemble import Run
from homeport.wire.openai.reply import renamed
from homeport.wire.openai.stream import error_kind
from homeport.wire.sse import payload
from homeport.wire.usage import tokens

Event = dict[str, Any]
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_TEXT = {"text": re.compile(rb'"text": ?"'), "thinking": re.compile(rb'"thinking": ?"')}
NO_CALL = "the reply says it calls a tool, and there is no call in it"

_FINISHES = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def finish_of(reason: Any) -> str | None:
    """A `stop_reason` in OpenAI's words; one without a word there as it is, None where there is none."""
    return _FINISHES.get(reason, reason) if isinstance(reason, str) and reason else None


def translated_finish(reason: Any) -> str:
    """The same for another dialect. Raises BrokeMidStream for a reason that other dialects have no word for: the answer is not done."""
    if not isinstance(reason, str) or not reason:
        raise BrokeMidStream("the reply has no stop reason")
    if reason not in _FINISHES:
        raise BrokeMidStream("the backend stopped for a reason that cannot be said in another dialect")
    return _FINISHES[reason]


def stop_reason_of(finish: str | None, stopped_by: str | None, *, calls: bool) -> str:
    """A finish in Anthropic's words.

    Raises BrokeMidStream where there is none, where it is no end of an answer, and where the call it tells of is not there.
    """
    if finish in ("tool_calls", "function_call") or (finish == "stop" and calls):
        if not calls:
            raise BrokeMidStream(NO_CALL)
        return "tool_use"
    if finish == "stop":
        return "end_turn" if stopped_by is None else "stop_sequence"
    if finish == "length":
        return "max_tokens"
    if finish == "content_filter":
        return "refusal"
    raise BrokeMidStream("the answer ended without a finish reason" if finish is None else "the answer ended for no known reason")


def usage_of(counts: dict[str, Any]) -> Usage:
    """The counts of a `usage` object. What was read from a cache or written to one is not in `input_tokens`, but is prompt."""
    cached = _count(counts, "cache_read_input_tokens")
    details = counts.get("output_tokens_details")
    return Usage(
        _count(counts, "input_tokens") + cached + _count(counts, "cache_creation_input_tokens"),
        _count(counts, "output_tokens"),
        cached,
        _count(details, "thinking_tokens") if isinstance(details, dict) else 0,
    )


def _count(counts: dict[str, Any], name: str) -> int:
    value = counts.get(name)
    return tokens(value) if isinstance(value, (int, float)) else 0


def untranslated(block: Event) -> BrokeMidStream:
    """The error for a content block that no other dialect has."""
    return BrokeMidStream(f"the reply holds what cannot be translated ({'a block of another type' if isinstance(block.get('type'), str) else 'no type'})")


def counts_of(usage: Usage) -> dict[str, Any]:
    """A `usage` object."""
    counts: dict[str, Any] = {
        "input_tokens": max(usage.prompt - usage.cached, 0),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.completion,
    }
    if usage.reasoning:
        counts["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return counts


def merged(counts: dict[str, Any], event: Event) -> dict[str, Any]:
    """The counts so far under those of a later event, whose totals replace them; what it leaves out stands."""
    later = event.get("usage")
    return {**counts, **{name: value for name, value in later.items() if value is not None}} if isinstance(later, dict) else counts


def decoded(event: bytes) -> Event | None:
    """What an event says; None for a comment, and for the `[DONE]` that some servers add.

    Raises BrokeMidStream where it is not JSON, or an error: `{"type": "error", "error": …}` or an engine's own `{"error": …}`.
    """
    text = _data(event)
    if text is None or text == b"[DONE]":
        return None
    try:
        says = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BrokeMidStream("an event of the stream is not JSON") from None
    if not isinstance(says, dict):
        raise BrokeMidStream("an event of the stream is not an event of a message")
    if says.get("error") or says.get("type") == "error":
        raise BrokeMidStream(f"the backend reported an error ({error_kind(says.get('error'))})")
    return says


def _data(event: bytes) -> bytes | None:
    start = event.find(b"\ndata: ") + 7
    if start > 6 and event.startswith(b"event: ") and event.find(b"\n", start) == len(event) - 2:
        return event[start:-2]
    return payload(event)


def part(says: Event, name: str) -> Event:
    """An object in an event: `message`, `content_block` or `delta`. Raises BrokeMidStream where it is none."""
    value = says.get(name)
    if not isinstance(value, dict):
        raise BrokeMidStream("an event of the stream is not an event of a message")
    return value


def index(says: Event) -> int:
    """Which block an event is about. Raises BrokeMidStream where it does not say."""
    value = says.get("index")
    if type(value) is not int:
        raise BrokeMidStream("an event of the stream does not say which block it is about")
    return value


def wire(says: Event) -> bytes:
    """An event as it is sent."""
    return b"event: %b\ndata: %b\n\n" % (says["type"].encode(), _encode(says))


def under(asked: str, event: bytes, says: Event) -> bytes:
    """A `message_start` with the asked name in place of the backend's; else untouched."""
    theirs = says["message"].get("model")
    if theirs == asked:
        return event
    out = renamed(event, theirs, asked) if isinstance(theirs, str) and theirs else event
    return out if out is not event else wire(says | {"message": says["message"] | {"model": asked}})


def speaks(block: Event) -> bool:
    """Whether a content block, or the start of one, says something: any but an empty text and an empty thought."""
    if block.get("type") in ("text", "thinking"):
        return bool(block.get("text") or block.get("thinking"))
    return True


def calls(block: Event) -> bool:
    """Whether a content block is a tool's call, the caller's tool or the server's."""
    return str(block.get("type")).endswith("tool_use")


class Mould(Run):
    """A run of deltas of one block that are alike but for their text."""

    __slots__ = ()

    @classmethod
    def of(cls, event: bytes, says: Event) -> Mould | None:
        """The mould of a decoded delta, where it holds a text or a thought and nothing else."""
        delta = says["delta"]
        if len(says) != 3 or len(delta) != 2:
            return None
        for field, place in _TEXT.items():
            text = delta.get(field)
            if isinstance(text, str) and text:
                match = place.search(event)
                if match is None or event.count(match.group()) > 1:
                    return None
                end = event.find(b'"', match.end())
                same = event[match.end() : end] == _encode(text)[1:-1]
                return cls(event[: match.end()], event[end:], field, says["index"]) if same else None
        return None

    def drain(self) -> tuple[str, int]:
        """The text that was taken since the last time, and of how many events it is. Raises BrokeMidStream."""
        text, events = self.text(), self.events
        self._texts.clear()
        self.events = 0
        return text, events
