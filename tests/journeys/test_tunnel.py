"""A gateway with a tunnel beside it: its owner is told when nothing comes through any more, and `/metrics` has it."""

from __future__ import annotations

from pathlib import Path

from homeport.storage import locks
from homeport.testing.backend import ScriptedBackend
from homeport.tunnel import state as states
from homeport.tunnel.state import TunnelState
from tests.caller import asked
from tests.gateway import Running, config, soon
from tests.receiver import Receiver

QUICK = {"probe_interval_s": 0.05, "down_after": 2, "up_after": 2}


def test_its_owner_is_told_once_each_way_and_no_page_names_the_other_side(tmp_path: Path) -> None:
    with Receiver() as receiver, ScriptedBackend() as fake:
        path = config(tmp_path, {"only": fake.url}, monitor={**QUICK, "notify": [receiver.url]})
        path.write_text(path.read_text(encoding="utf-8") + '\n[tunnel]\nto = "t@vps.example"\n', encoding="utf-8")
        with Running(path) as gateway:
            folder = states.folder_of(gateway.app.settings.server.data)
            folder.mkdir()

            def shown(figure: str) -> bool:
                return f"homeport_tunnel_up {figure}" in asked(gateway.url, method="GET", path="/metrics").body.decode()

            assert receiver.until(lambda: len(receiver.taken) == 1)
            assert shown("0.0")
            with locks.alone(folder / states.LOCK):
                states.write(folder, TunnelState(state="up"))
                assert receiver.until(lambda: len(receiver.taken) == 2)
                assert shown("1.0")
                states.write(folder, TunnelState(state="refused", reason="the host key of vps.example is another"))
                assert receiver.until(lambda: len(receiver.taken) == 3)
            assert soon(lambda: any(incident["until"] is None for incident in gateway.status()["incidents"]))
            assert "vps.example" not in str(gateway.status())
    assert receiver.kinds == [("down", "The tunnel"), ("up", "The tunnel"), ("down", "The tunnel")]
    assert receiver.taken[2]["reason"] == "it is refused; homeport tunnel status says more"
