"""Answers of an OpenAI backend, in the normal form: its streams, its whole replies, its vectors."""

from __future__ import annotations

import base64
import binascii
import re
import struct
from typing import Any

import msgspec

from homeport.errors import BrokeMidStream
from homeport.vocabulary import NOTHING, Usage
from homeport.wire import usage as usage_wire
from homeport.wire.assemble import Run
from homeport.wire.normal import CallPiece, Piece, Vectors
from homeport.wire.openai.fields import json_text
from homeport.wire.openai.stream import choices_of, chunk_of, error_kind
from homeport.wire.sse import EventCutter, payload
from homeport.wire.thinking import Splitter

_decoder = msgspec.json.Decoder()
_encode = msgspec.json.Encoder().encode
_THOUGHTS = ("reasoning_content", "reasoning")  # llama.cpp's and vLLM's name; some send both, with the same text
_SAID = ("content", "text", *_THOUGHTS)
_OPENING = {field: re.compile(rb'"%b": ?"' % field.encode()) for field in _SAID}
_FINISHES = {"stop": "stop", "length": "length", "tool_calls": "tool_calls", "content_filter": "content_filter", "function_call": "tool_calls"}
_FAILED = frozenset({"abort", "aborted", "error", "cancelled"})  # finish words that say: no answer


class _Mould(Run):
    """A run of events that are alike but for one text, of whatever field a Piece takes it from."""

    __slots__ = ()

    @classmethod
    def of(cls, event: bytes, piece: Piece, choice: dict[str, Any]) -> _Mould | None:
        """The mould of an event that holds one text and nothing else a Piece has."""
        if piece.finish or piece.calls or piece.usage:
            return None
        delta = choice.get("delta")
        holder = delta if isinstance(delta, dict) else choice
        said = [field for field in _SAID if holder.get(field)]
        if len(said) != 1 or not isinstance(holder[said[0]], str):
            return None
        match = _OPENING[said[0]].search(event)
        if match is None or event.count(match.group()) > 1:
            return None
        end = event.find(b'"', match.end())
        if end < 0 or event[match.end() : end] != _encode(holder[said[0]])[1:-1]:
            return None
        return cls(event[: match.end()], event[end:], said[0], 0)

    def drain(self) -> tuple[str, int]:
        """The text that was taken since the last time, and of how many events it is. Raises BrokeMidStream."""
        text, events = self.text(), sum(map(bool, self._texts))  # llama.cpp ends a completion with an empty one
        self._texts.clear()
        self.events = 0
        return text, events


class Reader:
    """Reads one OpenAI stream, of a chat or a completion, as Pieces: one for a whole run of plain events.

    Thinking is what the engine names so; where it names none, what stands between tags at the beginning of the text.
    """

    __slots__ = ("_calls", "_cutter", "_finished", "_mould", "_tags", "done", "events")

    def __init__(self) -> None:
        self._cutter = EventCutter()
        self._mould: _Mould | None = None
        self._tags = Splitter()
        self._calls = _Calls()
        self._finished = False
        self.done = False  # `[DONE]` came
        self.events = 0  # events that held content so far; about one token each

    def feed(self, data: bytes) -> list[Piece]:
        """What the next bytes hold. Raises BrokeMidStream where the stream says it failed, or ends without a finish."""
        if self.done:
            return []
        data = self._cutter.feed(data)
        pieces: list[Piece] = []
        at, end = 0, len(data)
        while at < end and not self.done:
            mould = self._mould
            if mould is not None:
                after = mould.take(data, at)
                if after > at:
                    at = after
                    text, events = mould.drain()
                    self.events += events
                    pieces.append(self._told(mould.field, text))
                    continue
            stop = data.index(b"\n\n", at) + 2
            piece = self._take(data[at:stop])
            if piece is not None:
                pieces.append(piece)
            at = stop
        return pieces

    def _told(self, field: str, text: str) -> Piece:
        """A Piece of what a run of events said."""
        if field in _THOUGHTS:
            rest, more = self._tags.end()
            return Piece(rest, more + text)
        if field == "text" or self._tags.settled:  # a completion's text is the model's own, tags and all
            return Piece(text)
        return Piece(*self._tags.feed(text))

    def _take(self, event: bytes) -> Piece | None:
        text = payload(event)
        if text is None:
            return None
        if text == b"[DONE]":
            if not self._finished:
                raise BrokeMidStream("the stream ended without a finish reason")
            self.done = True
            return None
        chunk = chunk_of(text)
        if chunk is None:
            return None
        piece = Piece(usage=_counts(chunk))
        for choice in choices_of(chunk):
            if not choice.get("index"):  # one was asked for
                self._read(choice, piece)
                self._mould = _Mould.of(event, piece, choice) or self._mould
        return piece

    def _read(self, choice: dict[str, Any], piece: Piece) -> None:
        delta = choice.get("delta")
        said = _Said(delta if isinstance(delta, dict) else choice)
        piece.calls = self._calls.pieces(said.calls)
        if said.text or said.thought or piece.calls:
            self.events += 1
        if said.thought:
            rest, more = self._tags.end()
            piece.text, piece.reasoning = rest + said.text, more + said.thought
        elif said.text and isinstance(delta, dict):
            piece.text, piece.reasoning = self._tags.feed(said.text)
        else:
            piece.text = said.text
        piece.finish = _finish(choice, self._calls.seen)
        piece.stopped_by = _stopped_by(choice)
        if piece.finish or piece.calls:
            self._finished = self._finished or piece.finish is not None
            rest, thought = self._tags.end()
            piece.text += rest
            piece.reasoning += thought


class _Said:
    """What a delta or a message says: text, thought, and calls as they stand there."""

    __slots__ = ("calls", "text", "thought")

    def __init__(self, holder: dict[str, Any]) -> None:
        content = holder.get("content") or holder.get("text") or ""
        self.thought = next((holder[field] for field in _THOUGHTS if isinstance(holder.get(field), str) and holder[field]), "")
        if isinstance(content, list):
            self.text = "".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
        else:
            self.text = content if isinstance(content, str) else ""
        refusal = holder.get("refusal")
        if isinstance(refusal, str):
            self.text += refusal
        self.calls: list[dict[str, Any]] = holder.get("tool_calls") or []
        if isinstance(holder.get("function_call"), dict):
            self.calls = [{"index": 0, "function": holder["function_call"]}]
        if not isinstance(self.calls, list) or not all(isinstance(call, dict) for call in self.calls):
            raise BrokeMidStream("the backend wrote a tool call that is none")


class _Calls:
    """Keeps the calls of an answer apart, also where an engine gives none of them an index, or all of them the same."""

    __slots__ = ("_ids", "_where", "seen")

    def __init__(self) -> None:
        self._where: dict[int, int] = {}  # the engine's index → ours
        self._ids: dict[int, str] = {}  # ours → the id it began with
        self.seen = 0

    def pieces(self, calls: list[dict[str, Any]]) -> list[CallPiece] | None:
        """What the calls of one delta add. Raises BrokeMidStream."""
        return [self._piece(call) for call in calls] if calls else None

    def _piece(self, call: dict[str, Any]) -> CallPiece:
        function = call.get("function") or {}
        if not isinstance(function, dict):
            raise BrokeMidStream("the backend wrote a tool call that is none")
        id, name, arguments, theirs = call.get("id") or "", function.get("name") or "", function.get("arguments"), call.get("index")
        if isinstance(arguments, dict):
            arguments = json_text(arguments)
        if not (isinstance(id, str) and isinstance(name, str) and isinstance(arguments, str | None)):
            raise BrokeMidStream("the backend wrote a tool call that is none")
        if not isinstance(theirs, int):
            theirs = -1
        ours = self._where.get(theirs)
        if ours is None or (name and (theirs < 0 or (id and self._ids[ours] != id))):
            ours = self._where[theirs] = self.seen
            self._ids[ours] = id
            self.seen += 1
        return CallPiece(ours, id, name, arguments or "")


def pieces(body: bytes) -> list[Piece]:
    """A whole reply. Raises BrokeMidStream where it is none, reports an error, or has no finish reason."""
    try:
        whole = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        whole = None
    if not isinstance(whole, dict):
        raise BrokeMidStream("the reply is not what the OpenAI surface answers")
    if whole.get("error") or whole.get("object") == "error":
        raise BrokeMidStream(f"the backend reported an error ({error_kind(whole.get('error'))})")
    choices = choices_of(whole)
    if not choices:
        raise BrokeMidStream("the reply has no answer in it")
    choice, calls = choices[0], _Calls()
    message = choice.get("message")
    said = _Said(message if isinstance(message, dict) else choice)
    piece = Piece(said.text, said.thought, calls.pieces(said.calls), usage=_counts(whole))
    if isinstance(message, dict) and not said.thought:
        tags = Splitter()
        text, thought = tags.feed(said.text)
        rest, more = tags.end()
        piece.text, piece.reasoning = text + rest, thought + more
    piece.finish, piece.stopped_by = _finish(choice, calls.seen), _stopped_by(choice)
    if piece.finish is None:
        raise BrokeMidStream("the reply has no finish reason")
    return [piece]


def _finish(choice: dict[str, Any], calls: int) -> str | None:
    """The finish in OpenAI's words. vLLM says "stop" where a named function was called; a call is what it comes to."""
    word = choice.get("finish_reason")
    if not isinstance(word, str) or not word:
        return None
    if word == "load":
        raise BrokeMidStream("the backend loaded its model instead of answering")
    if word in _FAILED:
        raise BrokeMidStream("the backend gave its answer up")
    finish = _FINISHES.get(word, "stop")
    return "tool_calls" if calls and finish == "stop" else finish


def _stopped_by(choice: dict[str, Any]) -> str | None:
    """vLLM's `stop_reason`: the stop sequence, or the number of a token, which says nothing here."""
    reason = choice.get("stop_reason")
    return reason if isinstance(reason, str) and reason else None


def _counts(chunk: dict[str, Any]) -> Usage | None:
    used = chunk.get("usage")
    counts = usage_wire.from_openai(used) if isinstance(used, dict) else NOTHING
    return counts if counts.prompt or counts.completion else None  # Ollama has zeros on every chunk of a completion


def vectors(body: bytes) -> Vectors:
    """The embeddings of a reply, in the order of their texts. Raises BrokeMidStream where it is no such reply."""
    try:
        whole = _decoder.decode(body)
        rows = sorted(whole["data"], key=lambda row: row["index"])
        found = [_floats(row["embedding"]) for row in rows]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError, TypeError, ValueError, struct.error):
        raise BrokeMidStream("the reply is not what the OpenAI surface answers to /v1/embeddings") from None
    return Vectors(found, _counts(whole) or NOTHING)


def _floats(embedding: str | list[float]) -> list[float]:
    if isinstance(embedding, str):
        try:
            raw = base64.b64decode(embedding, validate=True)
        except binascii.Error as error:
            raise ValueError from error
        return list(struct.unpack(f"<{len(raw) // 4}f", raw))
    return [float(number) for number in embedding]
