"""Documents that are nearly right: what callers and engines could send, with a few things in it changed, by a seed."""

from __future__ import annotations

import json
import random
from typing import Any

from homeport.testing.replay import Row
from tests.captures import SPEAKS, dialect_of, is_stream, one_answer, recorded, said, streams
from tests.faults.engines import Goes, whole

SPOILT = 1_200  # streams, and as many wholes, of each dialect

NODES = tuple[Any, Any]  # a list or dict, and a place in it
JUNK: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**31, 10**30, 0.5, -1e308, "", " ", "x", "auto", "none", "user", "tool", "text", "function", "data: [DONE]"),
    *("\x00", "\u2028", "🐴" * 9, "9" * 400, [], [None], [[]], ["x", 1], {}, {"type": "text"}, {"type": "text", "text": "x"}, {"type": "function"}),
    *({"": {}}, {"a": {"b": [{}]}}, {"error": "x"}),
]


class Spoiler:
    """Changes documents; the same seed, the same changes."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def document(self, good: Any, names: list[str]) -> Any:
        """A copy with up to four changes. `names` are keys that mean something somewhere in the dialect."""
        document = json.loads(json.dumps(good))
        for _ in range(self.random.choice((0, 1, 1, 1, 2, 2, 3, 4))):
            self._change(document, names)
        return document

    def bytes(self, data: bytes) -> bytes:
        """The bytes with one spot cut out, doubled, cut off or overwritten."""
        at = self.random.randrange(len(data) + 1)
        end = min(len(data), at + self.random.choice((1, 1, 2, 5, 30)))
        how = self.random.randrange(5)
        if how == 0:
            return data[:at]
        if how == 1:
            return data[:at] + data[end:]
        if how == 2:
            return data[:end] + data[at:]
        junk = self.random.choice((b"\xff", b"\x00", b'"', b"{", b"}", b"]", b",", b"\\", b"\\ud800", b"null", b"1e999", b"NaN", b"\n", b"\n\n", b"[" * 300))
        return data[:at] + junk + data[at if how == 3 else end :]

    def _change(self, document: Any, names: list[str]) -> None:
        nodes = places(document)
        if not nodes:
            return
        holder, key = self.random.choice(nodes)
        how = self.random.randrange(8)
        if how <= 2:
            holder[key] = self._junk()
        elif how == 3:
            del holder[key]
        elif how == 4 and isinstance(holder, list):
            holder.insert(key, json.loads(json.dumps(holder[key])))
        elif how == 5:
            other, there = self.random.choice(nodes)
            holder[key] = json.loads(json.dumps(other[there]))
        elif how == 6:
            holder[key] = [holder[key]]
        elif isinstance(holder, dict):
            holder[self.random.choice(names)] = holder.pop(key) if how == 7 and key != "model" else self._junk()

    def _junk(self) -> Any:
        return json.loads(json.dumps(self.random.choice(JUNK)))


def places(document: Any) -> list[NODES]:
    """Every place in a document that holds something."""
    found: list[NODES] = []
    waiting = [document]
    while waiting:
        holder = waiting.pop()
        inner = list(holder.items()) if isinstance(holder, dict) else list(enumerate(holder)) if isinstance(holder, list) else []
        found += [(holder, key) for key, _ in inner]
        waiting += [value for _, value in inner]
    return found


def names_in(documents: list[Any]) -> list[str]:
    """All keys of some documents."""
    return sorted({key for document in documents for _, key in places(document) if isinstance(key, str)})


STREAMS = [row for row in streams(recorded().values()).values() if one_answer(row)]
WHOLES = [row for row in recorded().values() if row.request.path in SPEAKS and row.response.status == 200 and said(row).startswith(b"{") and not is_stream(row)]
CALLS = [{"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Bonn"}'}}]
MADE: dict[str, list[Any]] = {  # OpenAI's wholes, of which the recordings have none that is well
    "openai": [
        json.loads(whole("openai", "/v1/completions", Goes())),
        json.loads(whole("openai", "/v1/chat/completions", Goes())),
        {"choices": [{"index": 0, "message": {"content": None, "reasoning": "Hm", "tool_calls": CALLS}, "finish_reason": "tool_calls"}], "usage": {}},
    ]
}


def at_ends(row: Row) -> list[tuple[bytes, Any, bytes]]:
    """The events of a stream: what stands before the JSON of each, the JSON, and what stands after it."""
    found = []
    lines = said(row).split(b"\n")
    for number, line in enumerate(lines):
        before = b"data: " if line.startswith(b"data: {") else b"" if line.startswith(b"{") else None
        if before is not None:
            found.append(
                (b"".join(each + b"\n" for each in lines[:number]) + before, json.loads(line.removeprefix(before)), b"\n" + b"\n".join(lines[number + 1 :]))
            )
    return found


def spoilt_streams(dialect: str, seed: int = 1) -> list[bytes]:
    """Streams with something wrong in an event, or in the bytes."""
    spoiler, events = Spoiler(seed), [event for row in STREAMS if dialect_of(row) == dialect for event in at_ends(row)]
    names = names_in([document for _, document, _ in events])
    out = []
    for number in range(SPOILT):
        before, document, after = spoiler.random.choice(events)
        spoilt = before + json.dumps(spoiler.document(document, names), separators=(",", ":")).encode() + after
        out.append(spoiler.bytes(spoilt) if number % 4 == 0 else spoilt)
    return out


def spoilt_wholes(dialect: str, seed: int = 2) -> list[bytes]:
    """Documents with something wrong in them, or in their bytes."""
    spoiler, documents = Spoiler(seed), [json.loads(said(row)) for row in WHOLES if dialect_of(row) == dialect] + MADE.get(dialect, [])
    names = names_in(documents)
    out = []
    for number in range(SPOILT):
        spoilt = json.dumps(spoiler.document(spoiler.random.choice(documents), names)).encode()
        out.append(spoiler.bytes(spoilt) if number % 4 == 0 else spoilt)
    return out
