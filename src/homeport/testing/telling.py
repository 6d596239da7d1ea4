"""An answer as the events of one engine's stream, or as its whole reply."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from homeport.testing.script import Answer
from homeport.testing.shapes import Json, Style, Told, encode

EventKind = Literal["opening", "role", "token", "finish", "usage", "done"]


class Event(Struct, frozen=True):
    """One event of a stream; `more` says that the next one shares its HTTP chunk."""

    kind: EventKind
    data: bytes
    more: bool = False
    name: bytes = b""  # of a named server-sent event
    line: bool = False  # a line of NDJSON

    @property
    def wire(self) -> bytes:
        """As it stands in the body."""
        if self.line:
            return self.data + b"\n"
        return b"event: " + self.name + b"\ndata: " + self.data + b"\n\n" if self.name else b"data: " + self.data + b"\n\n"


def deltas(style: Style, told: Told, answer: Answer) -> list[Json | str]:
    """What one choice says, piece by piece: deltas of a chat, texts of a completion."""
    if not told.chat:
        return list(answer.pieces())
    calls = itertools.chain.from_iterable(style.call(i, call) for i, call in enumerate(answer.tool_calls))
    text = () if answer.tool_calls and answer.tokens is None else answer.pieces()
    return [*(style.thought(piece) for piece in answer.reasoning), *({"content": piece} for piece in text), *calls]


def finish_reason(answer: Answer, cut: bool) -> str:
    """The finish_reason of an answer, and whether max_tokens cut it."""
    return answer.finish or ("length" if cut else "tool_calls" if answer.tool_calls else "stop")


def stream(style: Style, told: Told, answer: Answer, limit: int | None, listed: bool, role_only: bool = False) -> Iterator[Event]:
    """The events of a streamed answer. `limit` is max_tokens; `listed`: the prompt was a list; `role_only`: the role stands alone."""
    said = deltas(style, told, answer)
    cut = limit is not None and limit < len(said)
    said = said[:limit] if limit is not None else said
    ending = finish_reason(answer, cut)
    finish_with_token = style.finish_on_token and ending == "length" and bool(said)
    if style.name == "llama.cpp" and listed:
        yield Event("opening", b"null")
    choices = range(told.choices)
    if told.chat and (role_only or not style.role_in_first):
        joins = style.joins_first and bool(said) and isinstance(said[0], dict) and set(said[0]) == {"content"}
        for index in choices:
            yield Event("role", encode(style.role(told, index)), more=joins and told.choices == 1)
    steps: Iterator[Json | str] = itertools.cycle(said) if answer.endless else iter(said)
    for number, delta in enumerate(steps):
        at_end = finish_with_token and not answer.endless and number == len(said) - 1
        for index in choices:
            told.completion_tokens += 1
            yield Event("token", encode(_token(style, told, index, delta, ending if at_end else None, number == 0)))
    yield from _ending(style, told, answer, ending, finish_with_token)


def _token(style: Style, told: Told, index: int, delta: Json | str, finish: str | None, first: bool) -> Json:
    if isinstance(delta, str):
        return style.text(told, index, delta, finish)
    if first and style.role_in_first:
        delta = {"role": "assistant", "content": ""} | delta
    return style.delta(told, index, delta, finish)


def _ending(style: Style, told: Told, answer: Answer, ending: str, finished: bool) -> Iterator[Event]:
    wanted = told.wants_usage
    told.wants_usage = wanted and answer.usage
    for index in range(told.choices):
        last = index == told.choices - 1
        rows = style.usage_events(told, last) if finished else style.closing(told, index, ending, last)
        for n, row in enumerate(rows):
            more = bool(style.joins_last) and (told.chat or style.joins_last == "done") and (n < len(rows) - 1 or (style.joins_last == "done" and last))
            yield Event("usage" if not row["choices"] else "finish", encode(row), more)
    yield Event("done", b"[DONE]" + (b"\n\n" + answer.trailing if answer.trailing else b""))


def whole(style: Style, told: Told, answer: Answer, limit: int | None) -> Json:
    """The answer as one document."""
    pieces = answer.pieces() if not answer.tool_calls or answer.tokens is not None else ()
    said = len(answer.reasoning) + len(pieces) + sum(len(style.call(0, call)) for call in answer.tool_calls)
    cut = limit is not None and limit < said
    ending = finish_reason(answer, cut)
    text = "".join(pieces[:limit] if cut else pieces)
    told.completion_tokens = (min(said, limit) if limit is not None else said) * told.choices
    if told.chat:
        message = style.message(text, "".join(answer.reasoning), answer.tool_calls)
        return style.whole(told, [style.chat_choice(i, message, ending) for i in range(told.choices)])
    return style.whole(told, [style.text_choice(i, text, ending) for i in range(told.choices)])
