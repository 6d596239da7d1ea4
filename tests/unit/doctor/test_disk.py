"""Room for receipts: full, scarce, read-only, not ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from homeport.doctor import disk
from homeport.doctor.diagnosis import Diagnosis


def by_check(data: Path) -> dict[str, Diagnosis]:
    return {one.check: one for one in disk.look(data)}


def free(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: SimpleNamespace(free=count))  # type: ignore[attr-defined]


def test_a_folder_with_room_is_well_and_nothing_is_left_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 5 << 30)
    (tmp_path / "journal-1.jsonl").write_bytes(b"x" * 2048)
    found = by_check(tmp_path)
    assert [one.ok for one in found.values()] == [True]
    assert found["disk.space"].what == f"{tmp_path}: 5.0 GiB free, the journal has 2.0 KiB"
    assert [path.name for path in tmp_path.iterdir()] == ["journal-1.jsonl"]


def test_a_folder_that_is_not_there_yet_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 5 << 30)
    data = tmp_path / "a" / "b"
    assert by_check(data)["disk.space"].what == f"{data} will be made; 5.0 GiB are free there"
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(("count", "ok"), [(50 << 20, False), (500 << 20, None)])
def test_little_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, ok: bool | None) -> None:
    free(monkeypatch, count)
    found = by_check(tmp_path)["disk.space"]
    assert found.ok is ok
    assert f"{count >> 20} MiB" in found.what
    assert "under [server]" in found.fix


def test_no_more_files_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 5 << 30)
    monkeypatch.setattr(disk.os, "statvfs", lambda path: SimpleNamespace(f_files=1000, f_favail=3))  # type: ignore[attr-defined]
    assert by_check(tmp_path)["disk.inodes"].ok is False
    monkeypatch.setattr(disk.os, "statvfs", lambda path: SimpleNamespace(f_files=0, f_favail=0))  # type: ignore[attr-defined]
    assert "disk.inodes" not in by_check(tmp_path)  # a file system without such a number


def test_a_large_journal_is_worth_knowing(tmp_path: Path) -> None:
    with (tmp_path / "journal-1.jsonl").open("wb") as file:
        file.truncate(3 << 30)  # sparse: it takes no room
    assert by_check(tmp_path)["disk.journal"].what == "The journal has 3.0 GiB"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own of 256 KiB."""
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root on Linux may mount a file system")
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this system lets nobody here mount a file system: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_takes_nothing(small_disk: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "ballast").write_bytes(b"x" * 1_000_000)
    found = by_check(small_disk)
    assert (found["disk.writable"].ok, found["disk.space"].ok) == (False, False)
    assert "no space left on device" in found["disk.writable"].what
    assert "make room there" in found["disk.writable"].fix
    assert [path.name for path in small_disk.iterdir()] == ["ballast"]


def test_a_disk_that_may_only_be_read(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    found = by_check(small_disk)["disk.writable"]
    assert found.ok is False
    assert "read-only file system" in found.what
    assert "dmesg" in found.fix


@pytest.fixture
def somebody() -> Iterator[Path]:
    """A folder that everybody may look into, as seen by a user without rights."""
    if sys.platform == "win32" or os.geteuid() != 0:
        pytest.skip("only root may become somebody else")
    place = Path(tempfile.mkdtemp())
    try:
        place.chmod(0o755)
        (place / "open").mkdir(mode=0o755)
        (place / "closed" / "inner").mkdir(parents=True, mode=0o700)
        (place / "closed").chmod(0o700)
        os.seteuid(65534)
        yield place
    finally:
        os.seteuid(0)
        shutil.rmtree(place)


@pytest.mark.parametrize("name", ["open", "closed", "closed/inner", "open/new"])
def test_a_folder_of_somebody_elses(somebody: Path, name: str) -> None:
    found = by_check(somebody / name)["disk.writable"]
    assert (found.ok, found.what) == (False, f"Nothing can be written in {somebody / name}: permission denied")
    assert "chown" in found.fix
