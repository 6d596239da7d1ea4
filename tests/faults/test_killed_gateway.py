"""kill -9 of the gateway amid traffic: each dispatched Ask has its one receipt, or one row that says it never settled."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer
from tests.caller import Caller, Heard, asked, chat, request_bytes
from tests.figures import THOROUGH, note
from tests.gateway import Journal, Spawned, config

SEED = 5
ANSWER = Answer(tokens=tuple(f" w{n}" for n in range(12)), delay_s=0.003)


def rows(data: Path) -> list[tuple[Any, ...]]:
    """The ledger as it stands."""
    with sqlite3.connect(data / "ledger.sqlite") as ledger:
        found = ledger.execute("SELECT * FROM receipts ORDER BY id").fetchall()
    ledger.close()
    return found


async def traffic(url: str, cycle: int, pid: int, seconds: float) -> dict[str, Heard]:
    """Callers who ask one thing after another, each Ask under a name of its own, until the gateway is killed."""
    heards: dict[str, Heard] = {}
    over = asyncio.Event()

    async def one(number: int) -> None:
        count = 0
        while not over.is_set():
            try:
                async with Caller(url) as caller:
                    while not over.is_set():
                        name = f"ask-{cycle}-{number}-{count}"
                        count += 1
                        await caller.send(request_bytes(chat(name, stream=count % 2 == 0), headers={"user-agent": name}))
                        heards[name] = await caller.hear()
                        if heards[name].end != "complete":
                            return
            except ConnectionError:
                return

    asking = [asyncio.ensure_future(one(number)) for number in range(12)]
    await asyncio.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    over.set()
    await asyncio.gather(*asking)
    return heards


def kill_and_look(tmp_path: Path, cycles: int) -> dict[str, int]:
    """Kill it so many times amid the traffic of twelve callers; what came of it."""
    rng = random.Random(SEED)
    with ScriptedBackend(ANSWER, style="vllm") as backend:
        path = config(tmp_path, {"only": backend.url})
        journal = Journal(tmp_path / "data")
        heards: dict[str, Heard] = {}
        for cycle in range(cycles):
            gateway = Spawned(path)
            with gateway:
                heards |= asyncio.run(traffic(gateway.url, cycle, gateway.pid, rng.uniform(0.02, 0.3)))
                assert gateway.end(signal.SIGKILL) == -signal.SIGKILL
            assert backend.until(lambda: backend.sockets == 0, 2.0)
        dispatched = {seen.fields["messages"][0]["content"] for seen in backend.asks}
        with Spawned(path) as gateway:
            assert asked(gateway.url, chat("the last"), headers={"user-agent": "the-last"}).status == 200
        started = Counter(line["app"] for line in journal.started)
        settled = {line["app"]: line for line in journal.receipts}
        assert set(started.values()) == {1}
        assert len(settled) == len(journal.receipts)
        assert dispatched <= set(started), "a request reached a backend without a line in the journal"
        assert set(settled) <= set(started)
        whole = {name for name, heard in heards.items() if heard.end == "complete" and heard.status == 200}
        assert len(whole) > cycles
        assert all(settled[name]["outcome"] == "ok" for name in whole), "a caller has an answer whose receipt is missing"
        look_at_the_ledger(gateway, journal, started, settled)
        return {
            "kills": cycles,
            "asks": len(started),
            "answered_without_a_receipt": len(whole - set(settled)),
            "asks_with_two_receipts": len(journal.receipts) - len(settled),
            "unsettled_and_marked": len(set(started) - set(settled)),
        }


def look_at_the_ledger(gateway: Spawned, journal: Journal, started: Counter[str], settled: dict[str, Any]) -> None:
    """It holds each Ask once, the unsettled ones marked; and made anew it holds the same."""
    shown = gateway.run("logs", "--json", "--last", "1000000")
    assert shown.returncode == 0, shown.stderr
    receipts = {row["app"]: row for row in map(json.loads, shown.stdout.splitlines())}
    assert set(receipts) == set(started)
    assert len(shown.stdout.splitlines()) == len(started)
    for name, row in receipts.items():
        assert row["outcome"] == (settled[name]["outcome"] if name in settled else "unsettled")
    before = rows(journal.data)
    for _ in range(2):
        rebuilt = gateway.run("ledger", "rebuild")
        assert rebuilt.returncode == 0, rebuilt.stderr
        assert rows(journal.data) == before
    (journal.data / "ledger.sqlite").unlink()
    assert gateway.run("ledger", "rebuild").returncode == 0
    assert rows(journal.data) == before


def test_killed_three_times(tmp_path: Path) -> None:
    kill_and_look(tmp_path, 3)


@pytest.mark.slow
def test_killed_many_times(tmp_path: Path) -> None:
    cycles = 200 if THOROUGH else 25
    for name, value in kill_and_look(tmp_path, cycles).items():
        note(f"kills.{name}", value, seed=SEED)


def test_killed_with_nothing_but_unsettled_asks(tmp_path: Path) -> None:
    with ScriptedBackend(Answer(tokens=("x",), endless=True, delay_s=0.01)) as backend:
        gateway = Spawned(config(tmp_path, {"only": backend.url}))
        with gateway:

            async def killed() -> None:
                async with Caller(gateway.url) as caller:
                    await caller.send(request_bytes(chat("hold", stream=True)))
                    await caller.reader.readuntil(b"data: ")
                    await asyncio.to_thread(gateway.end, signal.SIGKILL)
                    heard = await caller.reader.read()
                    assert b"[DONE]" not in heard

            asyncio.run(killed())
        assert backend.until(lambda: backend.in_flight == 0, 1.0)
        rebuilt = gateway.run("ledger", "rebuild")
        assert rebuilt.returncode == 0, rebuilt.stderr
        receipts = [json.loads(line) for line in gateway.run("logs", "--json").stdout.splitlines()]
        assert [receipt["outcome"] for receipt in receipts] == ["unsettled"]


def test_sigterm_lets_answers_end_and_settles_them(tmp_path: Path) -> None:
    with ScriptedBackend(Answer(tokens=tuple("abcdefghij"), delay_s=0.05)) as backend:
        gateway = Spawned(config(tmp_path, {"only": backend.url}, drain_timeout_s=5))
        with gateway:

            async def go() -> Heard:
                async with Caller(gateway.url) as caller:
                    await caller.send(request_bytes(chat(stream=True)))
                    head = Heard()
                    await caller.head(head)
                    ending = asyncio.ensure_future(asyncio.to_thread(gateway.end, signal.SIGTERM))
                    heard = Heard(headers=head.headers, status=head.status)
                    while size := int((await caller.reader.readuntil(b"\r\n")).strip(), 16):
                        heard.body += await caller.reader.readexactly(size)
                        await caller.reader.readexactly(2)
                    assert await ending == 0
                    return heard

            heard = asyncio.run(go())
            assert heard.text == "abcdefghij"
            assert "[DONE]" in heard.data
        assert [receipt["outcome"] for receipt in gateway.journal.receipts] == ["ok"]


def test_sigterm_cuts_what_is_not_done_in_time_and_says_so(tmp_path: Path) -> None:
    with ScriptedBackend(Answer(tokens=("x",), endless=True, delay_s=0.02)) as backend:
        gateway = Spawned(config(tmp_path, {"only": backend.url}, drain_timeout_s=0.3))
        with gateway:

            async def go() -> Heard:
                async with Caller(gateway.url) as caller:
                    await caller.send(request_bytes(chat(stream=True)))
                    hearing = asyncio.ensure_future(caller.hear())
                    await asyncio.sleep(0.3)
                    assert await asyncio.to_thread(gateway.end, signal.SIGTERM) == 0
                    return await hearing

            heard = asyncio.run(go())
            assert len(heard.errors) == 1
            assert heard.end in ("aborted", "reset")
            assert "[DONE]" not in heard.data
        assert [receipt["outcome"] for receipt in gateway.journal.receipts] == ["cut"]
