"""The engine: a real llama.cpp in a real child process, killed, broken and stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from homeport.backends import engine as engine_module
from homeport.backends.engine import Engine
from homeport.errors import Unreachable
from homeport.testing.talker import babble, write_talker
from tests.caller import Caller, ask, chat, request_bytes

TEXT = "It says what it was told to say, and nothing else."
PARENT = """
import asyncio, sys
from pathlib import Path
from homeport.backends.engine import Engine

async def main():
    engine = Engine(model=Path(sys.argv[1]), slots=1, context=256, name="orphan")
    await engine.start()
    await engine.ready(20)
    print(engine.pid, flush=True)
    await asyncio.sleep(60)

LOOP
"""
LOOPS = ["asyncio.run(main())"] if sys.platform == "win32" else ["asyncio.run(main())", "import uvloop; uvloop.run(main())"]

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_talker(tmp_path_factory.mktemp("engine") / "talker.gguf", TEXT)


def play(model: Path, scene: Callable[[Engine], Awaitable[None]], *, wait: bool = True, **options: Any) -> None:
    """Run a scene with an engine, which is stopped afterwards."""

    async def run() -> None:
        engine = Engine(**({"model": model, "slots": 2, "context": 512, "name": "talker"} | options))
        await engine.start()
        try:
            if wait:
                await engine.ready(20)
            await scene(engine)
        finally:
            await engine.stop()

    asyncio.run(asyncio.wait_for(run(), 60))


def key(engine: Engine) -> dict[str, str]:
    return {"authorization": f"Bearer {engine.key}"}


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    listing = Path(f"/proc/{pid}/stat")
    return not listing.exists() or listing.read_text().rpartition(")")[2].split()[0] != "Z"


async def until(fact: Callable[[], bool], within_s: float = 10) -> None:
    deadline = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.01)


def test_it_serves_whole_and_streamed_with_its_key_only(model: Path) -> None:
    async def scene(engine: Engine) -> None:
        assert engine.state == "healthy"
        assert engine.url.startswith("http://127.0.0.1:")
        whole = await ask(engine.url, chat(), headers=key(engine))
        stream = await ask(engine.url, chat(stream=True), headers=key(engine))
        assert whole.text == stream.text == TEXT
        assert whole.json["model"] == "talker"
        assert (await ask(engine.url, chat())).status == 401
        assert (await ask(engine.url, chat(), headers={"authorization": "Bearer guess"})).status == 401
        for path in ("/slots", "/metrics", "/props", "/v1/models"):
            assert (await ask(engine.url, method="GET", path=path)).status == 401
        for path in ("/slots", "/metrics"):
            assert (await ask(engine.url, method="GET", path=path, headers=key(engine))).status == 501

    play(model, scene)


def test_slots_answer_side_by_side_each_with_its_context(tmp_path: Path) -> None:
    async def scene(engine: Engine) -> None:
        answers = await asyncio.gather(*(ask(engine.url, chat(str(number), stream=True), headers=key(engine)) for number in range(4)))
        assert {answer.text for answer in answers} == {babble(40)}
        spans = sorted((answer.pieces[0][0], answer.pieces[-1][0]) for answer in answers)
        assert all(begin < spans[0][1] for begin, _ in spans)  # the last began before the first was done
        too_long = await ask(engine.url, chat("x" * 1100), headers=key(engine))
        assert too_long.error["n_ctx"] == 1024

    play(write_talker(tmp_path / "long.gguf", babble(40), slow_layers=1), scene, slots=4, context=1024)


def test_the_prompt_cache_spares_the_prompt(model: Path) -> None:
    async def scene(engine: Engine) -> None:
        first, again = [await ask(engine.url, chat("x" * 200), headers=key(engine)) for _ in range(2)]
        cached = [answer.json["usage"]["prompt_tokens_details"]["cached_tokens"] for answer in (first, again)]
        assert cached[0] < 20
        assert cached[1] > 200

    play(model, scene)


def test_embeddings_and_chat_come_from_one_server(model: Path) -> None:
    async def scene(engine: Engine) -> None:
        embedded = await ask(engine.url, {"input": ["one", "x" * 500]}, path="/v1/embeddings", headers=key(engine))
        assert [len(row["embedding"]) for row in embedded.json["data"]] == [256, 256]
        assert (await ask(engine.url, chat(), headers=key(engine))).text == TEXT

    play(model, scene)


def test_embeddings_can_be_left_out(model: Path) -> None:
    async def scene(engine: Engine) -> None:
        assert (await ask(engine.url, {"input": "one"}, path="/v1/embeddings", headers=key(engine))).status == 501

    play(model, scene, embeddings=False)


def _seen(engine: Engine, sight: str) -> str:
    return Path(f"/proc/{engine.pid}/{sight}").read_text()


@linux
def test_the_key_is_not_in_sight(model: Path) -> None:
    async def scene(engine: Engine) -> None:
        seen.update({str(engine.key): (_seen(engine, "cmdline"), _seen(engine, "environ"))})

    seen: dict[str, tuple[str, str]] = {}
    play(model, scene)
    ((secret, sights),) = seen.items()
    assert all(sight and secret not in sight for sight in sights)


@posix
def test_a_killed_child_is_restarted_and_the_transitions_are_told(model: Path) -> None:
    async def scene(engine: Engine) -> None:
        states: list[str] = []
        engine.on_change = lambda: states.append(engine.state)
        killed, before = engine.pid, engine.since
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        await until(lambda: engine.state == "down")
        assert "killed by SIGKILL" in engine.reason
        assert engine.since > before
        await engine.ready(20)
        await until(lambda: states == ["down", "loading", "healthy"])
        assert engine.pid not in (None, killed)
        assert engine.restarts == 1
        assert (await ask(engine.url, chat(), headers=key(engine))).text == TEXT

    play(model, scene)


@posix
def test_a_kill_cuts_the_stream_it_was_sending(tmp_path: Path) -> None:
    async def scene(engine: Engine) -> None:
        assert engine.pid is not None
        async with Caller(engine.url) as caller:
            await caller.send(request_bytes(chat(stream=True), headers=key(engine)))
            await caller.reader.readuntil(b" w0009")
            os.kill(engine.pid, signal.SIGKILL)
            heard = await asyncio.wait_for(caller.reader.read(), 5)
        assert b"[DONE]" not in heard

    play(write_talker(tmp_path / "endless.gguf", babble(20), never_ends=True), scene)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("frozen", [False, pytest.param(True, marks=linux)])
@posix
def test_it_dies_with_its_parent(model: Path, loop: str, frozen: bool) -> None:
    command = [sys.executable, "-c", PARENT.replace("LOOP", loop), str(model)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert alive(child)
        if frozen:
            os.kill(child, signal.SIGSTOP)  # it cannot notice by itself: the kernel has to end it
        parent.kill()
        killed = time.monotonic()
        while alive(child) and time.monotonic() < killed + 1:
            time.sleep(0.01)
        assert not alive(child)


@posix
def test_signals_of_the_terminal_and_the_service_leave_it_to_its_parent(model: Path) -> None:
    async def scene(engine: Engine) -> None:
        assert engine.pid is not None
        assert os.getsid(engine.pid) != os.getsid(0)
        os.kill(engine.pid, signal.SIGTERM)
        os.kill(engine.pid, signal.SIGINT)
        assert (await ask(engine.url, chat(), headers=key(engine))).text == TEXT
        assert engine.state == "healthy"

    play(model, scene)


@pytest.mark.parametrize("harm", ["nonsense", "cut", "absent"])
def test_a_model_that_cannot_be_loaded_is_down_with_its_reason_and_tried_again_later_and_later(tmp_path: Path, model: Path, harm: str) -> None:
    path = tmp_path / "broken.gguf"
    if harm != "absent":
        path.write_bytes(b"nonsense" * 1000 if harm == "nonsense" else model.read_bytes()[:500_000])
    says = {"nonsense": "invalid magic", "cut": "not within the file bounds", "absent": "No such file"}[harm]

    async def scene(engine: Engine) -> None:
        downs: list[float] = []
        starts: list[float] = []
        engine.on_change = lambda: (downs if engine.state == "down" else starts).append(time.monotonic())
        with pytest.raises(Unreachable, match=f"could not load broken.gguf: .*{says}"):
            await engine.ready(20)
        await until(lambda: len(starts) >= 2)
        pauses = [start - down for down, start in zip(downs, starts, strict=False)]
        assert pauses[0] >= 0.19
        assert pauses[1] >= 0.39

    play(path, scene, wait=False)


def test_a_model_put_right_is_found(tmp_path: Path) -> None:
    path = tmp_path / "late.gguf"

    async def scene(engine: Engine) -> None:
        with pytest.raises(Unreachable):
            await engine.ready(20)
        write_talker(path, TEXT)
        await until(lambda: engine.state == "healthy")
        assert (await ask(engine.url, chat(), headers=key(engine))).text == TEXT

    play(path, scene, wait=False)


def test_a_child_that_hangs_while_loading_is_given_up(model: Path) -> None:
    async def scene(engine: Engine) -> None:
        await until(lambda: engine.state == "down")
        assert engine.reason == "talker.gguf was not loaded within 0.01 s, so the engine was ended"
        with pytest.raises(Unreachable, match="The engine of talker is"):
            await engine.ready(0.05)

    play(model, scene, wait=False, load_timeout_s=0.01)


@posix
def test_a_child_that_stands_still_is_stopped_too(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "GRACE_S", 0.2)
    pids: list[int] = []

    async def scene(engine: Engine) -> None:
        assert engine.pid is not None
        pids.append(engine.pid)
        os.kill(engine.pid, signal.SIGSTOP)

    play(model, scene)
    assert not alive(pids[0])


@posix
def test_stop_leaves_nothing_whenever_it_comes(model: Path) -> None:
    async def run() -> None:
        for pause in (0, 0.001, 0.01, 0.03, 0.06):
            engine = Engine(model=model, slots=1, context=256, name="talker")
            await engine.start()
            await asyncio.sleep(pause)
            pid = engine.pid
            await engine.stop()
            assert (engine.state, engine.reason, engine.pid) == ("down", "stopped", None)
            assert pid is None or not alive(pid)

    asyncio.run(run())  # tests/conftest.py looks for children left behind


def test_a_stopped_engine_may_start_again(model: Path) -> None:
    async def scene(engine: Engine) -> None:
        began = time.monotonic()
        await engine.stop()
        assert time.monotonic() - began < engine_module.GRACE_S / 2  # it ended when its stdin did, and was not killed
        await engine.start()
        await engine.ready(20)
        assert (await ask(engine.url, chat(), headers=key(engine))).text == TEXT

    play(model, scene)


def test_the_log_tells_what_happened_and_quotes_no_request(tmp_path: Path, model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "logs" / "engine.log"

    async def scene(engine: Engine) -> None:
        secret = "Mellon-4711"
        for body in (chat(secret), chat(secret, grammar=f"x.cpp:1: {secret}"), chat("x" * 2000 + secret), {"messages": [{"content": secret}]}, secret.encode()):
            await ask(engine.url, body, headers=key(engine))
        await ask(engine.url, {"input": secret * 100}, path="/v1/embeddings", headers=key(engine))
        await engine.stop()
        text = log.read_text()
        assert "started as process" in text
        assert "healthy: serving talker.gguf" in text
        assert secret not in text
        assert str(engine.key) not in text

    play(model, scene, log=log)
    assert capfd.readouterr() == ("", "")


def test_the_log_is_bounded(tmp_path: Path, model: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text("x" * 300_000)

    async def scene(engine: Engine) -> None:
        assert log.stat().st_size < 10_000

    play(model, scene, log=log)


def test_a_log_that_cannot_be_written_harms_nothing(tmp_path: Path, model: Path) -> None:
    async def scene(engine: Engine) -> None:
        assert (await ask(engine.url, chat(), headers=key(engine))).text == TEXT

    play(model, scene, log=tmp_path)  # a folder


@linux
def test_the_gateway_does_not_load_llama_cpp() -> None:
    code = "import sys, homeport.backends.engine; sys.exit('xllamacpp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=20).returncode == 0


@linux
def test_an_idle_engine_takes_no_processor_time(model: Path) -> None:
    async def scene(engine: Engine) -> None:
        def ticks() -> int:
            return sum(int(field) for field in Path(f"/proc/{engine.pid}/stat").read_text().rpartition(")")[2].split()[11:13])

        before = ticks()
        await asyncio.sleep(0.3)
        assert ticks() - before <= 2  # of 10 ms each

    play(model, scene)
