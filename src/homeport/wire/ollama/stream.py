"""Ollama streams that stay Ollama's: passed on to the caller, or put together to a whole reply.

Most reads are plain content and pass as they came. Only what holds something else (the last record, an error, tool
calls) is taken apart. Tool calls hold JSON of anybody's making, so a model's name is replaced only where a line begins.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from homeport.errors import BrokeMidStream
from homeport.vocabulary import OLLAMA_CHAT, Surface, Usage
from homeport.wire.assemble import MAX_REPLY
from homeport.wire.ndjson import LineCutter
from homeport.wire.ollama.pieces import Reader, Writer
from homeport.wire.ollama.record import Record, check_vanished, fields_of, finish_of, record, usage_of

__all__ = ["Assembly", "Reader", "Stream", "Writer"]

_encode = msgspec.json.Encoder().encode
_CALLS, _ERROR = b'"tool_calls"', b'"error"'
_MARKS = (b'"done":true', b'"done": true', _ERROR, _CALLS)
_NOT_DONE = (b'"done":false}\n', b'"done": false}\n')  # how a line ends that is content and no more; text holds no bare LF
_NOT_DONE_YET = tuple(end[:-1] for end in _NOT_DONE)


class _Said(Struct, gc=False, forbid_unknown_fields=True):
    role: str = ""
    content: str = ""
    thinking: str = ""


class _Plain(Struct, gc=False, forbid_unknown_fields=True):
    """A record of text and no more: all that an answer holds, but for its beginning and its end."""

    model: str
    created_at: str
    message: _Said | None = None
    response: str = ""
    thinking: str = ""
    done: bool = False


_plain = msgspec.json.Decoder(_Plain)


class Stream:
    """Reads one Ollama stream of a chat or a generated text, for a caller who speaks the same.

    Before the first content, `feed` holds everything back (`begun` is False) so that a failure can still go to another
    backend. From then on it returns what may pass on: whole lines, the backend's model name replaced by the asked one.
    The last record is held for `close`, so that nothing final is shown before the stream proved whole. `tools` says
    that tools were offered: then an empty answer that made tokens is a call that vanished.
    """

    __slots__ = ("_asked", "_calls", "_cutter", "_held", "_last", "_next", "_ours", "_theirs", "_tools", "begun", "done", "events", "finish", "usage")

    def __init__(self, asked: str, *, tools: bool = False) -> None:
        self._asked = asked
        self._tools = tools
        self._cutter = LineCutter()
        self._held: list[bytes] = []
        self._theirs = b""  # how a line begins there, up to the model's name; b"" while unknown
        self._next = b""  # the same, with the end of the line before
        self._ours = b""
        self._calls = False
        self._last: bytes = b""
        self.begun = False
        self.done = False
        self.events = 0  # records that carried content; about one token each
        self.finish: str | None = None
        self.usage: Usage | None = None

    def feed(self, data: bytes) -> bytes:
        """What to pass on. Raises BrokeMidStream where the stream itself says that it failed."""
        data = self._cutter.feed(data)
        if self.begun and not self.done and data.endswith(_NOT_DONE) and self._is_plain(data):
            return self._named(data)
        at, end = 0, len(data)
        while at < end and not self.done:
            if self.begun and self._theirs:
                plain = self._pass_until(data, at)
                if plain > at:
                    at = plain
                    continue
            stop = data.index(b"\n", at) + 1
            self._take(data[at:stop])
            at = stop
        if not self.begun or not self._held:
            return b""
        passed = self._held
        self._held = []
        return passed[0] if len(passed) == 1 else b"".join(passed)

    def close(self, figures: dict[str, Any]) -> bytes:
        """The last record of a whole stream, with Homeport's figures. Raises BrokeMidStream where it never came."""
        if not self.done:
            raise BrokeMidStream("the stream ended without its last record")
        return _encode(fields_of(self._last) | {"model": self._asked, "homeport": figures}) + b"\n"

    def _is_plain(self, data: bytes) -> bool:
        """Whether all lines are content and no more, which most reads are. Counts them."""
        lines = data.count(b"\n")
        if not self._theirs or not data.startswith(self._theirs) or _CALLS in data or _ERROR in data:
            return False
        if lines > 1 and (data.count(self._next) != lines - 1 or data.count(_NOT_DONE[0]) + data.count(_NOT_DONE[1]) != lines):
            return False
        self.events += lines
        return True

    def _named(self, lines: bytes) -> bytes:
        """Lines under the asked name; all of them begin with the backend's."""
        if self._ours == self._theirs:
            return lines
        after = lines[len(self._theirs) :]
        return self._ours + (after.replace(self._next, b"\n" + self._ours) if self._next in after else after)

    def _pass_until(self, data: bytes, at: int) -> int:
        """Pass on the lines from `at` that are content and no more; where the first other one stands."""
        first = len(data)
        for mark in _MARKS:
            found = data.find(mark, at, first)
            if found >= 0:
                first = found
        if first < len(data):
            first = data.rfind(b"\n", at, first) + 1
            if first <= at:
                return at
        run = data[at:first]
        lines = run.count(b"\n")
        if not run.startswith(self._theirs) or run.count(self._next) != lines - 1:  # a blank line, or no record
            return at
        self.events += lines
        self._held.append(self._named(run))
        return first

    def _take(self, line: bytes) -> None:
        """One line: what it means, and whether it passes on with this read or with the end."""
        if line.isspace():  # a client in Python stumbles over it
            return
        read = record(line)
        if not self._theirs and read.model:
            self._learn(line, read.model)
        self._calls = self._calls or bool(read.calls)
        says = read.says_something
        if says:
            self.begun = True
            self.events += 1
        if not read.done:
            self._held.append(self._renamed(line, read))
            return
        check_vanished(read, said=self.begun, tools=self._tools)
        self.finish = finish_of(read.done_reason, calls=self._calls)
        self.usage = usage_of(read, self.events)
        self._last = line
        self.begun = self.done = True

    def _learn(self, line: bytes, theirs: str) -> None:
        """How lines begin, from the first: from then on replaced in the bytes."""
        name = _encode(theirs)
        for gap in (b"", b" "):
            begin = b'{"model":' + gap + name
            if line.startswith(begin):
                self._theirs, self._next = begin, b"\n" + begin
                self._ours = b'{"model":' + gap + _encode(self._asked)

    def _renamed(self, line: bytes, read: Record) -> bytes:
        if self._theirs and line.startswith(self._theirs):
            return self._ours + line[len(self._theirs) :]
        if read.model is None or read.model == self._asked:
            return line
        return _encode(fields_of(line) | {"model": self._asked}) + b"\n"


class Assembly:
    """Collects one Ollama stream and gives the whole reply it amounts to.

    Text and thinking grow, lists (tool calls, log probabilities) grow, anything else is set. So a field this code never
    heard of survives. `tools` as for Stream.
    """

    __slots__ = ("_asked", "_calls", "_chat", "_cutter", "_last", "_message", "_size", "_texts", "_thoughts", "_tools", "_top", "done", "events", "usage")

    def __init__(self, asked: str, surface: Surface, *, tools: bool = False) -> None:
        self._asked = asked
        self._chat = surface is OLLAMA_CHAT
        self._tools = tools
        self._cutter = LineCutter()
        self._top: dict[str, Any] = {}
        self._message: dict[str, Any] = {}
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._calls = False
        self._last: Record | None = None
        self._size = 0
        self.done = False
        self.events = 0  # records that carried content; about one token each
        self.usage: Usage | None = None

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Raises BrokeMidStream where the stream says it failed."""
        self._size += len(data)
        if self._size > MAX_REPLY:
            raise BrokeMidStream(f"an answer of more than {MAX_REPLY >> 20} MB")
        for line in self._cutter.feed(data).split(b"\n"):
            if self.done:
                return
            if line and not line.isspace():
                self._take(line)

    def whole(self) -> tuple[bytes, str | None, bool]:
        """The reply as JSON, its finish in OpenAI's words, and whether it is empty.

        Raises BrokeMidStream where the last record never came: what was collected is a part, never a whole.
        """
        last = self._last
        if last is None:
            raise BrokeMidStream("the stream ended without its last record")
        check_vanished(last, said=bool(self.events), tools=self._tools)
        finish = finish_of(last.done_reason, calls=self._calls)
        top = self._top
        text, thought = "".join(self._texts), "".join(self._thoughts)
        if self._chat:
            said = {"role": self._message.pop("role", None) or "assistant", "content": text}
            top["message"] = said | ({"thinking": thought} if thought else {}) | self._message
        else:
            top["response"] = text
            if thought:
                top["thinking"] = thought
        top["model"] = self._asked
        top.pop("homeport", None)  # the figures of another Homeport's stream, which a whole has in its headers
        return _encode(top), finish, not self.events

    def _take(self, line: bytes) -> None:
        if self._top and line.endswith(_NOT_DONE_YET) and self._take_plain(line):
            return
        read = record(line)
        if read.says_something:
            self.events += 1
            self._calls = self._calls or bool(read.calls)
            if read.text:
                self._texts.append(read.text)
            if read.thought:
                self._thoughts.append(read.thought)
        fields = fields_of(line)
        message = fields.get("message")
        if isinstance(message, dict):
            _grow(self._message, message)
            fields["message"] = None  # its place in the reply
        _grow(self._top, fields)
        if read.done:
            self.done = True
            self._last = read
            self.usage = usage_of(read, self.events)

    def _take_plain(self, line: bytes) -> bool:
        """Take a record of text and no more; False where it is another one."""
        try:
            read = _plain.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # whatever it is, it is looked at again
            return False
        said = read.message
        text, thought = (said.content, said.thinking) if said is not None else (read.response, read.thinking)
        if text:
            self._texts.append(text)
        if thought:
            self._thoughts.append(thought)
        if text or thought:
            self.events += 1
        return True


_TEXTS = frozenset({"content", "thinking", "response"})  # collected apart


def _grow(whole: dict[str, Any], piece: dict[str, Any]) -> None:
    """Merge the fields of one record into what was collected."""
    for name, value in piece.items():
        if name in _TEXTS:
            if name == "response":
                whole.setdefault(name, "")
        elif isinstance(value, list) and isinstance(whole.get(name), list):
            whole[name] += value
        else:
            whole[name] = value
