"""What only a restart can change is refused, each in a line that says so."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from homeport.errors import BadSettings
from homeport.reloading import refuse
from homeport.settings.tree import FleetSettings, Server, Settings, TelemetrySettings

NOW = Settings(server=Server(listen="127.0.0.1:1", data=Path("here")), path=Path("homeport.toml"))


def test_the_rest_may_change() -> None:
    refuse(NOW, msgspec.structs.replace(NOW, server=Server(listen="127.0.0.1:1", data=Path("here"), max_body_mb=1), discover=True))


def test_each_is_named() -> None:
    then = Settings(
        server=Server(listen="127.0.0.1:2", data=Path("there")),
        path=Path("homeport.toml"),
        telemetry=TelemetrySettings(otlp_url="http://secret@collector"),
        fleet=FleetSettings(url="redis://:secret@store/0"),
    )
    with pytest.raises(BadSettings) as refused:
        refuse(NOW, then)
    lines = str(refused.value).splitlines()
    assert [line.split()[1] for line in lines] == ["server.listen", "server.data", "telemetry.otlp_url", "[fleet]"]
    assert all(line.startswith("homeport.toml: ") and "Restart the gateway" in line for line in lines)
    assert "127.0.0.1:1" in lines[0] and "127.0.0.1:2" in lines[0]
    assert "secret" not in str(refused.value)
