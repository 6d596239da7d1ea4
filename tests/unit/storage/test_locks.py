"""Locks: seen by others, in this process too, and gone with their holder."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from homeport.storage import locks


def test_a_lock_is_seen_until_its_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    assert locks.held(path) is False
    assert locks.take(fd)
    assert locks.held(path) is True
    with path.open("rb"):
        pass
    assert locks.held(path) is True, "closing another handle of the same file does not drop it"
    os.close(fd)
    assert locks.held(path) is False


def test_a_file_that_is_gone_is_not_held_and_a_strange_one_is_unknown(tmp_path: Path) -> None:
    assert locks.held(tmp_path / "nothing") is False
    assert locks.held(tmp_path / "nothing" / "deeper") is False
    (tmp_path / "file").touch()
    assert locks.held(tmp_path / "file" / "deeper") is None


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    program = """
import os, sys
from homeport.storage import locks
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
locks.take(fd)
print(1, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == b"1"
        assert locks.held(path) is True
        holder.kill()
    assert locks.held(path) is False


def test_exclusive_lets_one_in_at_a_time(tmp_path: Path) -> None:
    inside: list[int] = []
    most = []

    def work() -> None:
        for _ in range(50):
            with locks.exclusive(tmp_path / "lock"):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert set(most) == {1}
    assert len(most) == 200


def test_alone_keeps_others_out_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locks.alone(path) as first:
        assert first is not None
        with locks.alone(path) as second:
            assert second is None
        assert path.exists()
    assert not path.exists()
    path.write_bytes(b"left behind by a process that was killed")
    with locks.alone(path) as third:
        assert third is not None


def test_alone_lets_one_in_at_a_time(tmp_path: Path) -> None:
    inside: list[int] = []
    most = []

    def work() -> None:
        for _ in range(300):
            with locks.alone(tmp_path / "lock") as turn:
                if turn is not None:
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert set(most) == {1}
