"""What a real gateway tells systemd, on a socket of the test's: when it is ready, that it serves, and nothing once it stands still."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from homeport.testing.backend import ScriptedBackend
from tests.gateway import Spawned, config

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="systemd is Linux's")]
PERIOD_S = 0.2


@pytest.fixture
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
        wire.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", str(int(PERIOD_S * 3e6)))
        yield wire


def until(heard: socket.socket, word: str, timeout_s: float = 30.0) -> list[str]:
    """What is said up to the word."""
    found: list[str] = []
    deadline = time.monotonic() + timeout_s
    while not found or not found[-1].startswith(word):
        heard.settimeout(max(0.01, deadline - time.monotonic()))
        found.append(heard.recv(4096).decode())
    return found


def silent(heard: socket.socket, for_s: float) -> bool:
    """Whether, once what was on its way is read, nothing more is said."""
    heard.setblocking(False)
    for _ in range(100):
        try:
            heard.recv(4096)
        except BlockingIOError:
            break
    heard.settimeout(for_s)
    try:
        heard.recv(4096)
    except TimeoutError:
        return True
    return False


@pytest.mark.parametrize("flags", [(), ("--workers", "2")], ids=["alone", "workers"])
def test_it_is_ready_well_frozen_well_and_ends(tmp_path: Path, heard: socket.socket, flags: tuple[str, ...]) -> None:
    with ScriptedBackend() as backend, Spawned(config(tmp_path, {"home": backend.url}), *flags) as gateway:
        assert until(heard, "READY=1")[-1] == f"READY=1\nSTATUS=Answers at {gateway.url}"
        until(heard, "WATCHDOG=1")
        os.kill(gateway.pid, signal.SIGSTOP)
        try:
            assert silent(heard, 4 * PERIOD_S)
        finally:
            os.kill(gateway.pid, signal.SIGCONT)
        until(heard, "WATCHDOG=1")
        assert gateway.end(signal.SIGTERM) == 0
        assert "STOPPING=1\nEXTEND_TIMEOUT_USEC=17000000" in until(heard, "STOPPING=1")[-1], "the drain of the file, and 15 s"


@pytest.mark.parametrize("limit", [61, 62, 63, 64])
def test_at_its_limit_of_descriptors_it_is_full_and_well(tmp_path: Path, heard: socket.socket, limit: int) -> None:
    with ScriptedBackend() as backend, Spawned(config(tmp_path, {"home": backend.url})) as gateway, contextlib.ExitStack() as callers:
        until(heard, "WATCHDOG=1")
        resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (limit, limit))
        where = urlsplit(gateway.url)
        for _ in range(2 * limit):
            callers.enter_context(socket.create_connection((where.hostname, where.port), 10))
        deadline = time.monotonic() + 30
        while len(os.listdir(f"/proc/{gateway.pid}/fd")) < limit - 3:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert not silent(heard, 3 * PERIOD_S), "systemd would end it, and the answers under way in it"
        until(heard, "WATCHDOG=1")
