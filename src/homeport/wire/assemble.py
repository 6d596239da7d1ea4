"""A whole reply made from a stream: what the stream had, the engine's own fields included."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from homeport.errors import BrokeMidStream
from homeport.vocabulary import CHAT, Surface, Usage
from homeport.wire import usage as usage_wire
from homeport.wire.openai.stream import choices_of, chunk_of
from homeport.wire.sse import EventCutter, payload

_decoder = msgspec.json.Decoder()
_encode = msgspec.json.Encoder().encode
MAX_REPLY = 256 * 1024 * 1024  # bytes of one stream that are collected
_TEXT = {"content": re.compile(rb'"content": ?"'), "text": re.compile(rb'"text": ?"')}


class Run:
    """A run of events that are alike but for their text, as all but a few of an answer are.

    Engines write every content chunk of an answer from one mould: the same bytes before the text and after it. So once
    one event was decoded, those like it need no decoding: what stands between is the text, as JSON has it, as long as
    it holds no quote and does not end in a backslash.
    """

    __slots__ = ("_after", "_before", "_between", "_texts", "events", "field", "index")

    def __init__(self, before: bytes, after: bytes, field: str, index: int) -> None:
        self._before = before
        self._after = after
        self._between = after + before
        self._texts: list[bytes] = []
        self.events = 0
        self.field = field  # "content" or "text"
        self.index = index  # of the choice

    @classmethod
    def like(cls, event: bytes, chunk: dict[str, Any], choices: list[dict[str, Any]]) -> Run | None:
        """The mould of a decoded event, where it has one text and nothing else that adds up."""
        if len(choices) != 1 or chunk.get("usage"):
            return None
        choice = choices[0]
        delta = choice.get("delta")
        field, holder = ("content", delta) if isinstance(delta, dict) else ("text", choice)
        rest = [value for name, value in choice.items() if name not in ("delta", "index", "text")]
        text = holder.get(field)
        if not isinstance(text, str) or not text or any(value is not None for value in rest) or (holder is delta and len(delta) > 1):
            return None
        match = _TEXT[field].search(event)
        if match is None or event.count(match.group()) > 1:
            return None
        end = event.find(b'"', match.end())
        if end < 0 or event[match.end() : end] != _encode(text)[1:-1]:
            return None
        return cls(event[: match.end()], event[end:], field, choice.get("index", 0))

    def take(self, data: bytes, at: int) -> int:
        """Take the events from `at` on that are alike; where the first that is not begins."""
        if not data.startswith(self._before, at):
            return at
        last = data.rfind(self._after, at)
        if last < 0:
            return at
        texts = data[at + len(self._before) : last].split(self._between)
        for number, text in enumerate(texts):
            if b'"' in text or text.endswith(b"\\"):
                texts = texts[:number]
                break
        if not texts:
            return at
        self._texts += texts
        self.events += len(texts)
        return at + sum(map(len, texts)) + len(texts) * len(self._between)

    def text(self) -> str:
        """All that was taken, decoded; a character that was split over two events is whole again. Raises BrokeMidStream."""
        try:
            decoded = _decoder.decode(b'"' + b"".join(self._texts) + b'"')
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise BrokeMidStream("an event of the stream is not JSON") from None
        return str(decoded)


class Assembly:
    """Collects one OpenAI stream and gives the whole reply it amounts to.

    Deltas are merged by one rule: text grows, lists of tool calls merge by their `index`, other lists grow, anything
    else is set. So a field this code never heard of survives.
    """

    __slots__ = ("_asked", "_choices", "_cutter", "_events", "_run", "_size", "_surface", "_top", "done", "usage")

    def __init__(self, asked: str, surface: Surface) -> None:
        self._asked = asked
        self._surface = surface
        self._cutter = EventCutter()
        self._top: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        self._run: Run | None = None
        self.done = False
        self._events = 0
        self._size = 0
        self.usage: Usage | None = None

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Raises BrokeMidStream where the stream says it failed."""
        self._size += len(data)
        if self._size > MAX_REPLY:
            raise BrokeMidStream(f"an answer of more than {MAX_REPLY >> 20} MB")
        data = self._cutter.feed(data)
        at, end = 0, len(data)
        while at < end:
            if self._run is not None:
                after = self._run.take(data, at)
                if after > at:
                    at = after
                    continue
            stop = data.index(b"\n\n", at) + 2
            self._take(data[at:stop])
            at = stop

    @property
    def events(self) -> int:
        """Events that carried content; about one token each."""
        return self._events + (self._run.events if self._run is not None else 0)

    def _take(self, event: bytes) -> None:
        text = payload(event)
        if text is None:
            return
        if text == b"[DONE]":
            self.done = True
            return
        chunk = chunk_of(text)
        if chunk is None:
            return
        self._close_run()
        try:
            run = Run.like(event, chunk, choices_of(chunk))
            self._merge(chunk)
        except _SHAPES:
            raise BrokeMidStream(_NO_CHUNK) from None
        self._run = run

    def _close_run(self) -> None:
        """What the run collected, into its choice."""
        run, self._run = self._run, None
        if run is not None and run.events:
            self._events += run.events
            choice = self._choices[run.index]
            _grow(choice["message"] if self._surface is CHAT else choice, {run.field: run.text()})

    def _merge(self, chunk: dict[str, Any]) -> None:
        choices = choices_of(chunk)
        chunk.pop("choices", None)
        used = chunk.get("usage")
        if isinstance(used, dict):
            self.usage = usage_wire.from_openai(used)
        for name, value in chunk.items():
            if value is not None or name not in self._top:
                self._top[name] = value
        for piece in choices:
            index = piece.get("index", 0)
            choice = self._choices.get(index)
            if choice is None:
                choice = self._choices[index] = (
                    {"index": index, "message": {"role": "assistant", "content": None}} if self._surface is CHAT else {"index": index, "text": ""}
                )
            delta = piece.pop("delta", None)
            if isinstance(delta, dict):
                if any(value for name, value in delta.items() if name != "role"):
                    self._events += 1
                _grow(choice["message"], delta)
            elif piece.get("text"):
                self._events += 1
            _grow(choice, piece)
            if choice.get("finish_reason") == "load":
                raise BrokeMidStream("the backend loaded its model instead of answering")

    def whole(self) -> tuple[bytes, str | None, bool]:
        """The reply as JSON, its finish reason, and whether it is empty.

        Raises BrokeMidStream where `[DONE]` never came: what was collected is a part, never a whole.
        """
        if not self.done:
            raise BrokeMidStream("the stream ended without [DONE]")
        self._close_run()
        if not self._choices or not all(choice.get("finish_reason") for choice in self._choices.values()):
            raise BrokeMidStream("the stream ended without a finish reason")
        try:
            return self._put_together()
        except _SHAPES:
            raise BrokeMidStream(_NO_CHUNK) from None

    def _put_together(self) -> tuple[bytes, str | None, bool]:
        choices = [self._choices[index] for index in sorted(self._choices)]
        empty = True
        for choice in choices:
            choice.setdefault("finish_reason", None)
            choice.setdefault("logprobs", None)
            message = choice.get("message")
            if message is not None:
                _unindex(message)
                empty = empty and not any(value for name, value in message.items() if name != "role")
            else:
                empty = empty and not choice["text"]
        kind = "chat.completion" if self._surface is CHAT else "text_completion"
        self._top.pop("homeport", None)  # the figures of another Homeport's stream, which a whole has in its headers
        reply = self._top | {"object": kind, "model": self._asked, "choices": choices}
        finish = choices[0]["finish_reason"] if choices else None
        return _encode(reply), finish, empty


def _grow(whole: dict[str, Any], piece: dict[str, Any]) -> None:
    """Merge the fields of one delta into what was collected."""
    for name, value in piece.items():
        had = whole.get(name)
        if name == "tool_calls" and isinstance(value, list):
            whole[name] = _grow_calls(had or [], value)
        elif had is None:
            if value is not None or name not in whole:
                whole[name] = value
        elif value is None or name in _SET:
            whole[name] = value or had
        elif isinstance(had, str) and isinstance(value, str):
            whole[name] = had + value
        elif isinstance(had, list) and isinstance(value, list):
            had.extend(value)
        elif isinstance(had, dict) and isinstance(value, dict):
            _grow(had, value)
        else:
            whole[name] = value


_SHAPES = (AttributeError, KeyError, TypeError, ValueError)  # what a chunk of another shape than a chunk's comes to
_NO_CHUNK = "an event of the stream is not a chunk of an answer"
_SET = frozenset({"index", "role", "finish_reason", "stop_reason", "id", "type"})


def _grow_calls(calls: list[dict[str, Any]], pieces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for piece in pieces:
        index = piece.get("index", len(calls))
        call = next((call for call in calls if call["index"] == index), None)
        if call is None:
            calls.append({**piece, "index": index})
        else:
            _grow(call, piece)
    return calls


def _unindex(message: dict[str, Any]) -> None:
    """Tool calls of a whole message carry no `index`; that belongs to deltas."""
    for call in message.get("tool_calls") or ():
        call.pop("index", None)
