"""The texts for the VPS. What they do is tried on a real sshd in tests/faults."""

from __future__ import annotations

import pytest

from homeport.tunnel import confinement

PUBLIC = "ssh-ed25519 AAAA homeport-tunnel"


def test_the_line_binds_the_key_to_one_place() -> None:
    line = confinement.authorized(PUBLIC, "127.0.0.1:8462")
    assert line == f'restrict,port-forwarding,permitlisten="127.0.0.1:8462",permitopen="127.0.0.1:1",command="/bin/false" {PUBLIC}'


def test_the_block_is_for_one_user_and_ends_its_match() -> None:
    block = confinement.sshd_block("tunnel", "127.0.0.1:8462")
    lines = [line.strip() for line in block.splitlines()]
    assert lines.count("Match User tunnel") == 1
    assert lines[-1] == "Match all"
    for line in ("AllowTcpForwarding remote", "PermitListen 127.0.0.1:8462", "AllowStreamLocalForwarding no", "PermitOpen none", "MaxSessions 0"):
        assert line in lines
    assert ("ClientAliveInterval 1" in lines, "ClientAliveCountMax 3" in lines) == (True, True)


def test_a_unix_socket_turns_it_round() -> None:
    block = confinement.sshd_block("tunnel", "/run/homeport/home.sock")
    for line in ("AllowTcpForwarding remote", "PermitListen 127.0.0.1:1", "AllowStreamLocalForwarding remote", "StreamLocalBindUnlink yes"):
        assert f"    {line}\n" in block
    assert 'permitlisten="127.0.0.1:1"' in confinement.authorized(PUBLIC, "/run/homeport/home.sock")


@pytest.mark.parametrize("remote", ["127.0.0.1:8462", "[::1]:8462", "/run/homeport/home.sock"])
def test_the_script_has_all_of_it_and_asks_sshd_whether_it_holds(remote: str) -> None:
    script = confinement.script("tunnel", remote, PUBLIC)
    assert confinement.authorized(PUBLIC, remote) in script
    assert confinement.sshd_block("tunnel", remote) in script
    block = confinement.sshd_block("tunnel", remote).lower()
    for line in confinement.holds(remote):
        assert f"    has '{line}'" in script
        assert f"    {line}\n" in block
    assert ("tmpfiles.d" in script) == remote.startswith("/")
