"""The limits of keys over real sockets: refusals in every dialect, and places that come back however an answer ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from homeport.journey.admit import Admit
from homeport.storage.keys import Keys
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer
from tests.caller import Caller, Heard, asked, chat, request_bytes
from tests.gateway import Running, config, soon

ENDLESS = Answer(tokens=("x",), endless=True, delay_s=0.01)
MESSAGES = {"model": "assistant", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


@contextmanager
def limited(folder: Path, limits: str, answer: str | Answer = "one two three") -> Iterator[tuple[Running, ScriptedBackend]]:
    """A gateway with these lines of `[limits]` on one backend."""
    with ScriptedBackend(answer, style="vllm") as backend:
        path = config(folder, {"only": backend.url})
        path.write_text(path.read_text(encoding="utf-8") + limits, encoding="utf-8")
        with Running(path) as gateway:
            yield gateway, backend


def key(gateway: Running, name: str) -> dict[str, str]:
    """A new key of this gateway, as the header that carries it."""
    made = Keys(gateway.app.settings.server.data).add(name)
    assert soon(lambda: name in gateway.app._keys.names())
    return {"authorization": f"Bearer {made}"}


def test_requests_of_each_key_by_itself(tmp_path: Path) -> None:
    with limited(tmp_path, "[limits]\nrequests_per_minute = 2\n[limits.keys.bob]\nrequests_per_minute = 3\n") as (gateway, backend):
        ada, bob = key(gateway, "ada"), key(gateway, "bob")
        assert [asked(gateway.url, chat(), headers=ada).status for _ in range(3)] == [200, 200, 429]
        assert [asked(gateway.url, chat(), headers=bob).status for _ in range(4)] == [200, 200, 200, 429]
        refused = asked(gateway.url, chat(), headers=ada)
        assert 1 <= int(refused.headers["retry-after"]) <= 30
        assert refused.error["type"] == "rate_limit_error"
        assert refused.error["code"] == "rate_limit_exceeded"
        assert refused.error["message"].startswith("The key ada may have 2 requests a minute (requests_per_minute)")
        assert f"there is room again in {refused.headers['retry-after']} s" in refused.error["message"]
        assert "x-should-retry" not in refused.headers
        assert backend.generations == 5
        outcomes = [(receipt["key"], receipt["outcome"]) for receipt in gateway.journal.settled(8)]
        assert outcomes.count(("ada", "refused")) == 2
        assert outcomes.count(("bob", "refused")) == 1


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/v1/chat/completions", chat(), ("error", "message")),
        ("/v1/responses", {"model": "assistant", "input": "hi"}, ("error", "message")),
        ("/v1/embeddings", {"model": "assistant", "input": "hi"}, ("error", "message")),
        ("/v1/messages", MESSAGES, ("error", "message")),
        ("/api/chat", {"model": "assistant", "messages": [{"role": "user", "content": "hi"}]}, ("error",)),
    ],
)
def test_every_dialect_has_its_envelope(tmp_path: Path, path: str, body: Any, words: tuple[str, ...]) -> None:
    with limited(tmp_path, "[limits]\nrequests_per_minute = 1\n") as (gateway, _):
        assert asked(gateway.url, chat()).status == 200
        refused = asked(gateway.url, body, path=path)
        assert (refused.status, refused.headers["retry-after"]) in [(429, "60"), (429, "59")]
        told: Any = refused.json
        for word in words:
            told = told[word]
        assert told.startswith("Whoever asks this gateway may have 1 request a minute")


def test_tokens_count_when_the_answer_is_there(tmp_path: Path) -> None:
    with limited(tmp_path, "[limits]\ntokens_per_minute = 10\n", Answer(tokens=tuple("abcdefghijklmnopqrstuvwxyz"))) as (gateway, _):
        streamed = asked(gateway.url, chat(stream=True))
        assert streamed.finished
        used = sum(gateway.journal.settled(1)[0][name] for name in ("prompt_tokens", "completion_tokens"))
        assert used > 26
        refused = asked(gateway.url, chat())
        assert refused.status == 429
        due = (used + 1 - 10) * 6
        assert due - 3 <= int(refused.headers["retry-after"]) <= due
        assert (refused.headers.get("x-should-retry") == "false") == (int(refused.headers["retry-after"]) > 60)
        assert "10 tokens a minute" in refused.error["message"]


def test_places_come_back_after_every_end(tmp_path: Path) -> None:
    """A whole answer, a hang-up, a refusal further on, a revoked key: none leaves its place taken."""
    with limited(tmp_path, "[limits]\nmax_in_flight = 1\n", ENDLESS) as (gateway, backend):

        async def held(headers: dict[str, str]) -> Caller:
            caller = await Caller(gateway.url).__aenter__()
            await caller.send(request_bytes(chat(stream=True), headers=headers))
            await caller.reader.readuntil(b"data: ")
            return caller

        async def go() -> None:
            holder = await held({})
            refused = await asyncio.to_thread(asked, gateway.url, chat())
            assert (refused.status, refused.headers["retry-after"]) == (429, "1")
            assert "1 request under way at once (max_in_flight)" in refused.error["message"]
            await holder.leave()
            assert await asyncio.to_thread(soon, lambda: asked(gateway.url, chat(model="no such")).status == 404)
            await asyncio.sleep(0)
            backend.default = Answer(text="well")
            assert [await asyncio.to_thread(status) for _ in range(3)] == [200, 200, 200]

        def status() -> int:
            return asked(gateway.url, chat()).status

        asyncio.run(go())


def test_a_revoked_key_leaves_no_meter(tmp_path: Path) -> None:
    with limited(tmp_path, "[limits]\nmax_in_flight = 1\n", ENDLESS) as (gateway, _):
        limits = gateway.app._admit._limits  # type: ignore[attr-defined]
        keys = Keys(gateway.app.settings.server.data)

        async def go() -> None:
            async with Caller(gateway.url) as caller:
                await caller.send(request_bytes(chat(stream=True), headers=key(gateway, "ada")))
                await caller.reader.readuntil(b"data: ")
                assert len(limits) == 1
                keys.revoke("ada")
                heard = Heard(body=await caller.reader.read())
                assert b"revoked" in heard.body

        keys.add("other")
        assert soon(lambda: gateway.app._keys.exist)
        asyncio.run(go())
        assert soon(lambda: len(limits) == 0)


def test_nothing_where_nothing_is_set(tmp_path: Path) -> None:
    with limited(tmp_path, "[limits]\n") as (gateway, _):
        assert {asked(gateway.url, chat()).status for _ in range(20)} == {200}
        assert type(gateway.app._admit) is Admit
