"""What others may know of the tunnel."""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path

import pytest

from homeport.rules.reach import State
from homeport.settings import load
from homeport.storage import locks
from homeport.tunnel import state as states
from homeport.tunnel.state import TunnelState
from homeport.vocabulary import Finding

UP = TunnelState(state="up", since=100.0, round_trip_ms=23.4, reconnects=2)


def test_it_holds_as_long_as_its_supervisor_lives(tmp_path: Path) -> None:
    with locks.alone(tmp_path / states.LOCK) as held:
        assert held is not None
        states.write(tmp_path, UP)
        assert states.read(tmp_path, locks.held) == UP
        if sys.platform != "win32":
            assert stat.S_IMODE((tmp_path / states.FILE).stat().st_mode) == 0o600
    found = states.read(tmp_path, locks.held)
    assert (found.state, found.round_trip_ms, found.reconnects) == ("down", None, 2)
    assert found.reason is not None and "its supervisor died" in found.reason
    assert found.since == pytest.approx((tmp_path / states.FILE).stat().st_mtime, abs=0.01)


def test_a_full_disk_does_not_leave_it_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states.write(tmp_path, TunnelState(state="up", reason="a longer text than what comes after"))

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("homeport.tunnel.state.os.open", full)
    states.write(tmp_path, TunnelState(state="down"))
    assert (tmp_path / states.FILE).read_bytes().startswith(b'{"state":"down","reason":null')
    assert states.read(tmp_path, lambda _: True) == TunnelState(state="down")


def test_one_that_was_stopped_is_down_since_then(tmp_path: Path) -> None:
    states.write(tmp_path, TunnelState(state="down", reason="it was stopped", since=50.0))
    assert states.read(tmp_path, locks.held) == TunnelState(state="down", reason=states.NOT_RUNNING, since=50.0)


@pytest.mark.parametrize("text", [None, "", "{}", "[1]", '{"state":"splendid"}', '{"state":"up","since":"now"}', "\x00\xff"])
def test_a_file_that_makes_no_sense_is_no_tunnel(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / states.FILE).write_text(text, encoding="latin-1")
    assert states.read(tmp_path, lambda _: True) == TunnelState(state="down", reason=states.NOT_RUNNING)


def test_a_supervisor_that_stands_still_is_not_up(tmp_path: Path) -> None:
    """It holds its lock, and passes nothing on."""
    states.write(tmp_path, UP)
    then = time.time() - states.STALE_S - 5
    os.utime(tmp_path / states.FILE, (then, then))
    for is_held in (lambda _: True, lambda _: None):
        found = states.read(tmp_path, is_held)
        assert (found.state, found.round_trip_ms, found.reconnects) == ("down", None, 2)
        assert found.since == pytest.approx(then, abs=0.01)
        assert found.reason is not None and "nothing was heard of its supervisor" in found.reason
    states.alive(tmp_path)
    assert states.read(tmp_path, lambda _: True) == UP


def test_where_locks_cannot_be_known_the_file_is_believed(tmp_path: Path) -> None:
    states.write(tmp_path, UP)
    assert states.read(tmp_path, lambda _: None) == UP


@pytest.mark.parametrize(
    ("state", "ago_s", "good", "words"),
    [
        ("up", 1.0, True, ""),
        ("connecting", 5.0, None, "nothing comes through it"),
        ("connecting", 120.0, False, "nothing comes through it"),
        ("refused", 1.0, False, "it is refused"),
        ("down", 1.0, False, "the other side cannot be reached"),
    ],
)
def test_it_is_a_finding_for_the_monitor_that_names_no_machine(tmp_path: Path, state: State, ago_s: float, good: bool | None, words: str) -> None:
    (tmp_path / "homeport.toml").write_text('[server]\ndata = "data"\n[tunnel]\nto = "t@vps.example"\n', encoding="utf-8")
    settings = load(config=tmp_path / "homeport.toml", environ={"HOME": str(tmp_path)})
    folder = states.folder_of(settings.server.data)
    assert states.finding(settings, locks.held) == Finding(False, "it does not run; homeport tunnel status says more")
    folder.mkdir(parents=True)
    with locks.alone(folder / states.LOCK):
        states.write(folder, TunnelState(state=state, reason="vps.example does this", since=time.time() - ago_s))
        found = states.finding(settings, locks.held)
        assert states.is_up(settings, locks.held) is (state == "up")
    assert found.good is good
    assert found.reason.startswith(words) and "vps" not in found.reason
