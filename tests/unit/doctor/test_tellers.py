"""What the doctor says of a tunnel."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport.doctor import tellers
from homeport.doctor.diagnosis import Diagnosis
from homeport.settings import load
from homeport.storage import locks
from homeport.tunnel import state as states
from homeport.tunnel.state import TunnelState

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE"


def look(folder: Path, text: str) -> dict[str, Diagnosis]:
    (folder / "homeport.toml").write_text(f'[server]\ndata = "data"\n{text}', encoding="utf-8")
    settings = load(config=folder / "homeport.toml", environ={"HOME": str(folder)})
    return {one.check: one for one in tellers.look(settings) if one.check.startswith("tunnel.")}


def test_without_one_nothing_is_said(tmp_path: Path) -> None:
    assert look(tmp_path, "") == {}


def test_one_that_does_not_run_or_has_no_key_pinned_is_wrong(tmp_path: Path) -> None:
    found = look(tmp_path, '[tunnel]\nto = "t@vps"\n')
    assert (found["tunnel.state"].ok, found["tunnel.host_key"].ok) == (False, False)
    assert "homeport service install" in found["tunnel.state"].fix
    assert set(look(tmp_path, f'[tunnel]\nto = "t@vps"\nhost_key = "{KEY}"\n')) == {"tunnel.state"}


@pytest.mark.parametrize(
    ("state", "ok", "what", "why"),
    [
        (TunnelState(state="up", round_trip_ms=23.4), True, "The tunnel to t@vps is up, round trip 23 ms", ""),
        (TunnelState(state="connecting", reason="nobody asks"), None, "The tunnel to t@vps is connecting", "nobody asks"),
        (TunnelState(state="refused", reason="another key"), False, "The tunnel to t@vps is refused", "another key"),
        (TunnelState(state="down", reason="no route to host"), False, "The tunnel to t@vps is down", "no route to host"),
    ],
)
def test_each_state(tmp_path: Path, state: TunnelState, ok: bool | None, what: str, why: str) -> None:
    folder = tmp_path / "data/tunnel"
    folder.mkdir(parents=True)
    with locks.alone(folder / states.LOCK):
        states.write(folder, state)
        found = look(tmp_path, f'[tunnel]\nto = "t@vps"\nhost_key = "{KEY}"\n')["tunnel.state"]
    assert (found.ok, found.what, found.why) == (ok, what, why)
    assert "service install" not in found.fix
