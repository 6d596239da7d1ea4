"""`homeport pull` in processes of its own: killed, stopped, two at once, and on a disk that is full."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.testing.talker import write_talker
from tests.gateway import soon
from tests.hub import Hub

REPO = "hf.co/org/talker"
SIZE = 4_000_000

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals, limits and mounts are POSIX")
pytestmark = [posix, pytest.mark.slow]


@pytest.fixture
def data(tmp_path: Path) -> bytes:
    """A model larger than the first look at it."""
    model = write_talker(tmp_path / "talker.gguf", "Your parcel is here.").read_bytes()
    return model + bytes(SIZE - len(model))


@pytest.fixture
def hub(data: bytes) -> Iterator[Hub]:
    with Hub({"org/talker": {"talker.gguf": data}}) as found:
        yield found


class Pulling:
    """`homeport pull` as a child."""

    def __init__(self, hub: Hub, folder: Path, *, before: str = "") -> None:
        environment = {**os.environ, "HF_ENDPOINT": hub.url, "HOMEPORT_DATA": str(folder), "HOMEPORT_URL": "http://127.0.0.1:9"}
        command = [sys.executable, "-c", f"import sys, homeport.cli\n{before}\nsys.exit(homeport.cli.main(['pull', {REPO!r}]))"]
        self.child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder.parent)

    def ended(self) -> tuple[int, str]:
        out, err = self.child.communicate(timeout=60)
        return self.child.returncode, out + err


def halfway(hub: Hub, folder: Path) -> tuple[Pulling, Path]:
    """A pull of which some has come, and which waits for more."""
    hub.pause = threading.Event()
    pulling = Pulling(hub, folder)
    part = folder / "models" / "talker.gguf.part"
    assert soon(lambda: part.exists() and part.stat().st_size > SIZE // 2, 20)
    return pulling, part


def goes_on(hub: Hub, folder: Path, data: bytes) -> None:
    """The same command brings the rest, and only that."""
    assert hub.pause is not None
    hub.pause.set()
    hub.pause = None
    hub.asked.clear()
    code, told = Pulling(hub, folder).ended()
    assert code == 0, told
    assert "of it are here already" in told
    assert (folder / "models" / "talker.gguf").read_bytes() == data
    assert sorted(path.name for path in (folder / "models").iterdir()) == ["talker.gguf", "talker.json"]
    assert int(str(hub.ranges_asked[-1])[6:-1]) > SIZE // 2


def test_killed_it_goes_on(hub: Hub, tmp_path: Path, data: bytes) -> None:
    pulling, part = halfway(hub, tmp_path / "data")
    pulling.child.kill()
    assert pulling.ended()[0] == -signal.SIGKILL
    assert not (part.parent / "talker.gguf").exists()
    goes_on(hub, tmp_path / "data", data)


def test_ctrl_c_leaves_what_came_and_says_so(hub: Hub, tmp_path: Path, data: bytes) -> None:
    pulling, _ = halfway(hub, tmp_path / "data")
    pulling.child.send_signal(signal.SIGINT)
    code, told = pulling.ended()
    assert code == 1
    assert told.splitlines()[-1].startswith("homeport: stopped; 2.")
    assert told.endswith(" MB of 4.0 MB are kept: the same command goes on from there\n")
    goes_on(hub, tmp_path / "data", data)


def test_of_two_at_once_the_second_is_told_to_wait(hub: Hub, tmp_path: Path, data: bytes) -> None:
    first, _ = halfway(hub, tmp_path / "data")
    code, told = Pulling(hub, tmp_path / "data").ended()
    assert code == 1
    assert f"talker is being pulled by another process ({first.child.pid}). Wait for it, or stop it: what has come is kept" in told
    assert hub.pause is not None
    hub.pause.set()
    assert first.ended()[0] == 0
    assert (tmp_path / "data" / "models" / "talker.gguf").read_bytes() == data


def test_a_limit_on_files_is_a_full_disk(hub: Hub, tmp_path: Path, data: bytes) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2_500_000, 2_500_000))"
    code, told = Pulling(hub, tmp_path / "data", before=limit).ended()
    assert code == 1
    assert "the disk is full, with 2.5 MB of 4.0 MB there. Make room, then run the same command: it goes on" in told
    hub.pause = threading.Event()
    goes_on(hub, tmp_path / "data", data)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB; it needs the right to mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if (
        sys.platform != "linux"
        or mount is None
        or subprocess.run([mount, "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], check=False, capture_output=True).returncode
    ):
        pytest.skip("no right to mount a small file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_small_disk_is_told_before_and_in_the_middle(hub: Hub, small_disk: Path) -> None:
    code, told = Pulling(hub, small_disk / "data").ended()
    assert (code, hub.ranges_asked) == (1, ["bytes=0-1048575"])
    assert "4.0 MB are to come, and 3.1 MB are free at" in told
    code, told = Pulling(
        hub,
        small_disk / "data",
        before="import homeport.cli.pull as c, types; c.shutil = types.SimpleNamespace(disk_usage=lambda _: types.SimpleNamespace(free=10**12))",
    ).ended()
    assert code == 1
    assert "the disk is full, with 3.1 MB of 4.0 MB there" in told
