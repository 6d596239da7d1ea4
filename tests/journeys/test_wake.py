"""A box that sleeps: the first ask wakes it, and the fallback answers meanwhile."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from homeport.backends import wake
from homeport.testing.backend import ScriptedBackend
from tests.caller import asked, chat
from tests.gateway import Running, config

MAC = "02:1a:4b:3c:5d:6e"


def test_the_first_ask_wakes_it_while_the_fallback_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """192.0.2.0/24 is nobody's: nothing answers there, as with a box that sleeps."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as card, ScriptedBackend("Hello") as fallback:
        card.bind(("127.0.0.1", 0))
        card.settimeout(10)
        monkeypatch.setattr(wake, "PORT", card.getsockname()[1])
        monkeypatch.setattr(wake, "AGAIN_S", 60.0)
        monkeypatch.setattr(wake, "around", lambda host: ["127.0.0.1"])
        box = {"url": "http://192.0.2.20:11434", "location": "local", "wake": MAC, "connect_timeout_s": 0.3}
        with Running(config(tmp_path, {"box": box, "vm": fallback.url})) as gateway:
            reply = asked(gateway.url, chat())
            assert (reply.status, reply.headers["x-homeport-backend"]) == (200, "vm")
            assert card.recv(2000) == wake.magic(MAC)
            card.setblocking(False)
            for _ in range(5):
                assert asked(gateway.url, chat()).status == 200
            with pytest.raises(BlockingIOError):  # it is not sent with each ask
                card.recv(2000)
