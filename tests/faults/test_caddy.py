"""The Caddyfile that ships, with the real Caddy before a real Homeport."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer, Fault
from tests.caller import Caller, asked, chat
from tests.docs.pages import ROOT
from tests.gateway import Running, config

CADDY = shutil.which("caddy")
FILE = ROOT / "deploy" / "caddy" / "Caddyfile"
GAP_S = 0.05
SLOW = Answer(tokens=tuple(f"{number} " for number in range(20)), delay_s=GAP_S)

pytestmark = pytest.mark.skipif(CADDY is None, reason="Caddy is not on this machine (Debian: apt install caddy)")


@contextmanager
def caddy(folder: Path, upstream: str, file: Path = FILE) -> Iterator[str]:
    """Caddy with the file, without TLS, at the address that is yielded."""
    assert CADDY is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    own = {"HOMEPORT_NAME": url, "HOMEPORT_UPSTREAM": upstream.removeprefix("http://"), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    text = "{\n\tadmin off\n}\n" + file.read_text(encoding="utf-8")
    (folder / "Caddyfile").write_text(text, encoding="utf-8")
    with (folder / "caddy.log").open("wb") as log:
        command = [CADDY, "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
        child = subprocess.Popen(command, env={**os.environ, **own}, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert child.poll() is None and time.monotonic() < deadline, (folder / "caddy.log").read_text(encoding="utf-8")[-2000:]
            time.sleep(0.05)
        yield url
    finally:
        child.terminate()
        try:
            child.wait(10)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait(10)


@pytest.mark.slow
def test_streams_errors_and_hidden_pages(tmp_path: Path) -> None:
    with ScriptedBackend(SLOW) as backend, caddy(tmp_path, "127.0.0.1:9") as url:
        off = asked(url, chat())
        assert (off.status, off.json["error"]["code"], off.headers["retry-after"]) == (502, "gateway_off", "5")
    with ScriptedBackend(SLOW) as backend, Running(config(tmp_path, {"home": backend.url})) as gateway, caddy(tmp_path, gateway.url) as url:
        heard = asked(url, chat(stream=True))
        assert heard.finished
        times = [when for when, data in heard.pieces if b'"content"' in data]
        gaps = [after - before for before, after in itertools.pairwise(times)]
        assert len(gaps) >= 15, "tokens came in lumps"
        assert abs(statistics.median(gaps) - GAP_S) < 0.02
        assert heard.headers["x-request-id"] == gateway.journal.settled(1)[0]["id"]
        for path in ("/status", "/metrics"):
            assert asked(url, method="GET", path=path).status == 404


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
def test_a_visitor_who_hangs_up(tmp_path: Path, streamed: bool) -> None:
    with ScriptedBackend(Answer(text="one two three", fault=Fault(2, "freeze"))) as backend:
        with Running(config(tmp_path, {"home": backend.url})) as gateway, caddy(tmp_path, gateway.url) as url:

            async def go() -> float:
                async with Caller(url) as caller:
                    asking = asyncio.ensure_future(caller.ask(chat(stream=streamed)))
                    assert await asyncio.to_thread(backend.until, lambda: backend.in_flight == 1, 10.0)
                    await asyncio.sleep(0.2)
                    asking.cancel()
                return time.perf_counter()

            left = asyncio.run(go())
            assert backend.until(lambda: backend.in_flight == 0, 5.0)
        [seen] = backend.asks
        assert seen.ended == "peer_left" and seen.peer_left_at is not None
        assert seen.peer_left_at - left < 1.0
