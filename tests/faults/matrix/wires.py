"""The bytes of a sound answer in each dialect, and how each fault lets them go wrong at a given one."""

from __future__ import annotations

import random
from functools import cache
from typing import Literal

from msgspec import Struct

from tests.faults.engines import KINDS, Goes, chunk, events, whole

Kind = Literal[
    "FIN",  # the connection closes
    "RST",  # it is reset
    "stall",  # it stays open, and nothing more comes
    "garbage",  # some bytes are others, that stand in no text; the rest follows
    "5xx",  # a server between the two breaks in with an error of its own, then closes
    "end",  # the body ends properly before its time, as if all were said
]
FAULTS: tuple[Kind, ...] = ("RST", "FIN", "stall", "garbage", "5xx", "end")
JUNK = b"\x00\xff\xfe\x00"
FIRST, SECOND = "alfa bravo charlie", "one two three four"
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages", "ollama": "/api/chat"}
BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 24\r\nconnection: close\r\n\r\n<h1>502 Bad Gateway</h1>"


class Wire(Struct, frozen=True):
    """One answer as it stands on the wire: its head, and its body in pieces, each an HTTP chunk where it is a stream."""

    head: bytes
    pieces: tuple[bytes, ...]
    streamed: bool
    shown_at: int = 0  # bytes by which the first text is there whole: before that, nothing can have been shown
    said_at: int = 0  # the same, in bytes of the body

    @property
    def bytes(self) -> bytes:
        """All of it."""
        if not self.streamed:
            return self.head + b"".join(self.pieces)
        return self.head + b"".join(map(chunk, self.pieces)) + b"0\r\n\r\n"

    @property
    def size(self) -> int:
        """Bytes of it."""
        return len(self.bytes)

    def ended(self, at: int) -> bytes:
        """It with a proper end after `at` bytes of its body."""
        body = b"".join(self.pieces)[:at]
        if self.streamed:
            return self.head + chunk(body) + b"0\r\n\r\n"
        return self.head[: self.head.rindex(b": ") + 2] + b"%d\r\n\r\n%b" % (len(body), body)


class Plan(Struct, frozen=True):
    """One fault: what happens, after how many bytes (of the body, for "end")."""

    kind: Kind
    at: int


def sent(wire: Wire, plan: Plan) -> bytes:
    """The bytes that are sent, before the connection closes, breaks or falls silent."""
    data, at = wire.bytes, plan.at
    if plan.kind == "end":
        return wire.ended(at)
    if plan.kind == "garbage":
        return data[:at] + JUNK + data[at + len(JUNK) :]
    return data[:at] + BAD_GATEWAY if plan.kind == "5xx" else data[:at]


def closes(wire: Wire, plan: Plan) -> bool:
    """Whether the connection closes after these bytes; otherwise it stays open."""
    return plan.kind in ("FIN", "5xx")


@cache
def wire(dialect: str, *, streamed: bool, text: str = FIRST) -> Wire:
    """A sound answer of `text`."""
    path, goes = PATHS[dialect], Goes(text=text)
    if not streamed:
        body = whole(dialect, path, goes)
        return Wire(_head("application/json", f"content-length: {len(body)}"), (body,), False)
    opening, tokens, closing = events(dialect, path, goes)
    head = _head(KINDS[dialect], "transfer-encoding: chunked")
    shown_at = len(head + chunk(opening) + chunk(tokens[0])) - 2  # the last two bytes are the chunk's, not the event's
    return Wire(head, tuple(filter(None, (opening, *tokens, closing))), True, shown_at, len(opening + tokens[0]))


def plans(one: Wire) -> list[Plan]:
    """Every fault at every byte; a proper end, which is none after the last byte, before it."""
    ends = sum(map(len, one.pieces))
    return [Plan(kind, at) for kind in FAULTS for at in (range(ends) if kind == "end" else range(one.size + (kind in ("garbage", "5xx"))))]


def sampled(one: Wire, count: int, seed: int) -> list[Plan]:
    """So many of these, evenly over the faults."""
    rng, found = random.Random(seed), plans(one)
    return [plan for kind in FAULTS for plan in rng.sample([plan for plan in found if plan.kind == kind], count // len(FAULTS))]


def _head(kind: str, framing: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nserver: scripted\r\ncontent-type: {kind}\r\n{framing}\r\n\r\n".encode()
