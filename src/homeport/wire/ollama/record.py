"""The records of Ollama's answers: one a line in a stream, one alone as a whole reply.

Source of the format: Ollama's API documentation, and what Ollama 0.32 was seen to send. `{"error": "…"}` is a record
too. The last one has `done`, a `done_reason`, counts (zeros are left out) and durations in nanoseconds. Tool calls come
whole, their arguments as an object; on models with a template of their own they come before the last record, on others
in it. `done_reason` stays "stop" beside them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Raw, Struct

from homeport.errors import BrokeMidStream
from homeport.vocabulary import Ask, Usage
from homeport.wire.normal import Call, CallPiece, Piece, object_of
from homeport.wire.ollama.options import NULL
from homeport.wire.usage import Count, tokens

_LOADED = ("load", "unload")
CUT_SHORT = ("length", "content_filter")  # finishes under which a call may lack its end
_FINISHES = frozenset({"stop", "length", "content_filter", "tool_calls"})
_NOT_A_RECORD = "a line of the stream is not a record of an answer"


class _Called(Struct, gc=False):
    name: str = ""
    arguments: Raw = NULL


class _ToolCall(Struct, gc=False):
    id: str | None = None
    function: _Called | None = None


class _Said(Struct, gc=False):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_ToolCall] | None = None


class Record(Struct, gc=False):
    """One record, of a chat (`message`) or of a generated text (`response`)."""

    model: str | None = None
    message: _Said | None = None
    response: str | None = None
    thinking: str | None = None
    tool_calls: list[_ToolCall] | None = None
    done: bool | None = None
    done_reason: str | None = None
    prompt_eval_count: Count = 0
    eval_count: Count = 0
    error: Any = None

    @property
    def text(self) -> str:
        return (self.message.content if self.message is not None else self.response) or ""

    @property
    def thought(self) -> str:
        return (self.message.thinking if self.message is not None else self.thinking) or ""

    @property
    def calls(self) -> list[_ToolCall]:
        return (self.message.tool_calls if self.message is not None else self.tool_calls) or []

    @property
    def says_something(self) -> bool:
        """Whether it holds content: text, thinking or a tool call."""
        return bool(self.text or self.thought or self.calls)


_decoder = msgspec.json.Decoder(Record)
_dicts = msgspec.json.Decoder(dict[str, Any])


def record(line: bytes) -> Record:
    """A line, read. Raises BrokeMidStream where it is no record, or an error."""
    try:
        read = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BrokeMidStream(_NOT_A_RECORD) from None
    if read.error:
        raise BrokeMidStream("the backend reported an error")
    return read


def fields_of(line: bytes) -> dict[str, Any]:
    """All fields of a line. Raises BrokeMidStream where it is no JSON object."""
    try:
        return _dicts.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BrokeMidStream(_NOT_A_RECORD) from None


def finish_of(reason: str | None, *, calls: bool) -> str:
    """A last record's `done_reason` in OpenAI's words. Raises BrokeMidStream where it says that nothing was answered."""
    if reason in _LOADED:
        raise BrokeMidStream("the backend loaded its model instead of answering")
    if not reason:
        raise BrokeMidStream("the answer ended without a done_reason")
    if reason not in _FINISHES:
        raise BrokeMidStream("the answer ended for a reason that is not known")
    return "tool_calls" if calls and reason == "stop" else reason


def usage_of(last: Record, events: int) -> Usage:
    """The counts of a last record. One without them, though something was said, leaves the events to count."""
    prompt, made = tokens(last.prompt_eval_count), tokens(last.eval_count)
    if not made and events:
        return Usage(prompt, events, estimated=True)
    return Usage(prompt, made)


def check_vanished(last: Record, *, said: bool, tools: bool) -> None:
    """Raises BrokeMidStream where tools were offered and tokens were made, but the answer stopped with nothing in it.

    That is how a tool call looks that Ollama could not read, or that named a tool not offered. (The end token counts
    as one.) One that ran into its limit says so: "length".
    """
    if tools and not said and last.done_reason == "stop" and (last.eval_count or 0) > 1:
        raise BrokeMidStream("the answer is empty, though tokens were made: a tool call vanished")


def piece_of(read: Record, first_call: int) -> Piece:
    """The content of a record as a Piece; its calls are numbered from `first_call` on."""
    calls = read.calls
    return Piece(read.text, read.thought, [_call_piece(call, first_call + number) for number, call in enumerate(calls)] if calls else None)


def _call_piece(call: _ToolCall, index: int) -> CallPiece:
    function = call.function
    if function is None or not function.name:
        raise BrokeMidStream("a tool call of the answer has no name")
    if function.arguments == NULL:
        return CallPiece(index, call.id or "", function.name, "{}")
    given = bytes(function.arguments)
    fields_of(given)  # raw JSON is not checked any further until somebody reads it
    return CallPiece(index, call.id or "", function.name, given.decode())


def call_of(ask: Ask, call: Call, index: int) -> dict[str, Any]:
    """A whole call as Ollama has it. Raises BrokeMidStream where it has no name, or no JSON object as its arguments."""
    arguments = object_of(call.arguments)
    if arguments is None or not call.name:
        raise BrokeMidStream("a tool call of the answer is not whole: its arguments are not a JSON object, or it has no name")
    return {"id": call.id or f"call_{ask.id.removeprefix('req-')}_{index}", "function": {"index": index, "name": call.name, "arguments": arguments}}


def created_at(created: float) -> str:
    """Seconds since the epoch in RFC 3339, UTC, with nine digits behind the point."""
    whole = int(created)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{int((created - whole) * 1_000_000) * 1000:09d}Z"


def ending(finish: str, usage: Usage, figures: dict[str, Any]) -> dict[str, Any]:
    """The fields of a last record: why it ended, durations (from Homeport's figures) and counts; zeros are left out."""
    took = durations(figures)
    fields = {
        "total_duration": took.get("total_duration"),
        "prompt_eval_count": usage.prompt,
        "prompt_eval_duration": took.get("prompt_eval_duration"),
        "eval_count": usage.completion,
        "eval_duration": took.get("eval_duration"),
    }
    return {"done": True, "done_reason": "stop" if finish == "tool_calls" else finish} | {name: count for name, count in fields.items() if count}


def durations(figures: dict[str, Any]) -> dict[str, int]:
    """How long it took, in nanoseconds, by Homeport's figures; zeros are left out."""
    first, spent = figures.get("first_token_ms") or 0, figures.get("gen_time") or 0
    prompt_ns, answer_ns = int(first * 1e6), int(spent * 1e9)
    fields = {"total_duration": prompt_ns + answer_ns, "prompt_eval_duration": prompt_ns, "eval_duration": answer_ns}
    return {name: count for name, count in fields.items() if count}
