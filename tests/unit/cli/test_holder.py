"""Who holds a port."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from homeport.cli import holder

CODE = "import socket, sys; s = socket.create_server((sys.argv[1], 0), family=int(sys.argv[2])); print(s.getsockname()[1], flush=True); sys.stdin.read()"


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_another_process(host: str, family: int) -> None:
    """By /proc on Linux, else by lsof."""
    if sys.platform != "linux" and shutil.which("lsof") is None:
        pytest.skip("this system tells nobody")
    if family == socket.AF_INET6 and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with subprocess.Popen([sys.executable, "-c", CODE, host, str(int(family))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = holder.holder(int(process.stdout.readline()))
        process.communicate("")
    assert found is not None
    assert found[1] == process.pid
    assert "python" in found[0].lower()


def test_lsof_tells_the_same() -> None:
    if shutil.which("lsof") is None:
        pytest.skip("no lsof here")
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = holder._from_lsof(server.getsockname()[1])
    assert found is not None
    assert found[1] == os.getpid()


def test_nobody(free_port: int) -> None:
    assert holder.holder(free_port) is None


def test_without_lsof_nothing_is_known(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert holder.holder(free_port) is None


def test_a_gateway_is_called_by_its_name(tmp_path: Path) -> None:
    """Whatever interpreter it runs in."""
    script = tmp_path / "homeport"
    script.write_text("import sys; print(flush=True); sys.stdin.read()")
    if sys.platform != "linux":
        pytest.skip("read from /proc")
    with subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        name = holder._name(process.pid)
        process.communicate("")
    assert name == holder.OURS
