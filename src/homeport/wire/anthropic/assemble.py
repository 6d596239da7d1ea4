"""A whole Anthropic reply made from a stream of the same dialect: what the stream had, the engine's own fields included."""

from __future__ import annotations

from typing import Any

import msgspec

from homeport.errors import BrokeMidStream
from homeport.vocabulary import Surface, Usage
from homeport.wire.anthropic.events import NO_CALL, Event, Mould, calls, decoded, finish_of, index, merged, part, speaks, usage_of
from homeport.wire.assemble import MAX_REPLY
from homeport.wire.normal import object_of
from homeport.wire.sse import EventCutter

_encode = msgspec.json.Encoder().encode
_CUT_SHORT = ("length", "content_filter")  # finishes under which a call may lack its end


class Assembly:
    """Collects one stream and gives the whole reply it amounts to, with the interface of assemble.Assembly.

    Deltas are merged by one rule: text grows under its own name, lists grow, a citation joins its block's, anything else
    is set. So a field this code never heard of survives.
    """

    __slots__ = ("_asked", "_blocks", "_counted", "_counts", "_cutter", "_events", "_message", "_run", "_size", "_texts", "done")

    def __init__(self, asked: str, surface: Surface) -> None:
        self._asked = asked
        self._cutter = EventCutter()
        self._message: Event | None = None
        self._blocks: dict[int, Event] = {}
        self._texts: dict[tuple[int, str], list[str]] = {}  # of a block and a field of it
        self._counts: dict[str, Any] = {}
        self._counted = False
        self._run: Mould | None = None
        self._events = 0
        self._size = 0
        self.done = False

    @property
    def events(self) -> int:
        """Deltas of content, and starts of what comes whole; about one token each."""
        return self._events + (self._run.events if self._run is not None else 0)

    @property
    def usage(self) -> Usage | None:
        """What the backend counted at the end."""
        return usage_of(self._counts) if self._counted else None

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Raises BrokeMidStream where the stream says it failed."""
        self._size += len(data)
        if self._size > MAX_REPLY:
            raise BrokeMidStream(f"an answer of more than {MAX_REPLY >> 20} MB")
        data = self._cutter.feed(data)
        at, end = 0, len(data)
        while at < end and not self.done:
            if self._run is not None:
                after = self._run.take(data, at)
                if after > at:
                    at = after
                    continue
            stop = data.index(b"\n\n", at) + 2
            self._take(data[at:stop])
            at = stop

    def _take(self, event: bytes) -> None:
        says = decoded(event)
        if says is None:
            return
        self._close_run()
        kind = says.get("type")
        if kind == "message_start":
            self._message = part(says, "message")
            self._counts = merged({}, self._message)
        elif self._message is None:
            if kind != "ping":
                raise BrokeMidStream("the stream does not begin with message_start")
        elif kind == "content_block_start":
            self._start(index(says), part(says, "content_block"))
        elif kind == "content_block_delta":
            self._delta(index(says), part(says, "delta"))
            self._run = Mould.of(event, says)
        elif kind == "message_delta":
            self._end(self._message, says)
        elif kind == "message_stop":
            self.done = True
            self._message |= {name: value for name, value in says.items() if name != "type"}

    def _start(self, number: int, block: Event) -> None:
        self._blocks[number] = block
        self._events += speaks(block)
        for name in ("text", "thinking", "signature"):
            if isinstance(block.get(name), str):
                self._texts[number, name] = [block[name]]

    def _delta(self, number: int, delta: Event) -> None:
        block = self._blocks.get(number)
        if block is None:
            raise BrokeMidStream("an event of the stream is about a block that was not begun")
        self._events += 1
        for name, value in delta.items():
            if isinstance(value, str):
                if name != "type":
                    self._texts.setdefault((number, name), []).append(value)
            elif name == "citation":
                block["citations"] = [*(block.get("citations") or ()), value]
            elif isinstance(value, list) and isinstance(block.get(name), list):
                block[name] += value
            else:
                block[name] = value

    def _end(self, message: Event, says: Event) -> None:
        self._counted = self._counted or isinstance(says.get("usage"), dict)
        self._counts = merged(self._counts, says)
        message |= part(says, "delta")
        message |= {name: value for name, value in says.items() if name not in ("type", "delta", "usage", "homeport")}

    def _close_run(self) -> None:
        run, self._run = self._run, None
        if run is not None and run.events:
            self._events += run.events
            self._texts[run.index, run.field].append(run.text())

    def whole(self) -> tuple[bytes, str | None, bool]:
        """The reply as JSON, its finish in OpenAI's words, and whether it is empty.

        Raises BrokeMidStream where `message_stop` or the stop reason never came, or a call is not there or is no object.
        """
        self._close_run()
        if not self.done or self._message is None:
            raise BrokeMidStream("the stream ended without message_stop")
        finish = finish_of(self._message.get("stop_reason"))
        if finish is None:
            raise BrokeMidStream("the stream ended without a stop reason")
        for (number, name), texts in self._texts.items():
            if name != "partial_json":
                self._blocks[number][name] = "".join(texts)
        content = [block for number, block in sorted(self._blocks.items()) if not calls(block) or self._called(number, block, finish)]
        if finish == "tool_calls" and not any(map(calls, content)):
            raise BrokeMidStream(NO_CALL)
        reply = {"stop_sequence": None} | self._message | {"model": self._asked, "content": content, "usage": self._counts}
        return _encode(reply), finish, not any(map(speaks, content))

    def _called(self, number: int, block: Event, finish: str) -> bool:
        """Put a call's input together. False where the answer was cut short in it: half a call is left out of a whole reply."""
        texts = self._texts.get((number, "partial_json"))
        told = object_of("".join(texts)) if texts else {}
        if told is None:
            if finish not in _CUT_SHORT:
                raise BrokeMidStream("a tool call's input is not a JSON object")
            return False
        block["input"] = told or block.get("input") or {}
        return True
