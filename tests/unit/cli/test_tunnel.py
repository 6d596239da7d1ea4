"""`homeport tunnel`: what it prints, what it refuses, and where else the tunnel is told of."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from homeport.cli import tunnel
from homeport.settings import TunnelSettings
from homeport.storage import locks
from homeport.tunnel import key as keys
from homeport.tunnel import state as states
from homeport.tunnel.state import TunnelState

from .conftest import FakeGateway, Homeport

HOST = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE"
UP = TunnelState(state="up", since=1_795_000_000.0, round_trip_ms=23.4, reconnects=2)


def test_the_key_is_made_once_and_shown_again(homeport: Homeport, tmp_path: Path) -> None:
    found = homeport("tunnel", "key", "--json").json
    assert set(found) == {"public_key", "identity", "authorized_keys", "sshd"}
    assert homeport("tunnel", "key", "--json").json == found
    identity = Path(found["identity"])
    assert identity == tmp_path / "data/tunnel/id_ed25519"
    if sys.platform != "win32":
        assert stat.S_IMODE(identity.stat().st_mode) == 0o600
    assert found["public_key"].startswith("ssh-ed25519 ")
    assert found["authorized_keys"].endswith(found["public_key"])
    assert "Match User tunnel\n" in found["sshd"]


def test_flags_and_the_file_say_for_whom_and_where(homeport: Homeport, tmp_path: Path) -> None:
    (tmp_path / "homeport.toml").write_text('[tunnel]\nto = "hp@vps.example"\nremote = "127.0.0.1:9000"\n', encoding="utf-8")
    block = homeport("tunnel", "key", "--json").json["sshd"]
    assert "Match User hp\n" in block and "PermitListen 127.0.0.1:9000\n" in block
    found = homeport("tunnel", "key", "--json", "--to", "other@vps.example", "--remote", "/run/h/h.sock").json
    assert "Match User other\n" in found["sshd"] and "AllowStreamLocalForwarding remote\n" in found["sshd"]


def test_for_people_it_is_all_on_one_screen_and_the_script_can_be_had_alone(homeport: Homeport) -> None:
    ended = homeport("tunnel", "key")
    script = homeport("tunnel", "key", "--script").out
    assert ended.code == 0
    assert script in ended.out
    assert homeport("tunnel", "key", "--json").json["authorized_keys"] in ended.out
    assert "homeport.toml, under [tunnel]" in ended.err
    assert script.startswith("$(command -v sudo) sh -eu <<'HOMEPORT'\n") and script.endswith("\nHOMEPORT\n")


def test_a_key_of_ones_own_is_taken_and_none_made(homeport: Homeport, tmp_path: Path) -> None:
    own = keys.make(tmp_path / "elsewhere")
    (tmp_path / "homeport.toml").write_text(f'[tunnel]\nidentity = "{own.relative_to(tmp_path)}"\n', encoding="utf-8")
    assert homeport("tunnel", "key", "--json").json["identity"] == str(own)
    assert not (tmp_path / "data/tunnel").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["up"], "where should it lead? homeport tunnel up --to tunnel@vps.example"),
        (["up", "--to", "vps.example"], "--to takes USER@HOST"),
        (["up", "--to", "t@vps", "--port", "0"], "--port takes a port from 1 to 65535, not 0"),
        (["up", "--to", "t@vps", "--host-key", "abc"], "--host-key takes the public key of the host"),
        (["up", "--to", "t@vps", "--remote", "0.0.0.0:1"], "--remote takes a port of the VPS's loopback"),
        (["up", "--to", "t@vps", "--local", ":1"], "--local takes HOST:PORT of the node"),
        (["up", "--to", "t@vps"], "there is no key at"),
        (["key", "--to", "a b@vps"], "--to takes USER@HOST"),
    ],
)
def test_what_is_not_understood_is_said(homeport: Homeport, words: list[str], said: str) -> None:
    ended = homeport("tunnel", *words)
    assert ended.code == 2
    assert said in ended.err


def test_a_node_at_any_port_cannot_be_led_to(homeport: Homeport, tmp_path: Path) -> None:
    (tmp_path / "homeport.toml").write_text('[server]\nlisten = "127.0.0.1:0"\n[tunnel]\nto = "t@vps"\n', encoding="utf-8")
    ended = homeport("tunnel", "up")
    assert ended.code == 2
    assert "[server] listen has port 0; say where with --local HOST:PORT" in ended.err


def test_cloudflared_needs_an_address_and_a_token_and_no_key(homeport: Homeport, tmp_path: Path) -> None:
    (tmp_path / "homeport.toml").write_text('[tunnel]\nkind = "cloudflared"\nto = "https://home.example"\n', encoding="utf-8")
    ended = homeport("tunnel", "up")
    assert ended.code == 2
    assert 'token = { file = "PATH" }' in ended.err
    ended = homeport("tunnel", "key")
    assert ended.code == 2
    assert "needs no key" in ended.err


def test_without_ssh_it_says_what_to_install(homeport: Homeport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    homeport("tunnel", "key")
    monkeypatch.setenv("PATH", str(tmp_path))
    ended = homeport("tunnel", "up", "--to", "t@vps", "--host-key", HOST)
    assert ended.code == 1
    assert "there is no ssh; install OpenSSH's client" in ended.err


def test_the_status_has_the_five_fields(homeport: Homeport, tmp_path: Path) -> None:
    found = homeport("tunnel", "status", "--json").json
    assert found == {"state": "down", "reason": states.NOT_RUNNING, "since": None, "round_trip_ms": None, "reconnects": 0}
    folder = tmp_path / "data/tunnel"
    folder.mkdir(parents=True)
    with locks.alone(folder / states.LOCK):
        states.write(folder, UP)
        assert homeport("tunnel", "status", "--json").json == {"state": "up", "reason": None, "since": UP.since, "round_trip_ms": 23.4, "reconnects": 2}
        assert homeport("tunnel", "status").out.startswith("The tunnel is up for ")


def test_how_a_state_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnel.time, "time", lambda: 1_795_000_000.0 + 300)
    told = TunnelSettings(to="t@vps")
    assert tunnel.lines(told, UP) == ["The tunnel to t@vps is up for 5 min, round trip 23 ms, came back 2 times"]
    refused = TunnelState(state="refused", reason="another\x1b[2J key", since=1_795_000_000.0)
    assert tunnel.lines(told, refused) == ["The tunnel to t@vps is refused for 5 min", "  another [2J key"]


def test_the_gateways_status_has_a_line_of_it_where_there_is_one(
    homeport: Homeport, gateway: FakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.says({"verdict": "All is well.", "backends": [], "models": []})
    config = tmp_path / "homeport.toml"
    config.write_text(f'[server]\nlisten = "{gateway.url.partition("//")[2]}"\n', encoding="utf-8")
    assert "tunnel" not in homeport("status", "--config", str(config)).out
    config.write_text(config.read_text(encoding="utf-8") + '[tunnel]\nto = "t@vps"\n', encoding="utf-8")
    assert "tunnel" not in homeport("status").out  # $HOMEPORT_URL: a gateway elsewhere
    assert "The tunnel to t@vps is down\n  no tunnel runs here" in homeport("status", "--config", str(config)).out
    monkeypatch.delenv("HOMEPORT_URL")
    assert "The tunnel to t@vps is down\n" in homeport().out
