"""OpenAI streams: what one read of server-sent events means, and what of it goes on to the caller.

Most reads are plain content and pass as they came. Only reads that hold something else (the model's name to
replace, a finish, a usage record, an error, `[DONE]`) are taken apart. The marks that tell can stand in a chunk
only as JSON structure: inside a string their quotes would be escaped.
"""

from __future__ import annotations

from typing import Any

import msgspec

from homeport.errors import BrokeMidStream
from homeport.vocabulary import Usage
from homeport.wire import usage as usage_wire
from homeport.wire.sse import EventCutter, payload

DONE = b"data: [DONE]\n\n"
_MARKS = (b'"usage":{', b'"usage": {', b'"finish_reason":"', b'"finish_reason": "', b'"error"', b"data: [", b"data:[", b"\nevent:", b"\n:")

_decoder = msgspec.json.Decoder()
_encode = msgspec.json.Encoder().encode


class Stream:
    """Reads one OpenAI stream.

    Before the first content, `feed` holds everything back (`begun` is False) so that a failure can still go to another
    backend. From then on it returns what may pass on: whole events, the backend's model name replaced by the asked
    one. The finish, the usage record and `[DONE]` are held for `close`, so that nothing final is shown before the
    stream proved whole.
    """

    __slots__ = (
        "_asked",
        "_cutter",
        "_finishes",
        "_held",
        "_needles",
        "_open",
        "_several",
        "_usage_event",
        "_wants_usage",
        "begun",
        "done",
        "events",
        "finish",
        "usage",
    )

    def __init__(self, asked: str, *, wants_usage: bool, several: bool = False) -> None:
        """`several`: more than one choice may come side by side; then each event is read, since each choice must end."""
        self._asked = asked
        self._wants_usage = wants_usage
        self._cutter = EventCutter()
        self._held: list[bytes] = []
        self._needles: list[tuple[bytes, bytes]] | None = None
        self._finishes: list[dict[str, Any]] = []  # one a choice (`n`)
        self._usage_event: dict[str, Any] | None = None
        self._several = several
        self._open: set[int] = set()  # choices that began and have not ended; only with `several`
        self.begun = False
        self.done = False
        self.events = 0  # events that carried content; about one token each
        self.finish: str | None = None
        self.usage: Usage | None = None

    def feed(self, data: bytes) -> bytes:
        """What to pass on. Raises BrokeMidStream where the stream itself says that it failed."""
        data = self._cutter.feed(data)
        at, end = 0, len(data)
        while at < end:
            if self.begun and not self._several:
                plain = _plain_until(data, at)
                if plain > at:
                    run = data[at:plain]
                    self.events += run.count(b"\n\n")
                    self._held.append(self._renamed(run))
                    at = plain
                    continue
            stop = data.index(b"\n\n", at) + 2
            self._take(data[at:stop])
            at = stop
        if not self.begun:
            return b""
        passed = self._held
        if not passed:
            return b""
        self._held = []
        return passed[0] if len(passed) == 1 else b"".join(passed)

    def close(self, figures: dict[str, Any]) -> bytes:
        """The end of a whole stream: finish, usage with Homeport's figures where asked for, `[DONE]`.

        Raises BrokeMidStream where `[DONE]` or any finish reason is missing: a stream without its terminal event is cut.
        """
        if not self.done:
            raise BrokeMidStream("the stream ended without [DONE]")
        if not self._finishes or self._open:
            raise BrokeMidStream("the stream ended without a finish reason")
        last = self._usage_event
        if not self._wants_usage and last is not None:  # what else its usage record held: llama.cpp's timings
            finish = self._finishes[-1]
            finish |= {name: value for name, value in last.items() if name not in finish and name not in ("usage", "homeport")}
        out = [self._event(finish) for finish in self._finishes]
        if self._wants_usage:
            record = last or self._made_up_usage(self._finishes[-1])
            record["homeport"] = figures
            out.append(self._event(record))
        out.append(DONE)
        return b"".join(out)

    def _take(self, event: bytes) -> None:
        """One event: what it means, and where it goes: `_held` passes on with this read, `_finishes` with the end."""
        text = payload(event)
        if text is None:
            if self.begun and not self.done:
                self._held.append(event)  # a comment keeps the connection awake
            return
        if text == b"[DONE]":
            self.done = True
            return
        chunk = chunk_of(text)
        if chunk is not None:
            self._learn(chunk)
            self._sort(event, chunk)

    def _sort(self, event: bytes, chunk: dict[str, Any]) -> None:
        used = chunk.get("usage")
        choices = choices_of(chunk)
        if isinstance(used, dict):
            self.usage = usage_wire.from_openai(used)
            if not choices:
                self._usage_event = chunk
                return
            if not self._wants_usage:
                chunk.pop("usage")
                event = b""
        finished = False
        for choice in choices:
            if self._several:
                (self._open.discard if choice.get("finish_reason") else self._open.add)(choice.get("index", 0))
            if _has_content(choice):
                self.begun = True
                self.events += 1
            if choice.get("finish_reason"):
                finished = True
                self.finish = choice["finish_reason"]
        if self.finish == "load":
            raise BrokeMidStream("the backend loaded its model instead of answering")
        if finished:
            self.begun = True
            self._finishes.append(chunk)
        else:
            self._held.append(self._renamed(event) if event else self._event(chunk))

    def _learn(self, chunk: dict[str, Any]) -> None:
        """The backend's name for its model, from its first event: from then on replaced in the bytes."""
        if self._needles is None:
            theirs = chunk.get("model")
            if isinstance(theirs, str) and theirs and theirs != self._asked:
                name, asked = _encode(theirs), _encode(self._asked)
                self._needles = [(b'"model":' + gap + name, b'"model":' + gap + asked) for gap in (b"", b" ")]
            elif theirs:
                self._needles = []

    def _renamed(self, data: bytes) -> bytes:
        for theirs, ours in self._needles or ():
            if theirs in data:
                return data.replace(theirs, ours)
        return data

    def _event(self, chunk: dict[str, Any]) -> bytes:
        if "model" in chunk:
            chunk = chunk | {"model": self._asked}
        return b"data: " + _encode(chunk) + b"\n\n"

    def _made_up_usage(self, finish: dict[str, Any]) -> dict[str, Any]:
        """The usage record for a caller who asked for one, from a backend that gives none: the events that were counted."""
        known = {name: value for name, value in finish.items() if name in ("id", "object", "created", "model", "system_fingerprint")}
        used = self.usage or Usage(completion=self.events, estimated=True)
        counts = {"prompt_tokens": used.prompt, "completion_tokens": used.completion, "total_tokens": used.prompt + used.completion}
        return known | {"choices": [], "usage": counts}


def _plain_until(data: bytes, at: int) -> int:
    """Where the first event from `at` on stands that is more than content; the end of `data` where none does."""
    if not data.startswith(b"data: {", at):
        return at
    first = len(data)
    for mark in _MARKS:
        found = data.find(mark, at, first)
        if found >= 0:
            first = found
    if first == len(data):
        return first
    end = data.rfind(b"\n\n", at, first)
    return end + 2 if end >= 0 else at


def _has_content(choice: dict[str, Any]) -> bool:
    """Whether a choice of a chunk holds something of the answer: text, reasoning, a refusal or a tool call."""
    delta = choice.get("delta")
    if isinstance(delta, dict):
        if delta.get("content"):
            return True
        return any(value for name, value in delta.items() if name != "role")
    return bool(choice.get("text"))


def chunk_of(text: bytes) -> dict[str, Any] | None:
    """The chunk in the data of an event; None for what is none: llama.cpp opens a list of completions with `data: null`.

    Raises BrokeMidStream where it is not JSON, or an error: `{"error": …}` or, from older vLLM, `{"object": "error", …}`.
    """
    try:
        chunk = _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BrokeMidStream("an event of the stream is not JSON") from None
    if not isinstance(chunk, dict):
        return None
    error = chunk.get("error") or (chunk if chunk.get("object") == "error" else None)
    if error:
        raise BrokeMidStream(f"the backend reported an error ({error_kind(error)})")
    return chunk


def choices_of(chunk: dict[str, Any]) -> list[dict[str, Any]]:
    """The choices of a chunk. Raises BrokeMidStream where it is no chunk at all."""
    choices = chunk.get("choices") or []
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise BrokeMidStream("an event of the stream is not a chunk of an answer")
    return choices


def error_kind(error: Any) -> str:
    """What an error object may say in a receipt: its type or code, never its message, which can quote the prompt."""
    if isinstance(error, dict):
        return str(error.get("type") or error.get("code") or "no type")[:60]
    return "no type"
