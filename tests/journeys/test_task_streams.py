"""Streamed tasks that meet the odd (half of a character, a key that is revoked, a fault of ours) end with an `error` event or the result."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homeport.storage.keys import Keys
from homeport.tasks.in_process import _Kept
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer, Bytes, Fault
from tests.caller import Caller, Heard, request_bytes
from tests.gateway import Running, config, soon

FILE = '''
from homeport import task

@task
def words(text: str) -> str:
    """Say it."""

@task
def fields(text: str) -> dict[str, str]:
    """Say it in fields."""
'''
ASKED = {"input": {"text": "x"}, "stream": True}


@pytest.fixture
def backend() -> Iterator[ScriptedBackend]:
    with ScriptedBackend("x") as backend:
        yield backend


@pytest.fixture
def gateway(backend: ScriptedBackend, tmp_path: Path) -> Iterator[Running]:
    (tmp_path / "tasks.py").write_text(FILE, encoding="utf-8")
    path = config(tmp_path, {"only": backend.url}, models={"default": {"routes": [{"backend": "only", "model": "m"}]}})
    path.write_text(path.read_text(encoding="utf-8") + '[tasks]\npaths = ["tasks.py"]\n', encoding="utf-8")
    with Running(path) as gateway:
        yield gateway


def streamed(*pieces: str) -> Bytes:
    """An engine's stream, each text in a chunk of its own, written in ASCII; its first read ends amid the first chunk."""
    deltas: list[dict[str, Any]] = [{"delta": {"content": piece}} for piece in pieces]
    events = [{"choices": [{"index": 0, **one}]} for one in [*deltas, {"delta": {}, "finish_reason": "stop"}]]
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(body)
    return Bytes(data=head + body, cut_into=(len(head) + 80,), pause_s=0.1)


def asked(gateway: Running, name: str) -> Heard:
    async def go() -> Heard:
        async with Caller(gateway.url) as caller:
            await caller.send(request_bytes(ASKED, path=f"/tasks/{name}"))
            return await asyncio.wait_for(caller.hear(), 20)

    return asyncio.run(go())


@pytest.mark.parametrize(("name", "before", "after", "said"), [("words", "a", "b", "a😀b"), ("fields", '{"k": "a', 'b"}', {"k": "a😀b"})])
def test_a_character_in_two_chunks_is_one(gateway: Running, backend: ScriptedBackend, name: str, before: str, after: str, said: Any) -> None:
    backend.default = streamed(before, "\ud83d", "\ude00" + after)
    heard = asked(gateway, name)
    assert (heard.end, heard.events[-1]["output"]) == ("complete", said)
    assert [receipt["outcome"] for receipt in gateway.journal.settled(1)] == ["ok"]


@pytest.mark.parametrize(("name", "pieces"), [("words", ("a", "\ud83d", "b")), ("words", ("a", "b\ude00")), ("fields", ('{"k": "a', "\ude00", '"}'))])
def test_half_of_a_character_is_refused_and_asked_for_once_more(gateway: Running, backend: ScriptedBackend, name: str, pieces: tuple[str, ...]) -> None:
    backend.default = streamed(*pieces)
    heard = asked(gateway, name)
    [error] = heard.errors
    assert (heard.end, error["code"], [attempt["check"] for attempt in error["attempts"]]) == ("complete", "task_failed", ["unicode"] * 2)
    assert backend.generations == 2
    assert gateway.idle()


@pytest.mark.parametrize("name", ["words", "w%6Frds"], ids=["protocol", "asgi"])
def test_a_key_that_is_revoked_amid_a_stream_is_told_and_on_the_receipt(gateway: Running, backend: ScriptedBackend, name: str) -> None:
    keys = Keys(gateway.journal.data)
    secret = keys.add("app")
    assert soon(lambda: asked(gateway, "words").status == 401)  # the gateway has seen it
    backend.default = Answer(text="one two three four", fault=Fault(at=2, how="freeze"))

    async def go() -> Heard:
        async with Caller(gateway.url) as caller:
            await caller.send(request_bytes(ASKED, path=f"/tasks/{name}", headers={"authorization": f"Bearer {secret}"}))
            assert await asyncio.to_thread(soon, lambda: backend.in_flight == 1)
            keys.revoke("app")
            return await asyncio.wait_for(caller.hear(), 20)

    heard = asyncio.run(go())
    assert (heard.end, heard.errors[-1]["code"]) == ("aborted", "invalid_api_key")
    assert soon(gateway.idle)
    assert gateway.journal.receipts[-1]["outcome"] == "cut"


def test_a_fault_of_ours_amid_a_stream_ends_it(gateway: Running, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is raised in the callback of a socket, where the loop would only log it and nobody would wait for the rest."""
    write = _Kept.write

    def failing(kept: _Kept, data: bytes) -> None:
        if b'"b"' in data:
            raise ZeroDivisionError
        write(kept, data)

    monkeypatch.setattr(_Kept, "write", failing)
    backend.default = streamed("a", "b", "c")
    heard = asked(gateway, "words")
    assert (heard.end, len(heard.errors)) == ("complete", 1)
    assert len(gateway.journal.settled(1)) == 1
    assert gateway.idle()
