"""The wall clock moved by a day under a running gateway, forward and back: nothing times out, and nobody is told twice."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer
from tests.caller import Caller, Heard, ask, asked, chat, request_bytes
from tests.faults.process import Short
from tests.figures import THOROUGH, note
from tests.gateway import config, soon
from tests.receiver import Receiver

DAY = 86_400
SLOW = Answer(tokens=tuple("abcdefghij"), delay_s=0.1)
MOVES = (DAY, 0, -DAY, 0, DAY, -DAY, 0) if THOROUGH else (DAY, -DAY, 0)
SANE_MS = 60_000.0
MOVABLE = """
import datetime, time
real, local, utc = time.time, time.localtime, time.gmtime
def moved():
    with open({offset!r}) as file:
        return real() + float(file.read())
class Moved(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(moved(), tz)
time.time, time.time_ns = moved, lambda: int(moved() * 1e9)
time.localtime, time.gmtime = (lambda at=None: local(moved() if at is None else at)), (lambda at=None: utc(moved() if at is None else at))
datetime.datetime = Moved
"""

pytestmark = pytest.mark.slow


class Moved(Short):
    """A gateway whose wall clock is `move`d; the clock that only goes forward is left alone, as the system leaves it."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._offset = path.parent / "offset"
        self.move(offset)
        super().__init__(path, before=MOVABLE.format(offset=str(self._offset)))

    def move(self, offset: int) -> None:
        """From now on it is so many seconds later than it is."""
        new = self._offset.with_suffix(".new")
        new.write_text(f"{offset:+d}\n", encoding="ascii")
        new.replace(self._offset)

    def status(self) -> dict[str, Any]:
        """`/status` as JSON."""
        report: dict[str, Any] = asked(self.url, method="GET", path="/status", headers={"accept": "application/json"}).json
        return report

    def key(self, name: str) -> dict[str, str]:
        """A new key, as the header that carries it."""
        made = self.run("keys", "add", name, "--json")
        assert made.returncode == 0, made.stderr
        return {"authorization": f"Bearer {json.loads(made.stdout)['key']}"}


async def moved_amid(gateway: Moved, backend: ScriptedBackend, offset: int, headers: dict[str, str]) -> tuple[Heard, Heard]:
    """A stream and an ask that waits in the queue behind it, with the clock moved while both are under way."""
    async with Caller(gateway.url) as first, Caller(gateway.url) as second:
        await first.send(request_bytes(chat(stream=True), headers=headers))
        await first.reader.readuntil(b"data: ")
        await second.send(request_bytes(chat(), headers=headers))
        assert await asyncio.to_thread(soon, lambda: gateway.status()["backends"][0]["queued"] == 1)
        gateway.move(offset)
        rest = await first.reader.readuntil(b"[DONE]")
        streamed = Heard(status=200, body=b"data: " + rest + b"\n\n", end="complete", headers={"content-type": "text/event-stream"})
        return streamed, await second.hear()


def test_answers_queues_keys_and_receipts(tmp_path: Path) -> None:
    with ScriptedBackend(SLOW, style="vllm") as backend, Receiver() as receiver:
        home = {"url": backend.url, "max_in_flight": 1, "queue_timeout_s": 8, "idle_timeout_s": 3, "first_token_timeout_s": 3, "total_timeout_s": 10}
        path = config(tmp_path, {"home": home}, monitor={"probe_interval_s": 0.2, "notify": [receiver.url]})
        with Moved(path) as gateway:
            keys = [gateway.key("before")]
            for number, offset in enumerate(MOVES):
                assert soon(lambda: asked(gateway.url, chat(max_tokens=1), headers=keys[-1]).status == 200)
                streamed, waited = asyncio.run(moved_amid(gateway, backend, offset, keys[-1]))
                assert streamed.finished, streamed.body
                assert (streamed.text, waited.text) == ("abcdefghij", "abcdefghij")
                keys.append(gateway.key(f"after-{number}"))
                assert soon(lambda: asked(gateway.url, chat(max_tokens=1), headers=keys[-1]).status == 200)
                now = time.time() + offset
                report = gateway.status()
                row = report["backends"][0]
                assert (row["state"], row["in_flight"], row["queued"], report["incidents"]) == ("healthy", 0, 0, [])
                assert soon(lambda: 0 <= gateway.status()["uptime_s"] < 600)
                assert soon(lambda now=now: abs(gateway.journal.receipts[-1]["ts"] - now) < 60)  # type: ignore[misc]  # the clock was moved indeed
            assert all(asked(gateway.url, chat(max_tokens=1), headers=key).status == 200 for key in keys)
            made = len(gateway.journal.receipts)
            shown = [json.loads(line) for line in gateway.run("logs", "--json", "--last", "1000").stdout.splitlines()]
            assert len(shown) == made == len({line["id"] for line in shown})
        for receipt in gateway.journal.receipts:
            assert receipt["outcome"] == "ok" or receipt["total_ms"] < SANE_MS
            assert 0 <= receipt["first_token_ms"] <= receipt["total_ms"] < SANE_MS
            assert 0 <= receipt["queue_ms"] < SANE_MS
            assert 0 <= (receipt["tok_per_s"] or 0.0) < 1e6
        assert {receipt["outcome"] for receipt in gateway.journal.receipts} == {"ok"}
        assert receiver.posts == []
        note("clock.moves", len(MOVES), note="of a day, amid a stream and a waiting ask")
        note("clock.cut_or_timed_out", 0)


def test_outages_are_told_once_and_last_as_long_as_they_did(tmp_path: Path) -> None:
    with Receiver() as receiver, contextlib.ExitStack() as life:
        port = life.enter_context(ScriptedBackend("well", style="vllm")).port
        path = config(tmp_path, {"home": f"http://127.0.0.1:{port}"}, monitor={"probe_interval_s": 0.1, "notify": [receiver.url]})
        with Moved(path) as gateway:
            assert soon(lambda: gateway.status()["backends"][0]["models"] != [])
            for number, offset in enumerate(MOVES):
                began = time.monotonic()
                life.close()
                assert receiver.until(lambda told=2 * number + 1: len(receiver.taken) >= told), "down was not told"  # type: ignore[misc]
                gateway.move(offset)
                time.sleep(0.5)  # several probes with the clock moved
                life.enter_context(ScriptedBackend("well", style="vllm", port=port))
                assert receiver.until(lambda told=2 * number + 2: len(receiver.taken) >= told), "up was not told"  # type: ignore[misc]
                down, up = receiver.taken[-2:]
                assert (down["kind"], up["kind"]) == ("down", "up")
                assert 0.5 <= up["downtime_s"] < time.monotonic() - began
            assert len(receiver.posts) == 2 * len(MOVES)
            assert len({event["id"] for event in receiver.taken}) == 2 * len(MOVES)
            incidents = gateway.status()["incidents"]
            assert len(incidents) == len(MOVES)
            assert all(0.5 <= incident["downtime_s"] < 60 for incident in incidents)
        note("clock.notifications_doubled", len(receiver.posts) - 2 * len(MOVES))


def test_killed_and_started_again_a_day_earlier(tmp_path: Path) -> None:
    """What stood unsettled is marked, the new run is read after the old one, and an outage that lasts is not told again."""
    with ScriptedBackend(Answer(tokens=("x",), endless=True, delay_s=0.02), style="vllm") as backend, Receiver() as receiver:
        path = config(tmp_path, {"home": backend.url, "gone": "http://127.0.0.1:9"}, monitor={"probe_interval_s": 0.1, "notify": [receiver.url]})
        with Moved(path, DAY) as gateway:
            assert receiver.until(lambda: len(receiver.taken) == 1)

            async def killed() -> None:
                async with Caller(gateway.url) as caller:
                    await caller.send(request_bytes(chat("hold", stream=True), headers={"user-agent": "unsettled"}))
                    await caller.reader.readuntil(b"data: ")
                    await asyncio.to_thread(gateway.end, signal.SIGKILL)

            asyncio.run(killed())
        backend.default = Answer(text="well")
        with Moved(path, 0) as gateway:
            assert asyncio.run(ask(gateway.url, chat(), headers={"user-agent": "settled"})).text == "well"
            shown = [json.loads(line) for line in gateway.run("logs", "--json").stdout.splitlines()]
            assert {row["app"]: row["outcome"] for row in shown} == {"unsettled": "unsettled", "settled": "ok"}
            time.sleep(1.0)  # ten probes
            assert len({json.loads(post["message"])["id"] for post in receiver.posts}) == 1  # killed before it was noted as taken, it comes again
