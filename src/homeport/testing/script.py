"""What a scripted backend does with a request: answers, refusals, and the place and manner in which an answer goes wrong."""

from __future__ import annotations

import enum
import re
from typing import Literal

from msgspec import Struct


class Point(enum.Enum):
    """Where in an answer a fault happens; a whole number N means after N content tokens."""

    REQUEST = "request"  # the request is read, nothing is sent
    HEADERS = "headers"  # the status line and headers are sent
    ROLE = "role"  # the first event, which has the role and no content (chat only; elsewhere as HEADERS)
    FINISH = "finish"  # the event with finish_reason, and usage if asked for, is sent; `[DONE]` is not (Ollama's own API has it all in one: before that)
    DONE = "done"  # `[DONE]`, `message_stop` or the record that is `done` is sent, the body's terminating chunk is not


How = Literal[
    "close",  # FIN, without what the body's framing promised
    "reset",  # RST
    "freeze",  # silence, for `for_s` seconds or until the peer leaves
    "end",  # the body ends properly, as if all were said
    "error",  # an error event, then the body ends properly (before headers: status 500)
    "error_done",  # an error event, then `[DONE]`, then the body ends properly: vLLM
    "garbage",  # an event that is not JSON, then the body ends properly
]


class Fault(Struct, frozen=True):
    """An answer goes wrong: `at` a point or after that many content tokens, and `how`."""

    at: Point | int
    how: How = "close"
    for_s: float | None = None  # "freeze": then the answer goes on
    after_s: float = 0.0  # silence before it, so that what was sent has been read
    message: str = "EngineCore encountered an issue. See stack trace (above) for the root cause."


class ToolCall(Struct, frozen=True):
    """A call in an answer. `arguments` is JSON text, streamed in `pieces` where the style streams calls at all."""

    name: str
    arguments: str = "{}"
    id: str = "call_1"
    pieces: int = 4


class Answer(Struct, frozen=True, kw_only=True):
    """An answer token by token. Times are seconds."""

    text: str = "Hello there, this is a scripted answer."
    tokens: tuple[str, ...] | None = None  # instead of `text`: exactly these pieces
    reasoning: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    finish: str | None = None  # finish_reason; default by content: "stop", "tool_calls", "length" where max_tokens cut it
    endless: bool = False  # the tokens again and again, until the peer leaves
    whole: bool = False  # one JSON document although a stream was asked
    wait_s: float = 0.0  # before the headers
    prefill_s: float = 0.0  # between headers and the first event
    delay_s: float = 0.0  # between tokens
    ping_s: float | None = None  # comment lines this often while silent
    fault: Fault | None = None
    cut_into: int | tuple[int, ...] | None = None  # TCP segments: so many bytes each, or cut at these offsets of the response
    pause_s: float = 0.0  # between those segments
    framing: Literal["chunked", "length", "close"] = "chunked"  # of a stream's body
    trailing: bytes = b""  # bytes after `[DONE]`, still in the body
    usage: bool = True  # False: no usage, even where it is asked for

    def pieces(self) -> tuple[str, ...]:
        """The content tokens."""
        return self.tokens if self.tokens is not None else tuple(re.findall(r"\s*\S+\s*$|\s*\S+", self.text))


class Refuse(Struct, frozen=True, kw_only=True):
    """A refusal with a status, in the error shape of the style unless `body` is given."""

    status: int = 500
    message: str = "refused by script"
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    wait_s: float = 0.0


class Bytes(Struct, frozen=True, kw_only=True):
    """These bytes as the whole response, headers and all, then the connection is closed (or kept open)."""

    data: bytes
    close: bool = True
    cut_into: int | tuple[int, ...] | None = None
    pause_s: float = 0.0


Behaviour = Answer | Refuse | Bytes


class Model(Struct, frozen=True):
    """A model as the pages of a backend describe it; a name alone stands for one that can do all."""

    name: str
    context: int = 2048  # tokens that a request may have
    trained: int = 4096  # … and that the model was made for
    capabilities: tuple[str, ...] = ("completion", "tools", "thinking", "vision", "insert", "embedding")  # Ollama's words
    template: str = "{{ .Prompt }}"  # as `/api/show` gives it; one with `{%` is a GGUF's own
    size: int = 20080229  # bytes
    vram: int = 0  # … of which so many are on a graphics card
