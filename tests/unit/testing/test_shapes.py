"""The scripted backend speaks as the real engines were recorded: the same keys, in the same order, in the same chunks."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.replay import LEFT_OUT, Row
from homeport.testing.script import Answer, Fault, Refuse, ToolCall
from homeport.testing.shapes import StyleName
from tests.caller import Heard, asked, chat
from tests.captures import captured

ENGINES: dict[str, StyleName] = {"llamacpp": "llama.cpp", "vllm": "vllm", "ollama": "ollama"}
NOT_TOLD = {"content-length", "connection", "transfer-encoding"}
TALK = tuple(f" w{number}" for number in range(1, 21))

STREAMS = [
    ("llamacpp", "chat-stream"),
    ("llamacpp", "chat-stream-usage"),
    ("llamacpp", "chat-max-tokens-5-stream"),
    ("llamacpp", "completions-stream"),
    ("llamacpp", "completions-stream-no-usage"),
    ("vllm", "chat-stream"),
    ("vllm", "chat-stream-usage"),
    ("vllm", "chat-max-tokens-5-stream"),
    ("vllm", "completions-stream"),
    ("ollama", "v1 chat: stream, include_usage"),
    ("ollama", "v1 chat: stream, to the end"),
    ("ollama", "v1 completions: stream, include_usage"),
]
WHOLES = [
    ("llamacpp", "chat-whole"),
    ("llamacpp", "chat-n-2"),
    ("llamacpp", "completions-whole"),
    ("vllm", "chat-whole"),
    ("vllm", "completions-whole"),
    ("ollama", "v1 chat: whole"),
    ("ollama", "v1 completions: whole"),
]


def shape(value: Any) -> Any:
    """The keys of a document in order, with the types of what they hold."""
    if isinstance(value, dict):
        return [(key, shape(part)) for key, part in value.items() if key not in ("prompt_tokens_details", "completion_tokens_details")]
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def events(text: str) -> list[Any]:
    """The shape of each event in a piece of a body."""
    data = [row.removeprefix("data: ") for row in text.split("\n\n") if row]
    return [shape(json.loads(row)) if row.startswith("{") else row for row in data]


def runs(pieces: list[str]) -> list[Any]:
    """The shape of each HTTP chunk, repetitions counted as one: engines put a varying number of tokens in a stream."""
    found: list[Any] = []
    for piece in pieces:
        if (here := events(piece)) not in found[-1:]:
            found.append(here)
    return found


def recorded(row: Row) -> list[str]:
    return [text for _, text in row.response.pieces if not LEFT_OUT.fullmatch(text)]


def ask_as(row: Row, backend: ScriptedBackend) -> Heard:
    return asked(backend.url, row.request.body, path=row.request.path)


def http_chunks(style: StyleName, answer: Answer, row: Row, monkeypatch: pytest.MonkeyPatch) -> tuple[Heard, list[str]]:
    """The answer as the scripted backend puts it in HTTP chunks."""
    import homeport.testing.backend as module

    sent: list[str] = []
    send = module.Telling._send

    async def keep(self: module.Telling, data: bytes) -> None:
        sent.append(data.decode())
        await send(self, data)

    monkeypatch.setattr(module.Telling, "_send", keep)
    with ScriptedBackend(answer, style=style) as backend:
        return ask_as(row, backend), sent


@pytest.mark.parametrize(("engine", "name"), STREAMS)
def test_streams(engine: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = captured(engine)[name]
    heard, sent = http_chunks(ENGINES[engine], Answer(tokens=TALK), row, monkeypatch)
    ours, theirs = runs(sent), runs(recorded(row))
    assert ours == theirs
    assert {n for n, _ in _headers(row)} == set(heard.headers) - NOT_TOLD
    assert heard.headers["content-type"] == dict(_headers(row))["content-type"]


@pytest.mark.parametrize(("engine", "name"), WHOLES)
def test_wholes(engine: str, name: str) -> None:
    row = captured(engine)[name]
    with ScriptedBackend(Answer(tokens=TALK), style=ENGINES[engine]) as backend:
        heard = ask_as(row, backend)
    assert shape(heard.json) == shape(json.loads("".join(recorded(row))))
    assert heard.headers["content-type"] == dict(_headers(row))["content-type"]
    assert heard.body.endswith(b"\n") == recorded(row)[-1].endswith("\n")


@pytest.mark.parametrize(
    ("engine", "name", "streamed"),
    [
        ("llamacpp", "tools-stream", True),
        ("vllm", "tools-stream", True),
        ("ollama", "v1 chat: tools, stream", True),
        ("llamacpp", "tools-whole", False),
        ("vllm", "tools-whole", False),
        ("ollama", "v1 chat: tools, whole", False),
    ],
)
def test_tool_calls(engine: str, name: str, streamed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    row = captured(engine)[name]
    answer = Answer(tool_calls=(ToolCall(name="get_weather", arguments='{"city": "Paris", "days": 2}'),))
    heard, sent = http_chunks(ENGINES[engine], answer, row, monkeypatch)
    if streamed:
        assert runs(sent) == runs(recorded(row))
    else:
        assert shape(heard.json) == shape(json.loads("".join(recorded(row))))


@pytest.mark.parametrize(("engine", "name"), [("llamacpp", "chat-think-stream"), ("ollama", "v1 chat: reasoning, stream")])
def test_reasoning(engine: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = captured(engine)[name]
    _, sent = http_chunks(ENGINES[engine], Answer(reasoning=("a", " b", " c"), tokens=TALK), row, monkeypatch)
    assert runs(sent) == runs(recorded(row))


@pytest.mark.parametrize(
    ("engine", "name", "how"),
    [
        ("vllm", "core-killed-stream", "error_done"),
        ("ollama", "event: runner killed, v1 chat, stream", "end"),
        ("ollama", "event: runner killed, v1 completions, stream", "end"),
        ("llamacpp", "killed-stream", "close"),
    ],
)
def test_dying_streams(engine: str, name: str, how: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    row = captured(engine)[name]
    heard, sent = http_chunks(ENGINES[engine], Answer(tokens=TALK, fault=Fault(8, how)), row, monkeypatch)
    assert runs(sent) == runs(recorded(row))
    assert (heard.end == "complete") == (row.response.end == "complete")
    if how == "error_done":
        assert sent[-2] == recorded(row)[-2]  # to the byte, blanks and all


@pytest.mark.parametrize(
    ("engine", "name", "status"),
    [("llamacpp", "loading-chat", 503), ("vllm", "core-killed-whole", 500), ("ollama", "v1 chat: unknown model", 404), ("llamacpp", "chat-n-8", 400)],
)
def test_refusals(engine: str, name: str, status: int) -> None:
    row = captured(engine)[name]
    with ScriptedBackend(Refuse(status=status), style=ENGINES[engine]) as backend:
        heard = ask_as(row, backend)
    assert heard.status == row.response.status
    theirs = json.loads("".join(recorded(row)))
    assert sorted(shape(heard.json)[0][1]) == sorted(shape(theirs)[0][1])
    assert heard.json["error"]["type"] == theirs["error"]["type"]


@pytest.mark.parametrize(
    ("engine", "name"),
    [
        ("llamacpp", "embeddings-list"),
        ("llamacpp", "embeddings-base64"),
        ("vllm", "embeddings-list"),
        ("ollama", "v1 embeddings: list"),
        ("ollama", "v1 embeddings: base64"),
    ],
)
def test_embeddings(engine: str, name: str) -> None:
    row = captured(engine)[name]
    with ScriptedBackend(style=ENGINES[engine]) as backend:
        assert shape(ask_as(row, backend).json) == shape(json.loads("".join(recorded(row))))


def _headers(row: Row) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in row.response.headers if name.lower() not in NOT_TOLD]


def test_the_pages_that_say_what_is_computed() -> None:
    """As recorded, and true of the fake: what runs is counted."""
    recorded = {(engine, name): captured(engine)[name] for engine, name in (("llamacpp", "get /slots"), ("llamacpp", "off-metrics"), ("vllm", "get /metrics"))}
    frozen = Answer(fault=Fault(2, "freeze"))
    for (engine, name), row in recorded.items():
        with ScriptedBackend(frozen, style=ENGINES[engine], slots=2) as backend, ThreadPoolExecutor(3) as callers:
            running = [callers.submit(asked, backend.url, chat()) for _ in range(3)]
            assert backend.until(lambda backend=backend: backend.in_flight == 3)
            heard = asked(backend.url, method="GET", path=row.request.path)
            backend.loop.call_soon_threadsafe(backend.drop_connections)  # type: ignore[union-attr]
            assert [call.result().end for call in running] != []
        assert heard.status == row.response.status, name
        kinds = {key.lower(): value for key, value in row.response.headers}
        assert heard.headers["content-type"] == kinds["content-type"]
        said = "".join(text for _, text in row.response.pieces if not LEFT_OUT.fullmatch(text))
        if engine == "vllm":
            mine = {line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in heard.body.decode().splitlines() if not line.startswith("#")}
            theirs = {line.rpartition(" ")[0] for line in said.splitlines() if not line.startswith("#")}
            assert mine.keys() <= theirs
            assert list(mine.values()) == ["2.0", "1.0"]
        elif name == "get /slots":
            assert shape(heard.json) == shape(json.loads(said))
            assert [slot["is_processing"] for slot in heard.json] == [True, True]
        else:
            assert heard.json == json.loads(said)
