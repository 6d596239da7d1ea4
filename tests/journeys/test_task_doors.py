"""Calls of tasks on both ways in answer alike: the short one and, on a connection that was handed over, the ASGI app's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homeport.storage.keys import Keys
from homeport.tasks.declared import Task
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer, Fault
from tests.caller import Caller, Heard, chat, request_bytes
from tests.gateway import Running, config, soon

SAID = '"question"'
INPUT = {"input": {"text": "Where?"}}
FILE = '''
from homeport import task

@task
def größe(text: str) -> str:
    """How large is it?"""

@task
def broken(text: str) -> str:
    """It fails in Homeport's own hands."""
'''
pytestmark = pytest.mark.parametrize("front", ["protocol", "asgi"])


@pytest.fixture
def backend() -> Iterator[ScriptedBackend]:
    with ScriptedBackend(SAID) as backend:
        yield backend


@pytest.fixture
def gateway(backend: ScriptedBackend, tmp_path: Path) -> Iterator[Running]:
    (tmp_path / "tasks.py").write_text(FILE, encoding="utf-8")
    path = config(tmp_path, {"only": backend.url}, models={"default": {"routes": [{"backend": "only", "model": "m"}]}}, max_body_mb=1)
    path.write_text(path.read_text(encoding="utf-8") + '[tasks]\npaths = ["tasks.py"]\n', encoding="utf-8")
    with Running(path) as gateway:
        yield gateway


async def opened(caller: Caller, front: str) -> None:
    """Over to the ASGI app, where that is meant."""
    if front == "asgi":
        await caller.ask(method="GET", path="/ready")


def over(gateway: Running, front: str, *requests: bytes) -> list[Heard]:
    """Requests one after the other on one connection."""

    async def go() -> list[Heard]:
        heards = []
        async with Caller(gateway.url) as caller:
            await opened(caller, front)
            for request in requests:
                await caller.send(request)
                heards.append(await asyncio.wait_for(caller.hear(), 20))
        return heards

    return asyncio.run(go())


def call(name: str = "classify", body: Any = INPUT, **more: Any) -> bytes:
    return request_bytes(body, path=f"/tasks/{name}", **more)


def test_a_connection_is_kept_and_takes_tasks_and_chats_in_turn(gateway: Running, backend: ScriptedBackend, front: str) -> None:
    chats = request_bytes(chat(model="default"))
    heards = over(gateway, front, call(), call(), chats, call(), call("nosuch"), call(), chats)
    assert [heard.status for heard in heards] == [200, 200, 200, 200, 404, 200, 200]
    assert [heard.json["output"] for heard in heards if "output" in heard.json] == ["question"] * 4
    assert [heard.text for heard in (heards[2], heards[6])] == [SAID] * 2
    assert heards[4].error["code"] == "task_not_found"


def test_a_stream_is_framed_and_the_connection_kept(gateway: Running, backend: ScriptedBackend, front: str) -> None:
    heards = over(gateway, front, call(body={**INPUT, "stream": True}), call())
    assert [(heard.status, heard.end) for heard in heards] == [(200, "complete")] * 2
    assert heards[0].headers["content-type"].startswith("text/event-stream")
    assert heards[0].events[-1]["output"] == "question"


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"input": 1}', json.dumps({"input": {"text": 1}}).encode()])
def test_what_is_no_call_is_refused_and_the_connection_kept(gateway: Running, backend: ScriptedBackend, front: str, body: bytes) -> None:
    refused, then = over(gateway, front, call(body=body), call())
    assert (refused.status, refused.error["param"], then.status) == (400, "input", 200)
    assert backend.generations == 1


def test_a_name_beyond_ascii(gateway: Running, backend: ScriptedBackend, front: str) -> None:
    backend.default = "huge"
    [heard] = over(gateway, front, call("gr%C3%B6%C3%9Fe"))
    assert (heard.status, heard.json["output"]) == (200, "huge")
    assert gateway.journal.settled(1)[0]["task"] == "größe"


def test_a_body_over_the_cap_is_refused(gateway: Running, backend: ScriptedBackend, front: str) -> None:
    [heard] = over(gateway, front, call(body={"input": {"text": "x" * 2_000_000}}))
    assert (heard.status, heard.error["code"]) == (413, "body_too_large")
    assert backend.generations == 0


def test_once_a_key_exists_it_is_asked_for_before_anything_is_read(gateway: Running, backend: ScriptedBackend, front: str) -> None:
    secret = Keys(gateway.journal.data).add("app")
    assert soon(lambda: over(gateway, front, call())[0].status == 401)
    before = backend.generations
    [refused] = over(gateway, front, call(body=b"{"))
    assert (refused.status, refused.headers.get("www-authenticate")) == (401, "Bearer") or front == "protocol"
    [heard] = over(gateway, front, call(headers={"authorization": f"Bearer {secret}"}))
    assert (heard.status, backend.generations) == (200, before + 1)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("reset", [False, True])
def test_a_caller_who_hangs_up_stops_the_model(gateway: Running, backend: ScriptedBackend, front: str, streamed: bool, reset: bool) -> None:
    backend.default = Answer(text=SAID, fault=Fault(at=1, how="freeze"))

    async def go() -> None:
        async with Caller(gateway.url) as caller:
            await opened(caller, front)
            await caller.send(call(body={**INPUT, "stream": streamed}))
            assert await asyncio.to_thread(soon, lambda: backend.in_flight == 1)
            await caller.leave(reset=reset)

    asyncio.run(go())
    assert soon(lambda: backend.in_flight == 0)
    assert [receipt["outcome"] for receipt in gateway.journal.settled(1)] == ["client_left"]
    assert gateway.idle()
    assert len(gateway.app.connections) == 0 or soon(lambda: len(gateway.app.connections) == 0)


def test_the_limit_of_a_key_is_told_as_a_429(backend: ScriptedBackend, tmp_path: Path, front: str) -> None:
    path = config(tmp_path, {"only": backend.url}, models={"default": {"routes": [{"backend": "only", "model": "m"}]}})
    path.write_text(path.read_text(encoding="utf-8") + "[limits]\nrequests_per_minute = 1\n", encoding="utf-8")
    with Running(path) as gateway:
        heards = over(gateway, front, call(), call())
        assert [heard.status for heard in heards] == [200, 429]
        assert int(heards[1].headers["retry-after"]) > 0


def test_a_fault_of_ours_is_told_without_a_word_of_the_request(
    gateway: Running, front: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(_: object, prompt: str, **__: object) -> None:
        raise ZeroDivisionError(prompt)

    monkeypatch.setattr(Task, "asked", failing)
    failed, then = over(gateway, front, call("broken", {"input": {"text": "SECRET"}}), call("nosuch"))
    assert (failed.status, then.status) == (500, 404)
    assert "ZeroDivisionError" in failed.error["message"] and "SECRET" not in failed.error["message"]
    assert "a call of /tasks/broken failed in Homeport itself: ZeroDivisionError" in caplog.text
    assert "SECRET" not in caplog.text


@pytest.mark.slow
def test_a_caller_who_reads_slowly_gets_the_newest_and_the_result_and_holds_little(gateway: Running, backend: ScriptedBackend, front: str) -> None:
    """A text of 100 KB in 5,000 pieces: all partial values together are some 6 MB. Nothing is read until the model is done."""
    backend.default = Answer(tokens=("words and more words",) * 5000)
    asked = {"input": {"text": "x", "max_tokens": 50_000}, "stream": True}

    async def go() -> Heard:
        async with Caller(gateway.url) as caller:
            await opened(caller, front)
            caller.writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's, which can
            await caller.send(call("complete", asked))
            assert await asyncio.to_thread(soon, lambda: backend.generations == 1 and backend.in_flight == 0, 30)
            caller.writer.transport.resume_reading()  # type: ignore[attr-defined]
            return await asyncio.wait_for(caller.hear(), 30)

    heard = asyncio.run(go())
    assert heard.end == "complete"
    assert heard.events[-1]["output"] == "words and more words" * 5000
    assert len(heard.events) > 2
    assert len(heard.body) < 3_000_000
