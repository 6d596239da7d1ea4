"""Whatever an engine says, whole or as a stream: each caller hears an answer in its dialect, or that it broke; a cut never passes for a whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from homeport.errors import BrokeMidStream, HomeportError
from homeport.testing.replay import Row
from homeport.vocabulary import EMBED, EMBEDDINGS, OLD_EMBED, Surface
from homeport.wire.bridge import BRIDGES
from homeport.wire.dialects import SPOKEN
from tests.captures import dialect_of, recorded, said, surface_of
from tests.dialects import DIALECT, TALKING, ask, told
from tests.faults.engines import Goes, whole
from tests.spoiling import SPOILT, STREAMS, Spoiler, names_in, spoilt_streams, spoilt_wholes

TERMINAL = {"openai": b"data: [DONE]", "anthropic": b'{"type":"message_stop"', "ollama": b'"done":true'}
FIGURES = {"backend": "home"}


def outcome(read: Callable[[], bytes]) -> bytes | None:
    """What it comes to; None where the engine is at fault. Anything else that is raised is a fault of ours."""
    try:
        return read()
    except BrokeMidStream:
        return None


def streamed(backend: str, surface: Surface, body: bytes, size: int) -> bytes:
    stream = BRIDGES[backend][surface].stream(ask(surface, stream=True, tools=True), 0)
    out = b""
    for at in range(0, len(body), size):
        out += stream.feed(body[at : at + size])
        if stream.done:
            break
    return out + stream.close(FIGURES)


def assembled(backend: str, surface: Surface, body: bytes, size: int) -> bytes:
    assembly = BRIDGES[backend][surface].assembly(ask(surface, tools=True), 0)
    for at in range(0, len(body), size):
        assembly.feed(body[at : at + size])
        if assembly.done:
            break
    return assembly.whole()[0]


def read_whole(backend: str, surface: Surface, body: bytes, *, stream: bool) -> bytes:
    bridge, asked = BRIDGES[backend][surface], ask(surface, stream=stream, tools=True)
    read = bridge.whole(body, asked, 0)[0]
    return bridge.unfold(read, asked, 0, FIGURES) if stream else read


@pytest.mark.parametrize("dialect", SPOKEN)
def test_any_stream_is_told_or_broken(dialect: str) -> None:
    well = broken = 0
    for number, body in enumerate(spoilt_streams(dialect)):
        size = (len(body) + 1, 1000, 37)[number % 3]
        for surface in (TALKING[number % 6], TALKING[(number + 3) % 6]):
            stream = outcome(lambda surface=surface, body=body, size=size: streamed(dialect, surface, body, size))
            outcome(lambda surface=surface, body=body, size=size: assembled(dialect, surface, body, size))
            if stream is None:
                broken += 1
            elif DIALECT[surface] != dialect:  # of its own dialect the bytes pass as they came
                well += 1
                assert told(surface, stream, stream=True).whole, (surface, body)
    assert min(well, broken) > SPOILT // 20


@pytest.mark.parametrize("dialect", SPOKEN)
def test_any_document_is_told_or_broken(dialect: str) -> None:
    well = broken = 0
    for number, body in enumerate(spoilt_wholes(dialect)):
        for surface in (TALKING[number % 6], TALKING[(number + 3) % 6]):
            document = outcome(lambda surface=surface, body=body: read_whole(dialect, surface, body, stream=False))
            stream = outcome(lambda surface=surface, body=body: read_whole(dialect, surface, body, stream=True))
            if document is None:
                broken += 1
            elif DIALECT[surface] != dialect:
                well += 1
                assert told(surface, document, stream=False).whole, (surface, body)
            if stream is not None and DIALECT[surface] != dialect:
                assert told(surface, stream, stream=True).whole, (surface, body)
    assert min(well, broken) > SPOILT // 20


@pytest.mark.parametrize("body", [b"{}", b'{"choices":[]}', b'{"choices":[{"index":0,"message":{"content":"x"}}]}', b'{"done":false}', b'{"type":"message"}'])
@pytest.mark.parametrize("dialect", SPOKEN)
def test_a_document_without_an_end_is_no_stream(dialect: str, body: bytes) -> None:
    for surface in TALKING:
        assert outcome(lambda surface=surface: read_whole(dialect, surface, body, stream=True)) is None, surface


@pytest.mark.parametrize("count", ["-1e308", "1e308", "-1", "1e30", "18446744073709551617", "0.5", "null"])
@pytest.mark.parametrize("dialect", SPOKEN)
def test_a_count_that_cannot_be_one_is_nothing(dialect: str, count: str) -> None:
    """A ledger holds no number beyond 64 bits, and no speed is made of one."""
    document = whole(dialect, "/v1/chat/completions" if dialect == "openai" else "/api/chat", Goes(usage=(3, 987654)))
    body = document.replace(b"987654", count.encode())
    assert body != document
    for surface in TALKING:
        usage = BRIDGES[dialect][surface].whole(body, ask(surface), 0)[1]
        assert 0 <= usage.completion <= 1


@pytest.mark.parametrize("dialect", SPOKEN)
def test_any_refusal_is_somebodys_fault(dialect: str) -> None:
    refusals = [said(row) for row in recorded().values() if (row.response.status or 0) >= 400 and said(row).startswith(b"{")]
    spoiler, documents = Spoiler(3), [json.loads(refusal) for refusal in refusals]
    names = names_in(documents)
    for number in range(SPOILT):
        document = json.dumps(spoiler.document(spoiler.random.choice(documents), names)).encode()
        body = spoiler.bytes(document) if number % 3 == 0 else document
        error = SPOKEN[dialect].refusal(spoiler.random.choice((400, 401, 403, 404, 408, 413, 422, 429, 500, 501, 503, 529)), body)
        assert isinstance(error, HomeportError)
        assert str(error)


@pytest.mark.parametrize(("dialect", "surface"), [(dialect, surface) for dialect in ("openai", "ollama") for surface in (EMBEDDINGS, EMBED, OLD_EMBED)])
def test_any_vectors_are_told_or_broken(dialect: str, surface: Surface) -> None:
    ours: list[Any] = [
        {
            "object": "list",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1]}],
            "model": "m",
            "usage": {"prompt_tokens": 2, "total_tokens": 2},
        },
        {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": "AAAAPwAAgD8="}], "usage": None},
        {"model": "m", "embeddings": [[0.5, 1]], "total_duration": 5, "prompt_eval_count": 2},
        {"embedding": [0.5, 1]},
    ]
    spoiler, names = Spoiler(4), names_in(ours)
    for number in range(SPOILT // 2):
        body = json.dumps(spoiler.document(spoiler.random.choice(ours), names)).encode()
        body = spoiler.bytes(body) if number % 4 == 0 else body
        found = outcome(lambda body=body: read_whole(dialect, surface, body, stream=False))
        assert found is None or DIALECT[surface] == dialect or isinstance(json.loads(found), dict)


@pytest.mark.parametrize("dialect", SPOKEN)
def test_any_list_of_models_is_read(dialect: str) -> None:
    ours = [{"object": "list", "data": [{"id": "a", "object": "model"}]}, {"models": [{"name": "a:latest", "model": "a:latest"}]}]
    spoiler, names = Spoiler(5), names_in(ours)
    for number in range(SPOILT):
        body = json.dumps(spoiler.document(spoiler.random.choice(ours), names)).encode()
        listed = SPOKEN[dialect].models(spoiler.bytes(body) if number % 4 == 0 else body)
        assert all(isinstance(name, str) and name for name in listed)


@pytest.mark.parametrize("row", STREAMS, ids=lambda row: row.name)
def test_a_stream_cut_anywhere_is_cut(row: Row) -> None:
    """Before its terminal event is whole, whatever stands there already."""
    body, dialect = said(row), dialect_of(row)
    end = body.find(TERMINAL[dialect])
    last = len(body) if end < 0 else end
    surfaces = [surface for surface in TALKING if (surface is surface_of(row) if DIALECT[surface] == dialect else "tools" not in row.request.body)]
    for at in {*range(0, last, max(1, last // 25)), last, *(at for at in range(last) if body.startswith(b"\n\n", at))}:
        for surface in surfaces:
            assert outcome(lambda surface=surface, at=at: streamed(dialect, surface, body[:at], 4096)) is None, at
            assert outcome(lambda surface=surface, at=at: assembled(dialect, surface, body[:at], 4096)) is None, at
