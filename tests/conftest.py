"""What every test gets: a place of its own, a clean environment, and a look at what it left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

GRACE_S = 2.0  # how long a process or thread that is about to end may take


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """An empty data folder of this test's own."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def free_port() -> int:
    """A TCP port on loopback that nothing listened on a moment ago; bind port 0 instead where you can."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with nothing of the user's in it."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, empty_home: Path) -> None:
    """No setting, key, proxy or folder of the user's reaches a test or its children."""
    for name in list(os.environ):
        if name.startswith(("HOMEPORT_", "OPENAI_", "ANTHROPIC_", "OLLAMA_", "OTEL_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(empty_home / name.lower()))
    monkeypatch.setenv("HOME", str(empty_home))


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fails a test that leaves a child process or a non-daemon thread; what a wider fixture started does not count."""
    children, threads = child_processes(), lasting_threads()
    yield
    deadline = time.monotonic() + GRACE_S
    while (left := (child_processes() - children, lasting_threads() - threads)) != (set(), set()):
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    processes, lasting = left
    for pid in processes:
        os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    faults = [f"process {pid}" for pid in sorted(processes)] + [f"thread {thread.name!r}" for thread in lasting]
    if faults:
        pytest.fail(f"left behind: {', '.join(faults)}", pytrace=False)


def lasting_threads() -> set[threading.Thread]:
    """The threads that would keep this process from ending."""
    return {thread for thread in threading.enumerate() if not thread.daemon and thread is not threading.main_thread()}


def child_processes() -> set[int]:
    """The children of this process, ended ones that nobody waited for included; multiprocessing's own tracker is not."""
    listings = list(Path("/proc/self/task").glob("*/children"))
    if listings:
        found = {int(pid) for listing in listings for pid in _read(listing).split()}
        return {pid for pid in found if "multiprocessing.resource_tracker" not in _read(Path(f"/proc/{pid}/cmdline"))}
    if sys.platform == "win32":
        return set()
    with subprocess.Popen(["ps", "-A", "-o", "pid=,ppid="], stdout=subprocess.PIPE, text=True) as ps:
        rows = [line.split() for line in ps.communicate()[0].splitlines()]
    return {int(pid) for pid, parent in rows if int(parent) == os.getpid()} - {ps.pid}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # it ended between the listing and this line
        return ""
