"""The fixtures that every test relies on do what they promise."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.conftest import child_processes, lasting_threads

pytest_plugins = ["pytester"]

LEAKS_A_PROCESS = """
import subprocess, sys
kept = []
def test_leak():
    kept.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]))
"""

LEAKS_A_THREAD = """
import threading
go = threading.Event()
def test_leak():
    threading.Thread(target=go.wait, name="kept").start()
def test_after():
    go.set()
"""


def test_children_and_threads_are_seen() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert child.pid in child_processes()
    assert child.pid not in child_processes()
    go = threading.Event()
    thread = threading.Thread(target=go.wait)
    thread.start()
    assert thread in lasting_threads()
    go.set()
    thread.join()
    assert thread not in lasting_threads()


@pytest.mark.parametrize(("module", "named"), [(LEAKS_A_PROCESS, "left behind: process"), (LEAKS_A_THREAD, "left behind: thread 'kept'")])
def test_what_is_left_behind_fails_the_test(pytester: pytest.Pytester, module: str, named: str) -> None:
    source = Path(__file__).parents[1].joinpath("conftest.py").read_text(encoding="utf-8")
    pytester.makeconftest(source.replace("GRACE_S = 2.0", "GRACE_S = 0.1"))
    pytester.makepyfile(module)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-W", "default")
    result.stdout.fnmatch_lines([f"*{named}*"])
    assert result.parseoutcomes().get("errors") == 1


def test_the_environment_is_clean(monkeypatch: pytest.MonkeyPatch, empty_home: Path) -> None:
    assert [name for name in os.environ if name.startswith("HOMEPORT_")] == []
    assert Path.home() == empty_home


def test_places_of_ones_own(data_dir: Path, free_port: int) -> None:
    assert list(data_dir.iterdir()) == []
    with socket.socket() as server:
        server.bind(("127.0.0.1", free_port))
