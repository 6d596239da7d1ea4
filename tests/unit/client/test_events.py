"""Events of a stream: the same however its bytes were split, and an exception where it is not whole."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.client.events import Reader
from homeport.client.failure import Cut

SSE, LINES = "text/event-stream; charset=utf-8", "application/x-ndjson"
CHAT = 'data: {"choices":[{"delta":{"content":"grün"}}]}\n\n: ping\n\ndata: {"choices":[]}\r\n\r\ndata: [DONE]\n\n'.encode()
MESSAGES = b'event: message_start\ndata: {"type":"message_start"}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n'
RESPONSES = b'event: response.created\ndata: {"type":"response.created"}\n\ndata: {"type":"response.completed","response":{"error":null}}\n\n'
TASK = b'event: partial\ndata: {"a":1}\n\nevent: result\ndata: {"a":1,\ndata: "b":2}\n\n'
OLLAMA = b'{"message":{"content":"a"},"done":false}\n{"done":true}\n'
WHOLE = [(SSE, CHAT, 2), (SSE, MESSAGES, 2), (SSE, RESPONSES, 2), (SSE, TASK, 2), (LINES, OLLAMA, 2)]


def read(kind: str, pieces: list[bytes]) -> tuple[list[dict[str, Any]], bool, str | None]:
    """The events, whether the end was seen, and the error that it ended with."""
    reader = Reader(kind)
    found: list[dict[str, Any]] = []
    try:
        for piece in pieces:
            found.extend(reader.feed(piece))
    except Cut as error:
        return found, reader.over, str(error)
    return found, reader.over, None


@pytest.mark.parametrize(("kind", "data", "number"), WHOLE, ids=["chat", "messages", "responses", "task", "ollama"])
def test_the_last_event_of_each_dialect_is_known(kind: str, data: bytes, number: int) -> None:
    events, over, error = read(kind, [data])
    assert (len(events), over, error) == (number, True, None)
    end = data.rstrip().rfind(b"\n\n") + 2 if kind == SSE else data.index(b"\n") + 1
    assert read(kind, [data[:end]])[1] is False


@given(st.sampled_from([*WHOLE, (SSE, CHAT[:90] + b'data: {"error":{"message":"gone","code":"x"}}\n\n', 0)]), st.data())
def test_any_split_gives_the_same(case: tuple[str, bytes, int], data: st.DataObject) -> None:
    kind, raw, _ = case
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=12)))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert read(kind, pieces) == read(kind, [raw])


@pytest.mark.parametrize(
    ("kind", "event", "message"),
    [
        (SSE, b'data: {"error":{"message":"the backend broke","code":"cut"}}\n\n', "the backend broke"),
        (SSE, b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"full"}}\n\n', "full"),
        (SSE, b'data: {"type":"error","message":"no more","code":"server_error"}\n\n', "no more"),
        (SSE, b'event: error\ndata: {"detail":1}\n\n', "the answer broke off"),
        (LINES, b'{"error":"it broke"}\n', "it broke"),
        (SSE, b"data: nonsense\n\n", "no JSON object"),
        (SSE, b"data: 7\n\n", "no JSON object"),
    ],
)
def test_what_came_before_an_error_is_given_first(kind: str, event: bytes, message: str) -> None:
    before = b'{"n":1}\n' if kind == LINES else b'data: {"n":1}\n\n'
    events, over, error = read(kind, [before + event])
    assert events == [{"n": 1}]
    assert error is not None and message in error
    assert over is False


def test_nothing_counts_after_the_end() -> None:
    assert read(SSE, [CHAT + b'data: {"late":1}\n\n'])[0] == read(SSE, [CHAT])[0]


def test_an_endless_line_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homeport.client.events.MAX_LINE", 100)
    assert read(SSE, [b"data: " + b"x" * 50, b"x" * 50])[2] == "an event without an end; the answer is not complete"
