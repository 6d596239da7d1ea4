"""The wheel alone, in an empty environment and with the network cut off, answers the official SDK."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

from homeport import __version__

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux's")]

# Runs in a network namespace of its own: nothing but loopback, which is down at first. Arguments: the homeport to start, its home.
SCENE = """
import errno, fcntl, json, os, signal, socket, struct, subprocess, sys
from openai import OpenAI

exe, home = sys.argv[1:]
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    SIOCSIFFLAGS, IFF_UP = 0x8914, 1
    fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
try:
    socket.create_connection(("192.0.2.1", 80), 2)
    raise SystemExit("the network is not cut off")
except OSError as error:
    assert error.errno == errno.ENETUNREACH, error

environ = {"HOME": home, "PATH": "/usr/bin:/bin"}
gateway = subprocess.Popen([exe, "up", "--listen", "127.0.0.1:0", "--json"], stdout=subprocess.PIPE, env=environ, cwd=home)
try:
    url = json.loads(gateway.stdout.readline())["url"]
    with OpenAI(base_url=url + "/v1", api_key="none", max_retries=0, timeout=60) as client:
        ask = {"model": "default", "messages": [{"role": "user", "content": "Where is my parcel?"}], "max_tokens": 48, "temperature": 0}
        with client.chat.completions.create(stream=True, **ask) as stream:
            chunks = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
        whole = client.chat.completions.create(**ask).choices[0].message.content
    environ["HOMEPORT_URL"] = url
    told = [subprocess.run([exe, *words, "--json"], env=environ, cwd=home, capture_output=True, text=True) for words in (["status"], ["logs"])]
    print(json.dumps({"chunks": chunks, "whole": whole, "status": told[0].stdout, "logs": told[1].stdout}))
finally:
    gateway.send_signal(signal.SIGTERM)
    gateway.stdout.close()
    ended = gateway.wait(30)
assert ended == 0, ended
"""


class Installed(NamedTuple):
    """The wheel, and the environment it was installed into."""

    wheel: Path
    bin: Path


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONWARNINGS", "VIRTUAL_ENV")}
    return subprocess.run([str(word) for word in command], env=environ, capture_output=True, text=True, timeout=400, check=False, **options)  # type: ignore[call-overload, no-any-return]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Built and installed as a user would, with the user's own pip configuration and cache: this is the last use of the network."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = ("-m", "pip", "--disable-pip-version-check", "--quiet")
    built = run(sys.executable, *pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, ROOT)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("homeport-*.whl")
    assert run(sys.executable, "-m", "venv", folder / "empty").returncode == 0
    python = folder / "empty" / "bin" / "python"
    wanted = run(python, *pip, "install", "--require-hashes", "-r", ROOT / "requirements.lock")
    assert wanted.returncode == 0, wanted.stderr
    done = run(python, *pip, "install", "--no-index", "--no-deps", wheel)
    assert done.returncode == 0, done.stderr
    return Installed(wheel, python.parent)


@pytest.fixture
def cut_off() -> list[str]:
    """The command that runs another one without a network."""
    for command in (["unshare", "--net"], ["unshare", "--net", "--map-root-user"]):
        if shutil.which(command[0]) and run(*command, "true").returncode == 0:
            return command
    pytest.skip("this system lets nobody here make a network namespace (unshare --net), so the wheel is not tried without a network")


def test_what_is_in_the_wheel(installed: Installed) -> None:
    assert installed.wheel.name == f"homeport-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(installed.wheel) as archive:
        names = archive.namelist()
        pilot = archive.getinfo("homeport/pilot/pilot.gguf").file_size
        metadata = archive.read(f"homeport-{__version__}.dist-info/METADATA").decode()
    assert {"homeport/py.typed", f"homeport-{__version__}.dist-info/licenses/LICENSE"} <= set(names)
    assert pilot == (ROOT / "src" / "homeport" / "pilot" / "pilot.gguf").stat().st_size
    assert {name.partition("/")[0] for name in names} == {"homeport", f"homeport-{__version__}.dist-info"}
    assert not [name for name in names if name.endswith((".pyc", ".jsonl", ".sqlite")) or "test_" in name]
    assert "Requires-Python: >=3.11" in metadata


def test_its_dependencies_are_all_there(installed: Installed) -> None:
    checked = run(installed.bin / "python", "-m", "pip", "check")
    assert checked.returncode == 0, checked.stdout
    where = run(installed.bin / "python", "-P", "-c", "import homeport; print(homeport.__file__)", cwd=installed.wheel.parent)
    assert where.stdout.startswith(str(installed.bin.parent))


def test_it_answers_the_sdk_without_a_network(installed: Installed, cut_off: list[str], tmp_path: Path) -> None:
    done = run(*cut_off, sys.executable, "-c", SCENE, installed.bin / "homeport", tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len([chunk for chunk in told["chunks"] if chunk]) > 1
    assert "".join(told["chunks"]) == told["whole"]
    assert json.loads(told["status"])["verdict"] == "All is well."
    assert [json.loads(line)["outcome"] for line in told["logs"].splitlines()] == ["ok", "ok"]
