"""A stolen tunnel key against a real sshd with exactly what `homeport tunnel key` prints: nothing opens but the one place that it is for.

Each attack is tried on an sshd without the block as well, where it must succeed: so it is known to be one.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.sshd import EXECUTABLE, USER, Sshd, free_port, keygen, listens

pytestmark = [
    pytest.mark.skipif(EXECUTABLE is None, reason="there is no sshd (Debian: openssh-server)"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes and sockets in /proc"),
]
SOCKET = "those for a Unix socket"
SECRET = b"only for the VPS itself\n"
DEADLINE_S = 30.0


class Secret(socketserver.BaseRequestHandler):
    """What listens on the VPS's loopback and is for nobody else."""

    def handle(self) -> None:
        self.request.sendall(SECRET)


class Loot:
    """What there is to take on the VPS."""

    def __init__(self, folder: Path) -> None:
        self.tcp = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Secret)
        self.socket = folder / "secret.sock"
        self.unix = socketserver.ThreadingUnixStreamServer(str(self.socket), Secret)
        self.port: int = self.tcp.server_address[1]
        self.threads = [threading.Thread(target=server.serve_forever, args=(0.05,)) for server in (self.tcp, self.unix)]
        for thread in self.threads:
            thread.start()

    def close(self) -> None:
        for server in (self.tcp, self.unix):
            server.shutdown()
            server.server_close()
        for thread in self.threads:
            thread.join()


class Thief:
    """Who has the key, and a client that does as it is told."""

    def __init__(self, vps: Sshd, key: Path, loot: Loot, remote: int, folder: Path) -> None:
        self.vps, self.loot, self.remote, self.folder = vps, loot, remote, folder
        known = folder / "known_hosts"
        known.write_text(f"[127.0.0.1]:{vps.port} {vps.host_key}\n", encoding="ascii")
        self.words = ["ssh", "-F", "none", "-i", str(key), "-p", str(vps.port)]
        options = ("BatchMode=yes", "IdentitiesOnly=yes", f"UserKnownHostsFile={known}", "StrictHostKeyChecking=yes", "ExitOnForwardFailure=yes")
        self.words += [word for option in options for word in ("-o", option)]

    def run(self, *words: str, told: bytes = b"", environ: dict[str, str] | None = None) -> bytes:
        """What ssh gives back."""
        command = [*self.words, *words[:-1], self.vps.to, *([words[-1]] if words[-1] else [])]
        done = subprocess.run(command, input=told, capture_output=True, timeout=DEADLINE_S, env={**os.environ, **(environ or {})})
        return done.stdout

    @contextlib.contextmanager
    def open(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """A client that goes on."""
        child = subprocess.Popen([*self.words, "-N", *words, self.vps.to], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield child
        finally:
            child.kill()
            child.wait()

    def through(self, port: int, greeting: bytes = b"", more: bytes = b"") -> bool:
        """Whether the secret comes out of a port of the thief's own."""
        deadline = time.monotonic() + DEADLINE_S
        while not listens(port):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as way:
            got = b""
            with contextlib.suppress(ConnectionError):
                if greeting:
                    way.sendall(greeting)
                    way.recv(2)
                    way.sendall(more)
                while data := way.recv(4096):
                    got += data
            return SECRET in got

    def bound(self, way: subprocess.Popen[bytes], there: Callable[[], bool]) -> bool:
        """Whether something is bound on the VPS before the client gives up."""
        deadline = time.monotonic() + DEADLINE_S
        while way.poll() is None:
            if there():
                return True
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return there()


def local_forward(thief: Thief) -> bool:
    port = free_port()
    with thief.open("-L", f"127.0.0.1:{port}:127.0.0.1:{thief.loot.port}"):
        return thief.through(port)


def local_forward_to_a_unix_socket(thief: Thief) -> bool:
    port = free_port()
    with thief.open("-L", f"127.0.0.1:{port}:{thief.loot.socket}"):
        return thief.through(port)


def dynamic_forward(thief: Thief) -> bool:
    port = free_port()
    with thief.open("-D", f"127.0.0.1:{port}"):
        return thief.through(port, b"\x05\x01\x00", b"\x05\x01\x00\x01\x7f\x00\x00\x01" + thief.loot.port.to_bytes(2, "big"))


def standard_streams_forward(thief: Thief) -> bool:
    return SECRET in thief.run("-W", f"127.0.0.1:{thief.loot.port}", "")


def remote_forward_on_another_port(thief: Thief) -> bool:
    port = free_port()
    with thief.open("-R", f"127.0.0.1:{port}:127.0.0.1:9") as way:
        return thief.bound(way, lambda: listens(port))


def remote_forward_on_any_port(thief: Thief) -> bool:
    with thief.open("-R", "127.0.0.1:0:127.0.0.1:9") as way:
        return thief.bound(way, lambda: any(listening(pid) for pid in thief.vps.sessions()))


def remote_forward_for_the_world(thief: Thief) -> bool:
    with thief.open("-R", f"0.0.0.0:{thief.remote}:127.0.0.1:9") as way:
        return thief.bound(way, lambda: any(port == thief.remote for pid in thief.vps.sessions() for _, port in listening(pid)))


def remote_forward_on_a_unix_socket(thief: Thief) -> bool:
    path = thief.folder / "bound.sock"
    with thief.open("-R", f"{path}:127.0.0.1:9") as way:
        return thief.bound(way, path.exists)


def shell(thief: Thief) -> bool:
    return b"pwned" in thief.run("-T", "", told=b"echo pw''ned\n")


def terminal(thief: Thief) -> bool:
    return b"pwned" in thief.run("-tt", "", told=b"echo pw''ned\nexit\n")


def command(thief: Thief) -> bool:
    mark = thief.folder / "mark"
    thief.run(f"touch {mark}")
    return mark.exists()


def subsystem(thief: Thief) -> bool:
    taken = thief.folder / "taken"
    words = ["sftp", *("-P" if word == "-p" else word for word in thief.words[1:]), "-b", "-", thief.vps.to]
    subprocess.run(words, input=f"get {thief.vps.folder}/host_key {taken}\n".encode(), capture_output=True, timeout=DEADLINE_S)
    return taken.exists()


def tunnel_device(thief: Thief) -> bool:
    if not os.access("/dev/net/tun", os.W_OK) or os.geteuid() != 0:
        pytest.skip("needs root and /dev/net/tun")
    child = subprocess.Popen([*thief.words, "-v", "-N", "-w", "any:any", thief.vps.to], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert child.stderr is not None
        said = ""
        for line in child.stderr:
            said += line
            if "tunnel forward established" in line:
                return True
        assert "Tunnel device open failed" in said or "unnel forward" in said, said  # it was asked for
        return False
    finally:
        child.kill()
        child.communicate()


def agent_forward(thief: Thief) -> bool:
    place = thief.folder / "agent.sock"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(place)], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + DEADLINE_S
        while not place.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return b"/agent." in thief.run("-A", "echo $SSH_AUTH_SOCK", environ={"SSH_AUTH_SOCK": str(place)})
    finally:
        agent.kill()
        agent.wait()
        place.unlink(missing_ok=True)


def variables(thief: Thief) -> bool:
    return b"pwned" in thief.run("-o", "SetEnv=LC_HOMEPORT=pwned", "echo $LC_HOMEPORT")


ATTACKS = (
    local_forward,
    local_forward_to_a_unix_socket,
    dynamic_forward,
    standard_streams_forward,
    remote_forward_on_another_port,
    remote_forward_on_any_port,
    remote_forward_for_the_world,
    remote_forward_on_a_unix_socket,
    shell,
    terminal,
    command,
    subsystem,
    tunnel_device,
    agent_forward,
    variables,
)


def listening(pid: int) -> list[tuple[str, int]]:
    """Where a process listens, over TCP: address as /proc has it, and port."""
    try:
        inodes = {os.readlink(entry)[8:-1] for entry in Path(f"/proc/{pid}/fd").iterdir() if os.readlink(entry).startswith("socket:[")}
    except OSError:
        return []
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in inodes:
                address, _, port = words[1].rpartition(":")
                found.append((address, int(port, 16)))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vps")


@pytest.fixture(scope="module")
def loot(folder: Path) -> Iterator[Loot]:
    loot = Loot(folder)
    yield loot
    loot.close()


@pytest.fixture(scope="module")
def printed(folder: Path) -> dict[str, str]:
    """What `homeport tunnel key --json` prints, and the port that it is about."""
    port = free_port()
    return shown(folder, f"127.0.0.1:{port}") | {"port": str(port)}


def shown(folder: Path, remote: str) -> dict[str, str]:
    words = [sys.executable, "-m", "homeport", "tunnel", "key", "--to", f"{USER}@vps.example", "--remote", remote, "--json"]
    done = subprocess.run(words, capture_output=True, check=True, env={**os.environ, "HOMEPORT_DATA": str(folder / "data")}, cwd=folder)
    found: dict[str, str] = json.loads(done.stdout)
    assert set(found) == {"public_key", "identity", "authorized_keys", "sshd"}
    return found


def thief_at(vps: Sshd, printed: dict[str, str], loot: Loot, tmp_path: Path) -> Thief:
    return Thief(vps, Path(printed["identity"]), loot, int(printed["port"]), tmp_path)


@pytest.fixture(scope="module", params=["the line and the block", "the block alone", SOCKET])
def confined(request: pytest.FixtureRequest, folder: Path, printed: dict[str, str]) -> Iterator[Sshd]:
    told = shown(folder, "/run/homeport/home.sock") if request.param == SOCKET else printed
    line = printed["public_key"] if request.param == "the block alone" else told["authorized_keys"]
    with Sshd(folder / request.param.replace(" ", "-"), line, told["sshd"]) as vps:
        yield vps


@pytest.fixture(scope="module")
def free(folder: Path, printed: dict[str, str]) -> Iterator[Sshd]:
    with Sshd(folder / "free", printed["public_key"], "GatewayPorts clientspecified") as vps:
        yield vps


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_a_stolen_key_opens_nothing(attack: Callable[[Thief], bool], confined: Sshd, printed: dict[str, str], loot: Loot, tmp_path: Path) -> None:
    if attack is remote_forward_on_a_unix_socket and confined.folder.name == SOCKET.replace(" ", "-"):
        return  # that is what it is for
    assert not attack(thief_at(confined, printed, loot, tmp_path))
    assert "Accepted publickey" in confined.log  # it was the key's rights that stopped it


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_each_attack_works_where_nothing_stops_it(attack: Callable[[Thief], bool], free: Sshd, printed: dict[str, str], loot: Loot, tmp_path: Path) -> None:
    assert attack(thief_at(free, printed, loot, tmp_path))


def test_what_it_is_for_works(confined: Sshd, printed: dict[str, str], loot: Loot, tmp_path: Path) -> None:
    thief = thief_at(confined, printed, loot, tmp_path)
    if confined.folder.name == SOCKET.replace(" ", "-"):
        assert remote_forward_on_a_unix_socket(thief)
        return
    port = int(printed["port"])
    with thief.open("-R", f"127.0.0.1:{port}:127.0.0.1:9") as way:
        assert thief.bound(way, lambda: listens(port))
        assert {address for pid in confined.sessions() for address, _ in listening(pid)} == {"0100007F"}  # loopback only
    deadline = time.monotonic() + DEADLINE_S
    while listens(port):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_the_usual_line_alone_lets_a_thief_in(folder: Path, printed: dict[str, str], loot: Loot, tmp_path: Path) -> None:
    """`restrict` and `permitlisten` bind one side only: why there is a block, and a `permitopen`."""
    usual = f'restrict,port-forwarding,permitlisten="127.0.0.1:{printed["port"]}" {printed["public_key"]}'
    with Sshd(folder / "usual", usual) as vps:
        thief = thief_at(vps, printed, loot, tmp_path)
        assert all(attack(thief) for attack in (local_forward, standard_streams_forward, local_forward_to_a_unix_socket, command))
        assert not remote_forward_on_another_port(thief)


def test_another_key_is_not_let_in_at_all(confined: Sshd, printed: dict[str, str], loot: Loot, tmp_path: Path) -> None:
    keygen(tmp_path / "other")
    thief = Thief(confined, tmp_path / "other", loot, int(printed["port"]), tmp_path)
    assert not any(attack(thief) for attack in (command, remote_forward_on_another_port, standard_streams_forward))


@pytest.mark.parametrize("about", ["permittunnel no", "x11forwarding no", "allowagentforwarding no", "gatewayports no", "permittty no"])
def test_the_block_is_in_force_for_its_user_alone(about: str, confined: Sshd) -> None:
    """What needs a device or a display to be tried is asked of sshd itself; another user keeps what it had."""
    assert EXECUTABLE is not None

    def force(user: str) -> list[str]:
        words = [EXECUTABLE, "-T", "-f", str(confined.folder / "conf"), "-C", f"user={user},host=localhost,addr=127.0.0.1"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()

    assert about in force(USER)
    if not about.startswith("gateway"):
        assert about not in force("somebody-else")
