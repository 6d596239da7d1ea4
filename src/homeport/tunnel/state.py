"""What others may know of the tunnel: a small file that its supervisor keeps, and a lock that says whether it lives."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from homeport.rules.reach import State
from homeport.settings import Settings
from homeport.vocabulary import Finding

FOLDER = "tunnel"  # in the data folder: all of the tunnel's files
FILE, LOCK = "state.json", "lock"
NAME = "The tunnel"  # in events
STALE_S = 60.0  # without a sign of life a supervisor stands still, though it is there
PATIENCE_S = 60.0  # so long it may be connecting before that is an outage
REASONS = {"connecting": "nothing comes through it", "refused": "it is refused", "down": "the other side cannot be reached"}
Held = Callable[[Path], bool | None]
"""Whether a process holds the lock of a file; None where that cannot be known."""
START = "homeport tunnel up"
NOT_RUNNING = f"no tunnel runs here; start it with: {START}"


class TunnelState(Struct, frozen=True, kw_only=True):
    """How the tunnel stands, as `homeport tunnel status --json` prints it."""

    state: State
    reason: str | None = None  # for people; None where it is up
    since: float | None = None  # seconds since the epoch: when this state began
    round_trip_ms: float | None = None  # to the other side and back, through the tunnel
    reconnects: int = 0  # how often it came up again since its supervisor started


def folder_of(data: Path) -> Path:
    """Where the tunnel's files are."""
    return data / FOLDER


def write(folder: Path, state: TunnelState) -> None:
    """Put the state in the file's place; where the disk is full over the old one, which takes no more room. Raises OSError."""
    new, text = folder / f"{FILE}.new", msgspec.json.encode(state)
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(text)
        os.replace(new, folder / FILE)
    except OSError:
        with (folder / FILE).open("r+b") as file:
            file.write(text)
            file.truncate()


def alive(folder: Path) -> None:
    """Say that the state still holds; a dead supervisor's ends where this was said last."""
    with contextlib.suppress(OSError):
        os.utime(folder / FILE)


def is_up(settings: Settings, held: Held) -> bool | None:
    """Whether the tunnel of these settings is up; None where there is none. Reads a file."""
    return None if settings.tunnel is None else read(folder_of(settings.server.data), held).state == "up"


def finding(settings: Settings, held: Held) -> Finding:
    """The same as a probe's finding, in words that name no machine: pages show them. Reads a file."""
    found = read(folder_of(settings.server.data), held)
    if found.state == "up":
        return Finding(True)
    fresh = found.since is not None and time.time() - found.since < PATIENCE_S
    reason = "it does not run" if START in (found.reason or "") else REASONS[found.state]
    return Finding(None if found.state == "connecting" and fresh else False, f"{reason}; homeport tunnel status says more")


def read(folder: Path, held: Held) -> TunnelState:
    """How it stands now. A tunnel whose supervisor is gone is down.

    Never raises for a file that is not there or makes no sense.
    """
    path = folder / FILE
    try:
        found = msgspec.json.decode(path.read_bytes(), type=TunnelState)
        at = path.stat().st_mtime
    except (OSError, msgspec.DecodeError):
        return TunnelState(state="down", reason=NOT_RUNNING)
    if held(folder / LOCK) is not False:
        if time.time() - at <= STALE_S:
            return found
        reason = f"nothing was heard of its supervisor for a minute; end it, and start it anew: {START}"
        return TunnelState(state="down", reason=reason, since=round(at, 3), reconnects=found.reconnects)
    if found.state == "down":
        return msgspec.structs.replace(found, reason=NOT_RUNNING, round_trip_ms=None)
    return TunnelState(state="down", reason=f"its supervisor died; {NOT_RUNNING}", since=round(at, 3), reconnects=found.reconnects)
