"""The OpenSSH client's command line, and what its words mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport.errors import HomeportError
from homeport.tunnel import key, ssh
from homeport.tunnel.ssh import Ssh

HOST = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE"
OTHER = "SHA256:pfIyDNwaNUAoEunfAwuRueRQ0GNMhNjf25g7TjG3SrI"


def client(folder: Path, host_key: str = HOST, remote: str = "127.0.0.1:8462") -> Ssh:
    return Ssh(to="tunnel@vps.example", port=2222, host_key=host_key, identity=folder / "id", remote=remote, folder=folder)


def options(command: list[str]) -> dict[str, str]:
    return dict(command[at + 1].split("=", 1) for at, word in enumerate(command) if word == "-o")


def test_nothing_of_the_users_own_configuration_counts_and_only_the_pinned_key_does(tmp_path: Path) -> None:
    command = client(tmp_path).command("127.0.0.1:4000")
    told = options(command)
    assert command[1:3] == ["-F", "none"]
    assert command[-6:] == ["-p", "2222", "-R", "127.0.0.1:8462:127.0.0.1:4000", "--", "tunnel@vps.example"]
    assert (told["StrictHostKeyChecking"], told["HostKeyAlgorithms"], told["UpdateHostKeys"]) == ("yes", "ssh-ed25519", "no")
    assert told["UserKnownHostsFile"] == told["GlobalKnownHostsFile"] == f'"{tmp_path / "known_hosts"}"'
    assert (tmp_path / "known_hosts").read_text(encoding="ascii") == f"homeport-tunnel {HOST}\n"
    assert (told["BatchMode"], told["ExitOnForwardFailure"], told["IdentitiesOnly"], told["IdentityAgent"]) == ("yes", "yes", "yes", "none")
    assert (told["ServerAliveInterval"], told["ServerAliveCountMax"]) == ("2", "2")
    assert not {"no", "accept-new", "off"} & {told["StrictHostKeyChecking"]}


def test_the_pinned_key_is_not_written_again(tmp_path: Path) -> None:
    """A full disk must not end a tunnel, and a file that says something else must not be believed."""
    client(tmp_path).command("127.0.0.1:4000")
    (tmp_path / "known_hosts").chmod(0o400)
    before = (tmp_path / "known_hosts").stat()
    client(tmp_path).command("127.0.0.1:4000")
    assert (tmp_path / "known_hosts").stat() == before
    (tmp_path / "known_hosts").chmod(0o600)
    (tmp_path / "known_hosts").write_text("homeport-tunnel ssh-ed25519 AAAA\n", encoding="ascii")
    client(tmp_path).command("127.0.0.1:4000")
    assert (tmp_path / "known_hosts").read_text(encoding="ascii") == f"homeport-tunnel {HOST}\n"


def test_an_rsa_key_is_asked_for_by_its_signatures(tmp_path: Path) -> None:
    assert options(client(tmp_path, "ssh-rsa AAAA").command("r"))["HostKeyAlgorithms"] == "rsa-sha2-512,rsa-sha2-256"


def test_odd_paths_mean_what_they_say() -> None:
    assert ssh.quoted(Path('/a b/50%/c"d')) == '"/a b/50%%/c\\"d"'


def test_a_machine_without_ssh_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HomeportError, match="there is no ssh; install OpenSSH's client"):
        client(tmp_path).command("127.0.0.1:4000")
    assert ssh.scan("127.0.0.1", 22) is None


@pytest.mark.parametrize(
    ("line", "event", "words"),
    [
        ("debug1: remote forward success for: listen 127.0.0.1:8462, connect 127.0.0.1:4000", "connected", ""),
        ("debug1: remote forward success for: listen /run/h.sock:-2, connect 127.0.0.1:4000", "connected", ""),
        ("Error: remote port forwarding failed for listen port 8462", "held", "still held by the last connection"),
        ("Error: remote port forwarding failed for listen path /run/h.sock", "held", "still held by the last connection"),
        ("tunnel@vps.example: Permission denied (publickey).", "refused", "homeport tunnel key"),
        ("ssh: connect to host vps.example port 2222: Connection refused", "unreachable", "vps.example port 2222 cannot be reached: connection refused"),
        ("ssh: connect to host vps.example port 2222: No route to host", "unreachable", "no route to host"),
        ("ssh: Could not resolve hostname vps.example: Name or service not known", "unreachable", "name or service not known"),
        ("Timeout, server vps.example not responding.", "lost", "was lost: Timeout, server vps.example not responding"),
        ("Connection to vps.example closed by remote host.", "lost", "closed by remote host"),
        ("Connection reset by 192.0.2.1 port 22", "lost", "was lost: Connection reset by 192.0.2.1 port 22"),
        ("ssh_dispatch_run_fatal: Connection to 192.0.2.1 port 22: Broken pipe", "lost", "Broken pipe"),
        ("client_loop: send disconnect: Broken pipe", "lost", "Broken pipe"),
        ("kex_exchange_identification: Connection closed by remote host", "lost", "Connection closed"),
        ("Unable to negotiate with 10.0.0.1 port 22: no matching host key type found. Their offer: ecdsa", "refused", "it shows a key of another type"),
        ("No ED25519 host key is known for homeport-tunnel and you have requested strict checking.", "refused", "is not the pinned one"),
        ("Host key verification failed.", "refused", "is not the pinned one"),
    ],
)
def test_what_it_says_is_understood(tmp_path: Path, line: str, event: str, words: str) -> None:
    heard = client(tmp_path).hear(line)
    assert heard is not None and heard.event == event
    assert words in heard.reason


@pytest.mark.parametrize(
    "line",
    [
        "",
        "debug1: Connection established.",
        "debug1: Local version string SSH-2.0-OpenSSH_9.2",
        "debug1: Remote: /var/lib/tunnel/.ssh/authorized_keys:1: key options: command port-forwarding restrict",
        "debug1: client_input_channel_open: ctype forwarded-tcpip rchan 2 win 2097152 max 32768",
        "debug1: channel 0: free: 127.0.0.1, nchannels 1",
        "Connection to this system is monitored; whoever is not authorized is closed out.",
    ],
)
def test_what_is_nothing_of_note_is_not_heard(tmp_path: Path, line: str) -> None:
    assert client(tmp_path).hear(line) is None


def test_a_changed_host_key_is_told_with_both_fingerprints(tmp_path: Path) -> None:
    tunnel = client(tmp_path)
    assert tunnel.hear(f"debug1: Server host key: ssh-ed25519 {OTHER}") is None
    heard = tunnel.hear("@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @")
    assert heard is not None and OTHER in heard.reason and key.fingerprint(HOST) in heard.reason
    tunnel.command("127.0.0.1:4000")  # another try begins with nothing
    heard = tunnel.hear("Host key verification failed.")
    assert heard is not None and OTHER not in heard.reason


def test_a_key_that_cannot_be_read_is_named_and_not_the_refusal_that_follows(tmp_path: Path) -> None:
    tunnel = client(tmp_path)
    assert tunnel.hear("Permissions 0644 for '/id' are too open.") is None
    assert tunnel.hear('Load key "/id": bad permissions') is None
    heard = tunnel.hear("tunnel@vps.example: Permission denied (publickey).")
    assert heard is not None and heard.reason == "the key cannot be used: Permissions 0644 for '/id' are too open"
