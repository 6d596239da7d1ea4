"""The supervisor with children that are shell scripts: what they say, how they end, and what comes of it."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from homeport.errors import HomeportError
from homeport.ports import Heard
from homeport.tunnel import state as states
from homeport.tunnel import supervision
from homeport.tunnel.state import TunnelState
from homeport.tunnel.supervision import Supervisor

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the children are shell scripts")
STANDS = "echo stands; exec sleep 600"


class Scripted:
    """A tunnel whose children are scripts, one after the other; the last again and again. Fulfils ports.Tunnel."""

    kind, url, asks = "scripted", None, "somebody should ask"
    environment: Mapping[str, str] = {"TUNNEL_WORD": "stands"}

    def __init__(self, *scripts: str) -> None:
        self._scripts = list(scripts)
        self.runs = 0
        self.busy = 0  # runs for which there is no process to be had

    def command(self, relay: str) -> list[str]:
        assert relay == "127.0.0.1:4000"
        self.runs += 1
        if self.runs <= self.busy:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return ["/bin/sh", "-c", self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]]

    def hear(self, line: str) -> Heard | None:
        event, _, reason = line.partition(": ")
        if event == "stands":
            return Heard("connected", "")
        if event in ("unreachable", "lost", "held", "refused"):
            return Heard(event, reason)  # type: ignore[arg-type]
        return None


class Evidence:
    """What comes through, in a test's hand."""

    def __init__(self) -> None:
        self.place = "127.0.0.1:4000"
        self.arrived_at = self.proved_at = float("-inf")
        self.fault = ""
        self.waiting = False
        self.round_trip_ms: float | None = 12.5
        self.running = False
        self.forgotten = 0

    async def start(self) -> None:
        self.running = True

    async def stop(self) -> None:
        self.running = False

    def forget(self) -> None:
        self.forgotten += 1


class Stage:
    """A supervisor at work in this loop."""

    def __init__(self, folder: Path, *scripts: str, probe_timeout_s: float = 30.0) -> None:
        self.folder = folder
        self.tunnel, self.evidence = Scripted(*scripts), Evidence()
        self.told: list[TunnelState] = []
        self.beats = 0
        self.supervisor = Supervisor(self.tunnel, self.evidence, folder, self.told.append, probe_timeout_s=probe_timeout_s, beat=self._beat, chance=lambda: 0.0)
        self.ended = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def _beat(self) -> None:
        self.beats += 1

    def prove(self) -> None:
        self.evidence.arrived_at = self.evidence.proved_at = asyncio.get_running_loop().time()

    async def until(self, wanted: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not wanted():
                await asyncio.sleep(0.01)

    async def state(self, state: str, words: str = "") -> TunnelState:
        await self.until(lambda: any(one.state == state and words in (one.reason or "") for one in self.told[-1:]))
        return self.told[-1]

    async def __aenter__(self) -> Stage:
        self.task = asyncio.ensure_future(self.supervisor.run(self.ended))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.ended.set()
        assert self.task is not None
        await asyncio.wait_for(self.task, 30)


def test_it_is_up_with_a_proof_only_and_the_file_says_the_same(tmp_path: Path) -> None:
    async def work() -> None:
        async with Stage(tmp_path, STANDS) as stage:
            await stage.state("connecting", "nothing has come through yet: somebody should ask")
            stage.prove()
            found = await stage.state("up")
            assert (found.reason, found.round_trip_ms, found.reconnects) == (None, 12.5, 0)
            assert states.read(tmp_path, lambda _: True) == found
            assert stage.beats >= 1
        assert stage.told[-1].state == "down" and not stage.evidence.running
        assert states.read(tmp_path, lambda _: False).reason == states.NOT_RUNNING
        assert stage.tunnel.runs == 1

    asyncio.run(work())


def test_a_child_that_is_lost_is_started_again_and_counted_once_it_is_up(tmp_path: Path) -> None:
    async def work() -> None:
        async with Stage(tmp_path, f"echo stands; while [ ! -e {tmp_path}/go ]; do sleep 0.02; done; echo 'lost: gone'", STANDS) as stage:
            await stage.state("connecting", "nothing")
            stage.prove()
            await stage.state("up")
            (tmp_path / "go").touch()
            assert (await stage.state("connecting", "gone")).reconnects == 0
            await stage.until(lambda: stage.tunnel.runs == 2)
            assert stage.evidence.forgotten == 2
            await stage.state("connecting", "nothing has come through yet")  # the old proof is none
            stage.prove()
            assert (await stage.state("up")).reconnects == 1

    asyncio.run(work())


@pytest.mark.parametrize(
    ("script", "state", "words"),
    [
        ("echo 'unreachable: no such host'", "down", "no such host"),
        ("echo 'lost: before it stood'", "down", "before it stood"),
        ("echo stands; echo 'lost: and then'", "connecting", "and then"),
        ("echo 'held: still held'", "connecting", "still held"),
        ("echo 'refused: another key'", "refused", "another key"),
        ("echo 'lost: first'; echo 'refused: last word'", "refused", "last word"),
        ("echo some words of its own >&2; exit 3", "down", "scripted ended (status 3): some words of its own"),
        ("kill -9 $$", "down", "scripted ended (status -9)"),
    ],
)
def test_each_end_has_its_state(tmp_path: Path, script: str, state: str, words: str) -> None:
    async def work() -> None:
        async with Stage(tmp_path, script) as stage:
            await stage.state(state, words)
            await stage.until(lambda: stage.tunnel.runs > 1 or state == "refused")
            told = len(stage.told)
        assert told <= 4  # the same again is not told again

    asyncio.run(work())


def test_a_port_that_stays_held_is_tried_more_rarely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each try is a login, and a line in the VPS's log."""
    longest: list[float] = []

    def wait_s(failures: int, chance: float, *, first_s: float, longest_s: float) -> float:
        longest.append(longest_s)
        return 0.0

    monkeypatch.setattr(supervision, "STUCK_AFTER", 2)
    monkeypatch.setattr("homeport.rules.backoff.wait_s", wait_s)

    async def work() -> None:
        async with Stage(tmp_path, "echo 'held: still held'") as stage:
            await stage.until(lambda: len(longest) >= 4)
        assert longest[:4] == [1.0, 1.0, 15.0, 15.0]

    asyncio.run(work())


def test_a_silence_makes_another_connection(tmp_path: Path) -> None:
    async def work() -> None:
        async with Stage(tmp_path, STANDS, probe_timeout_s=0.3) as stage:
            await stage.until(lambda: stage.tunnel.runs >= 3)

            def proved() -> bool:  # again and again, for a connection may just be given up
                stage.prove()
                return stage.told[-1].state == "up"

            await stage.until(proved)
            await stage.state("connecting", "nothing has come through for")

    asyncio.run(work())


def test_an_answer_that_is_awaited_is_not_cut_for_a_silence(tmp_path: Path) -> None:
    async def work() -> None:
        async with Stage(tmp_path, STANDS, probe_timeout_s=0.3) as stage:
            stage.evidence.waiting = True
            await stage.state("connecting", "an answer is under way")
            told = len(stage.told)
            await asyncio.sleep(1.0)
            assert stage.tunnel.runs == 1
            assert len(stage.told) == told  # and it is said once
            stage.evidence.waiting = False
            await stage.until(lambda: stage.tunnel.runs > 1)

    asyncio.run(work())


def test_something_that_comes_through_says_that_it_stands_whatever_the_child_says(tmp_path: Path) -> None:
    async def work() -> None:
        async with Stage(tmp_path, "exec sleep 600") as stage:
            await stage.until(lambda: stage.tunnel.runs == 1)
            await asyncio.sleep(0.05)
            stage.prove()
            await stage.state("up")

    asyncio.run(work())


def test_a_child_that_never_stands_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "STAND_S", 0.2)

    async def work() -> None:
        async with Stage(tmp_path, "exec sleep 600") as stage:
            await stage.state("down", "scripted did not get through in 0 s")

    asyncio.run(work())


def test_a_child_that_is_refused_and_tries_on_by_itself_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "STAND_S", 0.2)

    async def work() -> None:
        async with Stage(tmp_path, "echo 'refused: another token'; exec sleep 600") as stage:
            await stage.state("refused", "another token")

    asyncio.run(work())


def test_its_end_is_the_childs_even_of_one_that_will_not_hear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homeport.tunnel.child.END_S", 0.2)

    async def work() -> None:
        async with Stage(tmp_path, f"trap '' TERM; echo $$ > {tmp_path}/pid; echo stands; while true; do sleep 0.05; done") as stage:
            await stage.state("connecting", "nothing has come through yet")
        pid = int((tmp_path / "pid").read_text(encoding="ascii"))
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    asyncio.run(work())


def test_the_environment_is_the_childs(tmp_path: Path) -> None:
    async def work() -> None:
        async with Stage(tmp_path, 'echo "$TUNNEL_WORD"; exec sleep 600') as stage:
            await stage.state("connecting", "nothing has come through yet")

    asyncio.run(work())


def test_a_line_without_end_does_no_harm(tmp_path: Path) -> None:
    async def work() -> None:
        async with Stage(tmp_path, "head -c 300000 /dev/zero | tr '\\0' x; echo; " + STANDS) as stage:
            await stage.state("connecting", "nothing has come through yet")

    asyncio.run(work())


def test_a_command_that_cannot_be_run_ends_it_with_the_reason(tmp_path: Path) -> None:
    async def work() -> None:
        stage = Stage(tmp_path, "true")

        def command(_: str) -> list[str]:
            raise HomeportError("there is no ssh")

        stage.tunnel.command = command  # type: ignore[method-assign]
        with pytest.raises(HomeportError, match="there is no ssh"):
            await stage.supervisor.run(stage.ended)
        assert not stage.evidence.running

    asyncio.run(work())


def test_a_child_that_cannot_be_started_for_now_is_tried_again(tmp_path: Path) -> None:
    async def work() -> None:
        stage = Stage(tmp_path, STANDS)
        stage.tunnel.busy = 2
        async with stage:
            await stage.state("down", "scripted cannot be started: Resource temporarily unavailable")
            await stage.state("connecting", "nothing has come through yet")

    asyncio.run(work())


def test_a_full_disk_keeps_no_tunnel_from_standing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(states, "write", full)

    async def work() -> None:
        async with Stage(tmp_path, STANDS) as stage:
            await stage.state("connecting", "nothing")
            stage.prove()
            await stage.state("up")

    asyncio.run(work())
