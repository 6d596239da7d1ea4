"""Asks, receipts and small disks for the tests of the storage."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from homeport.storage import journal
from homeport.vocabulary import Ask, Attempt, Caller, Receipt, Surface

TS = 1_795_000_000.0


def ask(id: str = "req-1", **fields: Any) -> Ask:
    plain = Ask(
        id=id,
        dialect="openai",
        surface=Surface.CHAT,
        model="assistant",
        fields={},
        stream=True,
        wants_usage=False,
        prompt_chars=12,
        caller=Caller("k"),
        arrived=1.0,
        app="curl",
    )
    return msgspec.structs.replace(plain, **fields)


def receipt(id: str = "req-1", ts: float = TS, **fields: Any) -> Receipt:
    plain = Receipt(
        id=id,
        ts=ts,
        key="laptop",
        app="curl",
        task=None,
        dialect="openai",
        asked="assistant",
        model="qwen",
        backend="home",
        provider="openai",
        location="local",
        stream=True,
        outcome="ok",
        attempts=[Attempt("vm", "qwen", "unreachable", "no connection: “refused”", 3.5), Attempt("home", "qwen", "ok", "", 812.25)],
        prompt_tokens=12,
        completion_tokens=33,
        cached_tokens=0,
        reasoning_tokens=0,
        prompt_chars=12,
        queue_ms=0.1,
        first_token_ms=88.0,
        total_ms=812.4,
        tok_per_s=44.1,
        cost_usd=None,
        cloud_usd=None,
        cache=None,
        checks=["json", "copied"],
    )
    return msgspec.structs.replace(plain, **fields)


def lines(folder: Path, runs: set[str] | None = None) -> list[dict[str, Any]]:
    """Every whole line of the journal, of some runs or of all, in order."""
    found = []
    for file in journal.files(folder):
        if runs is None or file.run in runs:
            found += [json.loads(line) for line in file.path.read_bytes().split(b"\n")[:-1]]
    return found


def ids(folder: Path, kind: str) -> list[str]:
    return [line[kind]["id"] for line in lines(folder) if kind in line]


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of `size` mounted in `folder`: needs Linux and root, and says so where they are missing."""
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("mounting a small tmpfs needs root on Linux; the RLIMIT_FSIZE tests still cover a write that fails")
    disk = folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(disk)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}; the RLIMIT_FSIZE tests still cover a write that fails")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes: the kernel takes a part of a write, then nothing."""
    resource = pytest.importorskip("resource", reason="RLIMIT_FSIZE is POSIX's")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
