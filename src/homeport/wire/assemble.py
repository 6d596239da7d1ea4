"""A whole reply made from a stream: what the stream had, the engine's own fields included."""

from __future__ import annotations

from typing import Any

import msgspec

from homeport.errors import BrokeMidStream
from homeport.vocabulary import Surface, Usage
from homeport.wire import usage as usage_wire
from homeport.wire.openai_stream import error_kind
from homeport.wire.sse import EventCutter, payload, split

_decoder = msgspec.json.Decoder()
_encode = msgspec.json.Encoder().encode


class Assembly:
    """Collects one OpenAI stream and gives the whole reply it amounts to.

    Deltas are merged by one rule: text grows, lists of tool calls merge by their `index`, other lists grow, anything
    else is set. So a field this code never heard of survives.
    """

    __slots__ = ("_asked", "_choices", "_cutter", "_surface", "_template", "_top", "done", "events", "usage")

    def __init__(self, asked: str, surface: Surface) -> None:
        self._asked = asked
        self._surface = surface
        self._cutter = EventCutter()
        self._top: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        self._template: tuple[bytes, bytes, list[bytes]] | None = None
        self.done = False
        self.events = 0
        self.usage: Usage | None = None

    def feed(self, data: bytes) -> bool:
        """Take the next bytes; True where they held events. Raises BrokeMidStream where the stream says it failed."""
        data = self._cutter.feed(data)
        if not data:
            return False
        seen = False
        for event in split(data):
            text = payload(event)
            if text is None:
                continue
            seen = True
            if text == b"[DONE]":
                self.done = True
                continue
            try:
                chunk = _decoder.decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                raise BrokeMidStream("an event of the stream is not JSON") from None
            if isinstance(chunk, dict):
                self._merge(chunk)
        return seen

    def _merge(self, chunk: dict[str, Any]) -> None:
        if chunk.get("error"):
            raise BrokeMidStream(f"the backend reported an error ({error_kind(chunk['error'])})")
        choices = chunk.pop("choices", None) or ()
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
                    {"index": index, "message": {"role": "assistant", "content": None}} if self._surface is Surface.CHAT else {"index": index, "text": ""}
                )
            delta = piece.pop("delta", None)
            if isinstance(delta, dict):
                if any(value for name, value in delta.items() if name != "role"):
                    self.events += 1
                _grow(choice["message"], delta)
            elif piece.get("text"):
                self.events += 1
            _grow(choice, piece)
            if choice.get("finish_reason") == "load":
                raise BrokeMidStream("the backend loaded its model instead of answering")

    def whole(self) -> tuple[bytes, str | None, bool]:
        """The reply as JSON, its finish reason, and whether it is empty.

        Raises BrokeMidStream where `[DONE]` never came: what was collected is a part, never a whole.
        """
        if not self.done:
            raise BrokeMidStream("the stream ended without [DONE]")
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
        kind = "chat.completion" if self._surface is Surface.CHAT else "text_completion"
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
            whole[name] = value if value is not None else had
        elif isinstance(had, str) and isinstance(value, str):
            whole[name] = had + value
        elif isinstance(had, list) and isinstance(value, list):
            had.extend(value)
        elif isinstance(had, dict) and isinstance(value, dict):
            _grow(had, value)
        else:
            whole[name] = value


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
