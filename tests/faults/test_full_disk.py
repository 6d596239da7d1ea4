"""A disk that fills under a running gateway: what was acknowledged stays on record, the rest is refused in words, and room heals it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from homeport.testing.backend import ScriptedBackend
from tests.caller import Caller, Heard, asked, chat, request_bytes
from tests.faults.process import Short
from tests.figures import THOROUGH, note
from tests.gateway import Journal, config, soon

DISK = 64 << 20  # bytes
BOUND = "" if THOROUGH else "from homeport.storage import journal; journal.MAX_WAITING_LINES = 1000"  # soon reached; thorough: the real one
MOUNT = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"'


def spaces() -> bool:
    """Whether a mount namespace can be had here."""
    try:
        return subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, timeout=10).returncode == 0
    except OSError:
        return False


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux" or not spaces(), reason="a small disk needs a mount namespace (unshare -rm)"),
]


class OnSmallDisk(Short):
    """A gateway whose data folder is a tmpfs of its own; `disk` is that folder as seen from here."""

    def __init__(self, path: Path) -> None:
        self._data = path.parent / "data"
        self._data.mkdir(exist_ok=True)
        prefix = ("unshare", "-rm", "sh", "-c", MOUNT, "sh", str(DISK), str(self._data))
        super().__init__(path, prefix=prefix, before=BOUND)

    @property
    def disk(self) -> Path:
        return Path(f"/proc/{self.pid}/root{self._data}")

    def fill(self) -> int:
        """Leave no byte of it free; how many it took."""
        taken = 0
        handle = os.open(self.disk / "filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for piece in (1 << 16, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while True:
                        taken += os.write(handle, bytes(piece))
        finally:
            os.close(handle)
        return taken

    def free(self) -> None:
        """Room again."""
        (self.disk / "filler").unlink()

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another `homeport` command on the same disk."""
        environment = {**os.environ, "HOMEPORT_CONFIG": str(self.path)}
        inside = ["nsenter", "-t", str(self.pid), "-U", "-m", "--preserve-credentials"]  # SQLite would follow /proc/PID/root out of there again
        command = [*inside, sys.executable, "-m", "homeport", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def status(gateway: Short) -> dict[str, Any]:
    report: dict[str, Any] = asked(gateway.url, method="GET", path="/status", headers={"accept": "application/json"}).json
    return report


async def burst(url: str, name: str, number: int, until: str | None = None) -> dict[str, Heard]:
    """So many asks over eight connections, each under a name of its own; ends early once an answer has that error code."""
    heards: dict[str, Heard] = {}
    over = False

    async def one(lane: int) -> None:
        nonlocal over
        async with Caller(url) as caller:
            for count in range(number // 8):
                if over:
                    return
                app = f"{name}-{lane}-{count}"
                await caller.send(request_bytes(chat(app, stream=count % 2 == 0), headers={"user-agent": app}))
                heard = heards[app] = await caller.hear()
                assert heard.end == "complete"
                over = over or (until is not None and heard.status != 200 and heard.error["code"] == until)

    await asyncio.gather(*map(one, range(8)))
    return heards


def test_it_fills_and_is_emptied(tmp_path: Path) -> None:
    """Asks go on while their lines wait in memory; beyond the bounds they are refused, and none is lost that was answered."""
    with ScriptedBackend("one two three", style="vllm") as backend, OnSmallDisk(config(tmp_path, {"only": backend.url})) as gateway:
        journal = Journal(gateway.disk)
        heards = asyncio.run(burst(gateway.url, "before", 80))
        gateway.fill()
        heards |= asyncio.run(burst(gateway.url, "full", 160))
        assert {heard.status for heard in heards.values()} == {200}, "lines wait in memory: no caller need know"
        report = status(gateway)
        assert "No space left on device" in report["trouble"]
        assert report["verdict"].startswith("Receipts cannot be written")
        assert len(journal.receipts) < len(heards)

        later = asyncio.run(burst(gateway.url, "more", 40_000, until="cannot_record"))
        refused = {app: heard for app, heard in later.items() if heard.status != 200}
        assert refused, "the bound was not reached"
        assert {(heard.status, heard.error["code"]) for heard in refused.values()} == {(503, "cannot_record")}
        assert all(int(heard.headers["retry-after"]) >= 1 for heard in refused.values())
        assert all("No space left on device" in heard.error["message"] for heard in refused.values())
        generations = backend.generations
        assert asked(gateway.url, chat()).status == 503
        assert backend.generations == generations, "what cannot be recorded is not dispatched"
        assert asked(gateway.url, method="GET", path="/health").status == 200
        heards |= later

        gateway.free()
        freed = time.monotonic()
        assert soon(lambda: status(gateway)["trouble"] is None, 5.0)
        recovery_s = time.monotonic() - freed
        assert asked(gateway.url, chat(), headers={"user-agent": "after"}).status == 200
        look(gateway, journal, heards)
        recorded = {line["app"] for line in journal.receipts}
        lost = sum(heard.status == 200 and app not in recorded for app, heard in heards.items())
        note("disk.answered_while_full", sum(heard.status == 200 for app, heard in heards.items() if not app.startswith("before")))
        note("disk.receipts_lost", lost)
        note("disk.recovery_s", round(recovery_s, 2), "s", note="from room on the disk to all lines written")


def look(gateway: OnSmallDisk, journal: Journal, heards: dict[str, Heard]) -> None:
    """Each ask that was answered is on record once, in the journal and in the ledger, and made anew that is the same."""
    started = Counter(line["app"] for line in journal.started)
    settled = Counter(line["app"] for line in journal.receipts)
    outcomes = {line["app"]: line["outcome"] for line in journal.receipts}
    answered = {app for app, heard in heards.items() if heard.status == 200} | {"after"}
    assert answered <= set(settled)
    assert {settled[app] for app in answered} == {started[app] for app in answered} == {1}
    assert {outcomes[app] for app in answered} == {"ok"}
    assert not set(started) & {app for app, heard in heards.items() if heard.status != 200}
    for _ in range(2):
        shown = gateway.command("logs", "--json", "--last", "1000000")
        assert shown.returncode == 0, shown.stderr
        rows = Counter(row["app"] for row in map(json.loads, shown.stdout.splitlines()) if row["outcome"] == "ok")
        assert answered <= set(rows)
        assert {rows[app] for app in answered} == {1}
        rebuilt = gateway.command("ledger", "rebuild")
        assert rebuilt.returncode == 0, rebuilt.stderr


def test_it_fills_amid_traffic_again_and_again(tmp_path: Path) -> None:
    """Lines are torn where the disk ends, and made whole later: none is lost, none spoils another."""
    rounds = 20 if THOROUGH else 4
    with ScriptedBackend("one two three", style="vllm") as backend, OnSmallDisk(config(tmp_path, {"only": backend.url})) as gateway:
        journal = Journal(gateway.disk)
        heards: dict[str, Heard] = {}
        for number in range(rounds):

            async def go(number: int = number) -> dict[str, Heard]:
                asking = asyncio.ensure_future(burst(gateway.url, f"round-{number}", 120))
                await asyncio.sleep(0.02)
                await asyncio.to_thread(gateway.fill)
                return await asking

            heards |= asyncio.run(go())
            gateway.free()
            assert soon(lambda: status(gateway)["trouble"] is None, 5.0)
        assert {heard.status for heard in heards.values()} == {200}
        assert asked(gateway.url, chat(), headers={"user-agent": "after"}).status == 200
        look(gateway, journal, heards)
        note("disk.fillings", rounds, note="amid traffic")


def test_full_from_the_start(tmp_path: Path) -> None:
    """It starts, answers, says what is wrong, and records all once there is room."""
    path = config(tmp_path, {"only": "http://127.0.0.1:9"})
    with ScriptedBackend("one two three", style="vllm") as backend:
        path = config(tmp_path, {"only": backend.url})
        gateway = OnSmallDisk(path)
        gateway._prefix = (*gateway._prefix[:4], MOUNT.replace("&& shift", '&& cat /dev/zero > "$2/filler" 2>/dev/null; shift'), *gateway._prefix[5:])
        with gateway:
            assert asked(gateway.url, chat(), headers={"user-agent": "early"}).status == 200
            assert "No space left on device" in status(gateway)["trouble"]
            gateway.free()
            assert soon(lambda: status(gateway)["trouble"] is None, 5.0)
            assert soon(lambda: [line["app"] for line in Journal(gateway.disk).receipts] == ["early"], 5.0)
            shown = gateway.command("logs", "--json")
            assert [json.loads(row)["app"] for row in shown.stdout.splitlines()] == ["early"], shown.stderr
