"""Cloudflare's client: the command, and what its log says."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from homeport.errors import HomeportError
from homeport.tunnel.asking import Asking
from homeport.tunnel.cloudflared import Cloudflared
from homeport.tunnel.state import TunnelState
from homeport.tunnel.supervision import Supervisor
from tests.tunnels import Node

TUNNEL = Cloudflared(url="https://home.example", token="c4nary")


def test_the_token_is_not_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "cloudflared"
    program.write_text("#!/bin/sh\n", encoding="ascii")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert TUNNEL.command("") == [str(program), "tunnel", "--no-autoupdate", "run"]
    assert TUNNEL.environment["TUNNEL_TOKEN"] == "c4nary"


def test_a_machine_without_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HomeportError, match="there is no cloudflared"):
        TUNNEL.command("")


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ("2026-11-21T18:00:00Z INF Registered tunnel connection connIndex=0 connection=1 event=0 ip=198.51.100.1 location=ham01 protocol=quic", "connected"),
        ("2022-06-01T16:23:12Z INF Connection c206cf44 registered connIndex=0 location=ham01", "connected"),
        ("Provided Tunnel token is not valid.", "refused"),
        ('2026-11-21T18:00:00Z ERR Register tunnel error from server side error="Unauthorized: Invalid tunnel secret"', "refused"),
        ('2026-11-21T18:00:00Z ERR Unable to establish connection with Cloudflare edge error="TLS handshake failed"', "unreachable"),
        ('2026-11-21T18:00:00Z ERR edge discovery: error looking up edge error="lookup region1.example: no such host"', "unreachable"),
    ],
)
def test_what_it_says_is_understood(line: str, event: str) -> None:
    heard = TUNNEL.hear(line)
    assert heard is not None and heard.event == event


@pytest.mark.parametrize("line", ["", "2026-11-21T18:00:00Z INF Starting tunnel tunnelID=1", "2026-11-21T18:00:00Z INF Version 2026.11.0"])
def test_what_is_nothing_of_note_is_not_heard(line: str) -> None:
    assert TUNNEL.hear(line) is None


@pytest.mark.skipif(sys.platform == "win32", reason="its stand-in is a shell script")
def test_it_is_up_once_an_answer_came_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in that says it is registered, and an edge that leads to a node."""
    program = tmp_path / "cloudflared"
    program.write_text(
        '#!/bin/sh\n[ "$TUNNEL_TOKEN" = c4nary ] && echo "2026 INF Registered tunnel connection connIndex=0" >&2\nexec sleep 600\n', encoding="ascii"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    told: list[TunnelState] = []

    async def work(url: str) -> None:
        ended = asyncio.Event()

        def tell(state: TunnelState) -> None:
            told.append(state)
            if state.state == "up":
                ended.set()

        async with asyncio.timeout(60):
            await Supervisor(Cloudflared(url=url, token="c4nary"), Asking(url, every_s=0.05), tmp_path, tell, probe_timeout_s=30).run(ended)

    with Node() as node:
        asyncio.run(work(f"http://127.0.0.1:{node.port}"))
    assert [state.state for state in told][-2:] == ["up", "down"]
    assert told[-2].round_trip_ms is not None
    assert "c4nary" not in str(told)
