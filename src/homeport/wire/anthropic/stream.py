"""Anthropic streams: what passes on of one to a caller of the same dialect, and what one says to callers of others.

Blocks have numbers and may overlap: llama.cpp stops its thinking only after the text that follows. A stream that ends
cleanly without `message_stop`, as Ollama's does when its runner dies, is cut.
"""

from __future__ import annotations

from typing import Any

import msgspec

from homeport.errors import BrokeMidStream
from homeport.vocabulary import Usage
from homeport.wire.anthropic.events import (
    NO_CALL,
    Event,
    Mould,
    calls,
    decoded,
    index,
    merged,
    part,
    speaks,
    translated_finish,
    under,
    untranslated,
    usage_of,
    wire,
)
from homeport.wire.anthropic.events import finish_of as finish_in_our_words
from homeport.wire.normal import CallPiece, Piece
from homeport.wire.sse import EventCutter

_encode = msgspec.json.Encoder().encode
_NO_START = "the stream does not begin with message_start"
_DELTA, _STOP = b"event: content_block_delta\n", b"event: content_block_stop\n"
_MARKS = (b"\nevent: message_", b"\nevent: content_block_start")


class Stream:
    """Reads one stream for a caller of the same dialect, with the interface of openai_stream.Stream.

    Before the first content, `feed` holds everything back (`begun` is False). From then on whole events pass as they
    came, but for the model's name in `message_start`. `message_delta` and `message_stop` are held for `close`, so that
    nothing final is shown before the stream proved whole.
    """

    __slots__ = ("_asked", "_called", "_counted", "_counts", "_cutter", "_ends", "_held", "_last", "_started", "begun", "done", "events", "finish")

    def __init__(self, asked: str) -> None:
        self._asked = asked
        self._cutter = EventCutter()
        self._held: list[bytes] = []
        self._ends: list[Event] = []  # message_delta; one, as far as known
        self._last = b""  # message_stop
        self._counts: dict[str, Any] = {}
        self._counted = False  # the counts are those of the end
        self._started = self._called = False
        self.begun = False
        self.done = False
        self.events = 0  # deltas of content, and starts of what comes whole; about one token each
        self.finish: str | None = None

    @property
    def usage(self) -> Usage | None:
        """What the backend counted; before its last count the prompt as it was told at the start, and the events."""
        if self._counted:
            return usage_of(self._counts)
        if not self._counts:
            return None
        start = usage_of(self._counts)
        return Usage(start.prompt, self.events, start.cached, estimated=True)

    def feed(self, data: bytes) -> bytes:
        """What to pass on. Raises BrokeMidStream where the stream itself says that it failed, or is none of Anthropic's."""
        data = self._cutter.feed(data)
        at, end = 0, len(data)
        while at < end and not self.done:
            if self.begun:
                plain, deltas = _plain_until(data, at)
                if plain > at:
                    self.events += deltas
                    self._held.append(data[at:plain])
                    at = plain
                    continue
            stop = data.index(b"\n\n", at) + 2
            self._take(data[at:stop])
            at = stop
        if not self.begun or not self._held:
            return b""
        passed, self._held = self._held, []
        return passed[0] if len(passed) == 1 else b"".join(passed)

    def close(self, figures: dict[str, Any]) -> bytes:
        """The end of a whole stream: `message_delta` with Homeport's figures, `message_stop`.

        Raises BrokeMidStream where `message_stop` or the stop reason is missing: a stream without its terminal event is cut.
        """
        if not self.done:
            raise BrokeMidStream("the stream ended without message_stop")
        if self.finish is None:
            raise BrokeMidStream("the stream ended without a stop reason")
        if self.finish == "tool_calls" and not self._called:
            raise BrokeMidStream(NO_CALL)
        self._ends[-1]["homeport"] = figures
        return b"".join(map(wire, self._ends)) + self._last

    def _take(self, event: bytes) -> None:
        """One event: what it means, and where it goes: `_held` passes on with this read, `_ends` with the end."""
        says = decoded(event)
        if says is None:
            if self.begun:
                self._held.append(event)  # a comment keeps the connection awake
            return
        kind = says.get("type")
        if kind == "message_start":
            self._started = True
            self._counts = merged({}, part(says, "message"))
            event = under(self._asked, event, says)
        elif not self._started and kind != "ping":
            raise BrokeMidStream(_NO_START)
        elif kind == "message_delta":
            self._end(says)
            return
        elif kind == "message_stop":
            self.done, self._last = True, event
            return
        elif kind == "content_block_start":
            block = part(says, "content_block")
            self._called = self._called or calls(block)
            if speaks(block):
                self.begun = True
                self.events += 1
        elif kind == "content_block_delta":
            self.events += 1
            self.begun = self.begun or any(value for name, value in part(says, "delta").items() if name not in ("type", "signature"))
        self._held.append(event)

    def _end(self, says: Event) -> None:
        self._ends.append(says)
        reason = finish_in_our_words(part(says, "delta").get("stop_reason"))
        if isinstance(says.get("usage"), dict):
            self._counts, self._counted = merged(self._counts, says), True
        if reason is not None:
            self.finish = reason
            self.begun = True


def _plain_until(data: bytes, at: int) -> tuple[int, int]:
    """Where the first event from `at` on stands that is more than a delta or the end of a block, and how many deltas are before it.

    The marks stand at the beginning of a line, where no text of an answer can: JSON escapes its line ends.
    """
    if not data.startswith((_DELTA, _STOP), at):
        return at, 0
    end = len(data)
    for mark in _MARKS:
        found = data.find(mark, at, end)
        if found >= 0:
            end = found + 1
    deltas = data.count(b"\n" + _DELTA, at, end) + data.startswith(_DELTA, at)
    stops = data.count(b"\n" + _STOP, at, end) + data.startswith(_STOP, at)
    return (end, deltas) if deltas + stops == data.count(b"\n\n", at, end) else (at, 0)


class Reader:
    """Reads one stream for a caller of another dialect (port Reader of `normal`); a run of plain deltas makes one Piece."""

    __slots__ = ("_calls", "_counts", "_cutter", "_finished", "_inputs", "_mould", "_started", "done", "events")

    def __init__(self) -> None:
        self._cutter = EventCutter()
        self._counts: dict[str, Any] = {}
        self._calls: dict[int, int] = {}  # block → number of the call
        self._inputs: dict[int, str] = {}  # block → the input told at its start, until a delta tells it
        self._mould: Mould | None = None
        self._started = self._finished = False
        self.done = False
        self.events = 0  # as in Stream

    def feed(self, data: bytes) -> list[Piece]:
        """What the next bytes hold. Raises BrokeMidStream where the stream says it failed, or ends without a stop reason."""
        data = self._cutter.feed(data)
        pieces = []
        at, end = 0, len(data)
        while at < end and not self.done:
            mould = self._mould
            if mould is not None:
                after = mould.take(data, at)
                if after > at:
                    at = after
                    text, events = mould.drain()
                    self.events += events
                    pieces.append(Piece(text) if mould.field == "text" else Piece(reasoning=text))
                    continue
            stop = data.index(b"\n\n", at) + 2
            event = data[at:stop]
            at = stop
            says = decoded(event)
            piece = self._piece(event, says) if says is not None else None
            if piece is not None:
                pieces.append(piece)
        return pieces

    def _piece(self, event: bytes, says: Event) -> Piece | None:
        kind = says.get("type")
        if not self._started and kind not in ("message_start", "ping"):
            raise BrokeMidStream(_NO_START)
        if kind == "content_block_delta":
            self.events += 1
            piece = self._delta(index(says), part(says, "delta"))
            self._mould = Mould.of(event, says) or self._mould
            return piece
        if kind == "content_block_start":
            return self._start(index(says), part(says, "content_block"))
        if kind == "content_block_stop":
            return self._untold([index(says)])
        if kind == "message_start":
            self._started = True
            self._counts = merged({}, part(says, "message"))
        elif kind == "message_delta":
            return self._end(says)
        elif kind == "message_stop":
            if not self._finished:
                raise BrokeMidStream("the stream ended without a stop reason")
            self.done = True
        return None

    def _start(self, block: int, says: Event) -> Piece | None:
        kind = says.get("type")
        if kind in ("text", "thinking"):
            piece = Piece(text=_text(says, "text"), reasoning=_text(says, "thinking"))
            return piece if piece.says_something else None
        if kind == "tool_use":
            number = self._calls[block] = len(self._calls)
            self._inputs[block] = _encode(says.get("input") or {}).decode()
            self.events += 1
            return Piece(calls=[CallPiece(number, _text(says, "id"), _text(says, "name"))])
        if kind == "redacted_thinking":  # nobody but its author can read it
            return None
        raise untranslated(says)

    def _delta(self, block: int, says: Event) -> Piece | None:
        text = says.get("text")
        if type(text) is str:
            return Piece(text=text) if text else None
        arguments = _text(says, "partial_json")
        if arguments:
            if block not in self._calls:
                raise BrokeMidStream("an event of the stream is about a tool call that was not begun")
            self._inputs.pop(block, None)
            return Piece(calls=[CallPiece(self._calls[block], arguments=arguments)])
        thought = _text(says, "thinking")
        return Piece(reasoning=thought) if thought else None

    def _untold(self, blocks: list[int]) -> Piece | None:
        """The inputs of calls that no delta told: none at all, or whole at the start."""
        untold = [CallPiece(self._calls[block], arguments=self._inputs.pop(block)) for block in blocks if block in self._inputs]
        return Piece(calls=untold) if untold else None

    def _end(self, says: Event) -> Piece:
        delta = part(says, "delta")
        self._counts = merged(self._counts, says)
        untold = self._untold(sorted(self._inputs))
        piece = Piece(calls=untold.calls if untold is not None else None)
        if isinstance(says.get("usage"), dict):
            piece.usage = usage_of(self._counts)
        if delta.get("stop_reason") is not None:
            piece.finish = translated_finish(delta["stop_reason"])
            piece.stopped_by = _text(delta, "stop_sequence") or None
            if piece.finish == "tool_calls" and not self._calls:
                raise BrokeMidStream(NO_CALL)
            self._finished = True
        return piece


def _text(says: Event, name: str) -> str:
    value = says.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BrokeMidStream("an event of the stream is not an event of a message")
    return value
