"""The tunnel against a real sshd: up only when something came through, refused where the host is another, and back after everything that breaks it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.tunnel import key
from tests.sshd import EXECUTABLE, Sshd, free_port, keygen, listens
from tests.tunnels import Asker, Home, Node, wait

pytestmark = [
    pytest.mark.skipif(EXECUTABLE is None, reason="there is no sshd (Debian: openssh-server)"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc"),
]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with Home(tmp_path) as home:
        yield home


@pytest.fixture
def vps(home: Home) -> Iterator[Sshd]:
    with home.vps() as vps:
        yield vps


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as node:
        yield node


@pytest.mark.slow
def test_it_is_up_once_something_came_through_and_not_before(home: Home, vps: Sshd, node: Node) -> None:
    home.up(vps, node.port)
    home.until("connecting", "nothing has come through yet")
    assert home.told["state"] == "connecting"
    with Asker(home.remote) as asker:
        found = home.until("up")
        assert found["reason"] is None and found["reconnects"] == 0
        wait(lambda: asker.answers > 5)
        wait(lambda: home.told["round_trip_ms"] is not None)
        assert 0 < home.told["round_trip_ms"] < 5000
        assert set(home.told) == {"state", "reason", "since", "round_trip_ms", "reconnects"}
    second = home.run("up", "--to", vps.to, "--host-key", vps.host_key)
    assert second.returncode == 1
    assert "runs already" in second.stderr
    assert home.end() == 0
    assert home.errors == ""
    assert home.ssh == []
    assert home.told["state"] == "down"
    assert "no tunnel runs here" in home.told["reason"]
    wait(lambda: not listens(home.remote))


@pytest.mark.slow
def test_an_answer_under_way_outlives_a_silence(home: Home, vps: Sshd) -> None:
    """Nobody else asks: neither one that is awaited nor one that streams is cut for it."""
    begun = threading.Event()

    def serve(server: socket.socket) -> None:
        while not begun.is_set():
            taken, _ = server.accept()  # a connection that `listens` made says nothing
            with taken:
                if taken.recv(4096):
                    time.sleep(5)  # the first token takes its time
                    begun.set()
                    taken.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    for _ in range(20):
                        taken.sendall(b"token\n")
                        time.sleep(0.25)

    with socket.create_server(("127.0.0.1", 0)) as server:
        node = threading.Thread(target=serve, args=(server,))
        node.start()
        home.up(vps, server.getsockname()[1], probe_timeout_s=3.0)
        wait(lambda: listens(home.remote))
        with socket.create_connection(("127.0.0.1", home.remote), timeout=30) as caller:
            caller.sendall(b"GET / HTTP/1.1\r\n\r\n")
            got = b""
            while data := caller.recv(4096):
                got += data
        node.join()
        assert got.count(b"token\n") == 20
        assert any("an answer is under way" in (state["reason"] or "") for state in home.states)


@pytest.mark.slow
def test_systemd_hears_that_it_supervises_and_goes_on(home: Home, vps: Sshd, node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard, tempfile.TemporaryDirectory(prefix="hp-", dir="/tmp") as short:
        heard.bind(f"{short}/notify")
        heard.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", f"{short}/notify")
        vps.stop()
        home.up(vps, node.port)
        assert heard.recv(4096) == b"READY=1\nSTATUS=connecting: starting"  # before the VPS is reached: it may be away for long
        begun, beats = time.monotonic(), 0
        while beats < 3:
            beats += heard.recv(4096) == b"WATCHDOG=1"
        assert time.monotonic() - begun < 60  # WatchdogSec, of one of them


@pytest.mark.slow
def test_a_swapped_host_key_is_refused_and_said(home: Home, vps: Sshd, node: Node) -> None:
    pinned = key.fingerprint(vps.host_key)
    kept = (vps.folder / "host_key").read_bytes()
    with Asker(home.remote) as asker:
        home.up(vps, node.port)
        home.until("up")
        vps.stop()
        vps.new_host_key()
        shown = key.fingerprint(vps.host_key)
        before = vps.log.count("Accepted")
        vps.start()
        found = home.until("refused", "is not the pinned one")
        assert pinned in found["reason"] and shown in found["reason"] and pinned != shown
        answers = asker.answers
        assert vps.log.count("Accepted") == before  # nothing was shown to it
        assert not listens(home.remote)
        tries = vps.log.count("Connection from")
        wait(lambda: vps.log.count("Connection from") > tries)  # it tries again, and is no wiser
        assert vps.log.count("Accepted") == before
        assert asker.answers == answers
        vps.stop()
        (vps.folder / "host_key").write_bytes(kept)
        vps.start()
        assert home.until("up")["reconnects"] == 1


@pytest.mark.slow
def test_a_host_with_keys_of_other_types_only_is_refused(home: Home, vps: Sshd, node: Node) -> None:
    """Who cannot show the pinned type must not get around it with another."""
    vps.stop()
    pinned = vps.host_key
    for name in ("host_key", "host_key.pub"):
        (vps.folder / name).unlink()
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(vps.folder / "host_key")], check=True)
    vps.start()
    (vps.folder / "host_key.pub").write_text(pinned, encoding="ascii")
    home.up(vps, node.port)
    assert "key of another type" in home.until("refused")["reason"]
    assert "Accepted" not in vps.log


def test_without_a_pinned_key_it_says_what_to_do(home: Home, vps: Sshd) -> None:
    done = home.run("up", "--to", vps.to, "--port", str(vps.port))
    assert done.returncode == 2
    assert key.fingerprint(vps.host_key) in done.stderr
    assert f'host_key = "{vps.host_key}"' in done.stderr
    assert "Accepted" not in vps.log
    vps.stop()
    done = home.run("up", "--to", vps.to, "--port", str(vps.port))
    assert done.returncode == 2
    assert "shows none now" in done.stderr


@pytest.mark.slow
def test_it_comes_back_after_sshd_was_away(home: Home, vps: Sshd, node: Node) -> None:
    with Asker(home.remote):
        home.up(vps, node.port)
        home.until("up")
        vps.stop()
        home.until("down", "connection refused")
        vps.start()
        assert home.until("up")["reconnects"] == 1


@pytest.mark.slow
def test_a_half_open_link_and_the_stale_port_it_leaves_are_survived(home: Home, vps: Sshd, node: Node) -> None:
    """The session on the VPS stands still and keeps the port, as one does whose home lost its power."""
    with Asker(home.remote):
        home.up(vps, node.port)
        home.until("up")
        stale = vps.sessions()
        for pid in stale:
            os.kill(pid, signal.SIGSTOP)
        home.until("connecting", "still held by the last connection")
        assert listens(home.remote)
        for pid in stale:
            os.kill(pid, signal.SIGKILL)
        assert home.until("up")["reconnects"] == 1
        assert len(home.ssh) == 1


@pytest.mark.slow
def test_a_stale_port_is_freed_though_the_vps_goes_on_asking(home: Home, vps: Sshd, node: Node) -> None:
    """sshd looks at its clock only when nothing happened for a whole ClientAliveInterval: one of 2 s or more would never end here."""
    with Asker(home.remote, 1.1):
        home.up(vps, node.port)
        home.until("up")
        frozen = [home.process.pid if home.process else 0, *home.ssh]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            wait(lambda: not vps.sessions())
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
        home.until("up")


@pytest.mark.slow
def test_a_unix_socket_is_never_stale(tmp_path: Path, node: Node) -> None:
    """The same, and the next connection takes the socket from the one that stands still."""
    with tempfile.TemporaryDirectory(prefix="hp-", dir="/tmp") as short, Home(tmp_path, Path(short) / "home.sock") as home, home.vps() as vps:
        assert home.socket is not None
        with Asker(home.socket):
            home.up(vps, node.port)
            home.until("up")
            stale = vps.sessions()
            for pid in stale:
                os.kill(pid, signal.SIGSTOP)
            home.until("connecting")
            assert home.until("up")["reconnects"] == 1
            assert not any("held" in (state["reason"] or "") for state in home.states)


@pytest.mark.slow
def test_a_connection_that_stands_but_carries_nothing_is_made_anew(home: Home, vps: Sshd, node: Node) -> None:
    home.up(vps, node.port, probe_timeout_s=1.0)
    wait(lambda: len(home.ssh) == 1)
    first = home.ssh
    wait(lambda: len(home.ssh) == 1 and home.ssh != first)
    with Asker(home.remote):
        home.until("up")
    home.until("connecting", "nothing has come through")


@pytest.mark.slow
def test_a_node_that_is_off_is_told_from_a_tunnel_that_is(home: Home, vps: Sshd) -> None:
    port = free_port()
    with Asker(home.remote):
        home.up(vps, port)
        home.until("connecting", f"no node at 127.0.0.1:{port} (connection refused)")
        ssh = home.ssh
        with Node(port):
            home.until("up")
        assert home.ssh == ssh


@pytest.mark.slow
def test_a_key_that_is_not_let_in_is_refused(home: Home, vps: Sshd, node: Node) -> None:
    keygen(vps.folder / "other")
    (vps.folder / "authorized_keys").write_text(key.public(vps.folder / "other"), encoding="ascii")
    home.up(vps, node.port)
    assert "homeport tunnel key" in home.until("refused", "does not take this key")["reason"]
    home.end()
    (vps.folder / "authorized_keys").write_text(home.public, encoding="ascii")
    home.identity.chmod(0o644)
    home.up(vps, node.port)
    home.until("refused", "the key cannot be used: Permissions 0644")


@pytest.mark.slow
def test_a_place_that_is_not_permitted_is_told(home: Home, vps: Sshd, node: Node) -> None:
    home.remote = free_port()
    home.up(vps, node.port)
    home.until("connecting", "PermitListen does not name it")


@pytest.mark.slow
def test_nothing_is_left_of_a_supervisor_that_was_killed(home: Home, vps: Sshd, node: Node) -> None:
    with Asker(home.remote):
        home.up(vps, node.port)
        home.until("up")
    assert len(home.ssh) == 1
    home.end(kill=True)
    wait(lambda: not home.ssh)
    wait(lambda: not listens(home.remote))
    found = home.told
    assert found["state"] == "down" and "its supervisor died" in found["reason"] and found["since"] is not None
    with Asker(home.remote):
        home.up(vps, node.port)
        home.until("up")


@pytest.mark.slow
def test_what_goes_through_arrives_as_it_was(home: Home, vps: Sshd) -> None:
    """Both ways at once, more than all buffers hold, and the end of one side is told to the other."""
    sent = os.urandom(8 * 2**20)
    with socket.create_server(("127.0.0.1", 0)) as server:
        home.up(vps, server.getsockname()[1])
        wait(lambda: listens(home.remote))
        server.settimeout(30)
        with socket.create_connection(("127.0.0.1", home.remote), timeout=30) as caller:
            caller.sendall(b"hello")
            while True:  # a connection that `listens` made may come first
                taken, _ = server.accept()
                taken.settimeout(30)
                if taken.recv(5) == b"hello":
                    break
                taken.close()
            with taken:
                got = exchange(caller, taken, sent)
                assert got == sent
                caller.shutdown(socket.SHUT_WR)
                assert taken.recv(1) == b""
                taken.sendall(b"still here")
                taken.close()
                rest = b""
                while data := caller.recv(4096):
                    rest += data
                assert rest == b"still here"


def exchange(one: socket.socket, other: socket.socket, data: bytes) -> bytes:
    """Send the same from both at once; what the first of them got, once the other got it as well."""
    got: dict[str, bytes] = {}

    def take(name: str, end: socket.socket) -> None:
        found = bytearray()
        while len(found) < len(data) and (more := end.recv(65536)):
            found += more
        got[name] = bytes(found)

    threads = [threading.Thread(target=take, args=("one", one)), threading.Thread(target=take, args=("other", other))]
    threads += [threading.Thread(target=end.sendall, args=(data,)) for end in (one, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got["other"] == data
    return got["one"]
