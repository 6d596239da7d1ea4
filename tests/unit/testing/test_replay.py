"""A captured backend gives a recording again: the same pieces, framing and end."""

from __future__ import annotations

import asyncio
import time

import pytest

from homeport.testing.replay import LEFT_OUT, CapturedBackend, Row
from tests.caller import Caller, asked, request_bytes
from tests.captures import captured, surprises


def said(row: Row) -> bytes:
    return "".join(text for _, text in row.response.pieces if not LEFT_OUT.fullmatch(text)).encode()


@pytest.mark.parametrize("name", sorted(surprises()))
def test_distilled_rows_come_back_as_they_stand(name: str) -> None:
    with CapturedBackend(surprises().values()) as backend:
        row = backend.play(name)
        heard = asked(backend.url, row.request.body, path=row.request.path)
        assert heard.status == (row.response.status or 0)
        assert heard.body == said(row)
        assert heard.end == ("complete" if row.response.end == "complete" else "aborted")
        assert ("chunked" in heard.headers.get("transfer-encoding", "")) == (row.response.framing == "chunked")


@pytest.mark.parametrize("engine", ["llamacpp", "vllm", "ollama"])
def test_every_captured_row_can_be_played(engine: str) -> None:
    rows = [
        row
        for row in captured(engine).values()
        if row.request.path in ("/v1/chat/completions", "/v1/completions", "/v1/embeddings") and row.request.method == "POST"
    ]
    rows = [row for row in rows if row.response.end in ("complete", "cut")]
    assert len(rows) > 50

    async def play() -> None:
        async with CapturedBackend(rows) as backend:
            for row in rows:
                backend.play(row.name)
                async with Caller(backend.url) as caller:
                    heard = await caller.ask(row.request.body, path=row.request.path)
                assert (heard.status, heard.body) == (row.response.status or 0, said(row)), row.name

    asyncio.run(play())


def test_segments_pace_and_pages() -> None:
    row = surprises()["llamacpp: usage shares the finish chunk"]
    page = Row.__struct_fields__  # a GET row is found by its path
    assert "request" in page
    with CapturedBackend([row], pace=2.0) as backend:
        backend.play(row.name)
        backend.cut_into = 100
        began = time.perf_counter()
        heard = asked(backend.url, row.request.body)
        assert heard.text == "Boats sail."
        assert time.perf_counter() - began >= 2.0 * row.response.pieces[-1][0] / 1000
        assert asked(backend.url, method="GET", path="/v1/models").status == 404
        assert backend.asks[0].tokens == len(row.response.pieces)


def test_a_recording_we_hung_up_on_ends_in_silence() -> None:
    async def listen(url: str) -> None:
        async with Caller(url) as caller:
            await caller.send(request_bytes({}))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(caller.hear(), 0.05)

    row = surprises()["llamacpp: killed amid a stream"]
    row = Row(engine=row.engine, name="hung", request=row.request, response=row.response)
    row.response.end = "hung_up"
    try:
        with CapturedBackend([row]) as backend:
            backend.play("hung")
            asyncio.run(listen(backend.url))
            assert backend.until(lambda: backend.sockets == 0)
    finally:
        row.response.end = "cut"
