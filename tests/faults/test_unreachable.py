"""Backends that are gone, late or stale: what is asked of them again, what is not, and what stays listed."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import homeport.backends.answer
import homeport.backends.line
from homeport.backends.deadlines import Deadlines
from homeport.backends.http import LOOK_AGAIN_S, FixedEndpoint, HttpBackend
from homeport.backends.pacing import Pacing
from homeport.backends.pool import Shared
from homeport.fleet.alone import Alone
from homeport.settings import BackendSettings
from homeport.settings.tree import Location
from homeport.testing.backend import ScriptedBackend
from homeport.testing.loopback import bound
from homeport.testing.script import Answer, Bytes, Fault, Point, Refuse
from tests.caller import asked, chat
from tests.gateway import Running, config

TEXT = "b says all is well"


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where connections are refused."""
    with bound() as holder:
        yield f"http://127.0.0.1:{holder.getsockname()[1]}"


class TestProbes:
    """HttpBackend.probe, of a backend from the settings and of a discovered one."""

    @pytest.mark.parametrize("discovered", [True, False], ids=["discovered", "configured"])
    @pytest.mark.parametrize(
        "page",
        [Bytes(data=b"", close=False), Bytes(data=b""), Bytes(data=b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"), Refuse(status=503)],
        ids=["silent", "closed", "cut", "busy"],
    )
    def test_a_late_answer_is_not_the_end(self, monkeypatch: pytest.MonkeyPatch, discovered: bool, page: Bytes | Refuse) -> None:
        """The first is nothing; after the second asks go elsewhere first. What it serves stays known, and the next answer ends it."""
        monkeypatch.setattr(homeport.backends.line.Line.page, "__kwdefaults__", {**homeport.backends.line.Line.page.__kwdefaults__, "timeout_s": 0.15})

        async def go() -> None:
            async with ScriptedBackend(models=["one", "two"]) as fake:
                backend, deadlines = made(fake.url, discovered)
                try:
                    await backend.probe()
                    assert backend.models == ["one", "two"]
                    loads = isinstance(page, Refuse)
                    fake.pages["/v1/models"] = page
                    for state in ["loading" if loads else "healthy", *["loading" if loads else "open"] * 3]:
                        await backend.probe()
                        assert (backend.models, backend.standing().state) == (["one", "two"], state)
                    del fake.pages["/v1/models"]
                    await backend.probe()
                    assert backend.standing().state == "healthy"
                finally:
                    backend.close()
                    deadlines.stop()

        asyncio.run(go())

    @pytest.mark.parametrize("discovered", [True, False], ids=["discovered", "configured"])
    def test_nobody_there_is_seen_at_once(self, discovered: bool) -> None:
        """Its names go with the second time, where nobody wrote them down."""

        async def go() -> None:
            async with ScriptedBackend(models=["one"]) as fake:
                port = fake.port
                backend, deadlines = made(fake.url, discovered)
                await backend.probe()
            with bound(port):
                await backend.probe()
                assert (backend.models, backend.standing().state) == (["one"], "open")
                await backend.probe()
                assert backend.standing().state == "open"
                assert "refused" in backend.standing().reason
                assert backend.models == ([] if discovered else ["one"])
            async with ScriptedBackend(models=["one"], port=port):
                await backend.probe()
                assert (backend.models, backend.standing().state) == (["one"], "healthy")
                backend.close()
            deadlines.stop()

        asyncio.run(go())

    def test_one_refusal_between_answers_is_not_counted(self) -> None:
        async def go() -> None:
            async with ScriptedBackend(models=["one"]) as fake:
                port = fake.port
                backend, deadlines = made(fake.url, True)
                await backend.probe()
            for _ in range(2):
                with bound(port):
                    await backend.probe()
                async with ScriptedBackend(models=["one"], port=port):
                    await backend.probe()
                    assert backend.models == ["one"]
            backend.close()
            deadlines.stop()

        asyncio.run(go())


def at_once(send: Callable[[bytes], object], data: bytes) -> None:
    """In place of a journal's `after`: there is nothing to wait for."""
    send(data)


def made(url: str, discovered: bool, location: Location = "local") -> tuple[HttpBackend, Deadlines]:
    """A backend with clocks of its own; needs a running loop."""
    deadlines = Deadlines()
    deadlines.start()
    shared = Shared(deadlines, Pacing(), at_once)
    backend = HttpBackend(BackendSettings(name="only", kind="openai", url=url, location=location), FixedEndpoint(url, None), shared, places=Alone().at("only"))
    backend.probing.discovered = discovered
    return backend, deadlines


@pytest.mark.parametrize(("location", "discovered", "soon"), [("local", False, True), ("cloud", False, False), ("local", True, False)])
def test_what_is_ours_is_looked_at_again_soon_however_long_it_is_away(nobody: str, location: Location, discovered: bool, soon: bool) -> None:
    """Asks stay away for longer and longer; a probe costs nothing. What nobody named need not be looked for."""

    async def go() -> None:
        backend, deadlines = made(nobody, discovered, location)
        for _ in range(12):
            await backend.probe()
        assert backend.health.opens_in("") > 10.0
        waits = backend.look_in_s, backend.probe_at - time.monotonic()  # as those who look after it reckon, and as it says itself
        assert (max(waits) <= LOOK_AGAIN_S) if soon else (backend.look_in_s > 10.0)
        backend.close()
        deadlines.stop()

    asyncio.run(go())


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("another", [True, False], ids=["two dead", "one dead"])
def test_a_dead_backend_is_tried_once_whatever_models_it_had(tmp_path: Path, nobody: str, streamed: bool, another: bool) -> None:
    with ExitStack() as stack:
        good = stack.enter_context(ScriptedBackend(TEXT))
        dead = [("a", "x"), ("a", "y"), ("a", "z"), *([("a2", "y"), ("a2", "x")] if another else [])]
        routes = [{"backend": name, "model": model} for name, model in [*dead, ("b", "ok")]]
        path = config(tmp_path, {"a": nobody, "a2": nobody, "b": good.url}, models={"assistant": {"routes": routes}})
        gateway = stack.enter_context(Running(path))
        for _ in range(3):
            heard = asked(gateway.url, chat(stream=streamed))
            assert (heard.status, heard.text, heard.headers["x-homeport-backend"]) == (200, TEXT, "b")
        first, *others = [[(attempt["backend"], attempt["outcome"]) for attempt in receipt["attempts"]] for receipt in gateway.journal.settled(3)]
        assert first in ([("a", "unreachable"), *([("a2", "unreachable")] if another else []), ("b", "ok")], [("b", "ok")])  # where a probe was quicker
        assert others == [[("b", "ok")]] * 2


def test_nothing_but_dead_ones(tmp_path: Path, nobody: str) -> None:
    routes = [{"backend": "a", "model": model} for model in "xyz"]
    with Running(config(tmp_path, {"a": nobody}, models={"assistant": {"routes": routes}})) as gateway:
        heard = asked(gateway.url, chat())
        assert heard.status == 503
        assert len(gateway.journal.settled(1)[0]["attempts"]) == 1


class TestStale:
    """A kept connection that closes without a byte: at once it was stale, later the backend broke while it worked on the ask."""

    @pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
    def test_late_is_not_asked_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streamed: bool) -> None:
        monkeypatch.setattr(homeport.backends.answer, "STALE_S", 0.2)
        script = [Answer(text=TEXT), Answer(text=TEXT, fault=Fault(Point.REQUEST, "close", after_s=0.6))]
        with ScriptedBackend(TEXT, script=script) as fake, Running(config(tmp_path, {"only": fake.url})) as gateway:
            assert asked(gateway.url, chat(stream=streamed)).text == TEXT
            heard = asked(gateway.url, chat(stream=streamed))
            assert heard.status == 503
            assert fake.generations == 2
            late = fake.asks[1]
            assert late.connection in {seen.connection for seen in fake.requests if seen.number < late.number}  # a kept one, the ask's or a probe's
            receipt = gateway.journal.settled(2)[1]
            assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["broke"]
            assert asked(gateway.url, chat(stream=streamed)).text == TEXT

    def test_at_once_is(self, tmp_path: Path) -> None:
        script = [Answer(text=TEXT), Answer(text=TEXT, fault=Fault(Point.REQUEST, "close"))]
        with ScriptedBackend(TEXT, script=script) as fake, Running(config(tmp_path, {"only": fake.url})) as gateway:
            assert asked(gateway.url, chat()).text == TEXT
            assert asked(gateway.url, chat()).text == TEXT
            assert fake.generations == 3
            assert [len(receipt["attempts"]) for receipt in gateway.journal.settled(2)] == [1, 1]


def test_a_start_that_fails_leaves_no_journal(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        path = config(tmp_path, {"only": "http://127.0.0.1:9"}, listen=f"127.0.0.1:{taken.getsockname()[1]}")
        for _ in range(2):
            ended = subprocess.run([sys.executable, "-m", "homeport", "up", "--config", str(path)], capture_output=True, text=True, timeout=30, check=False)
            assert ended.returncode != 0
            assert "Traceback" not in ended.stderr
    assert list((tmp_path / "data").glob("journal-*")) == []
