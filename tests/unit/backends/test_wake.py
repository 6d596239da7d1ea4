"""Wake on LAN: the packet as a network card hears it, and how often it is sent."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.backends import wake
from homeport.backends.wake import AGAIN_S, GAP_S, REST_S, TRYING_S, NoWake, Waker, magic, subnet_broadcast, waker
from tests.gateway import soon

MAC = "02:1a:4b:3c:5d:6e"
PACKET = b"\xff\xff\xff\xff\xff\xff" + b"\x02\x1a\x4b\x3c\x5d\x6e" * 16


@pytest.fixture
def card() -> Iterator[socket.socket]:
    """A socket that hears what is sent to it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(10)
        yield sock


def to(card: socket.socket, *more: tuple[str, int]) -> Waker:
    return Waker("box", MAC, "box.invalid", to=[card.getsockname(), *more])


def rest(sleeper: Waker) -> None:
    """Wait until it has sent."""
    assert soon(lambda: not any(thread.name == "wake box" for thread in threading.enumerate()))


def test_the_packet_is_six_times_ff_and_sixteen_times_the_address(card: socket.socket) -> None:
    assert to(card).call(1000.0)
    packet, _ = card.recvfrom(2000)
    assert packet == PACKET == magic(MAC)
    assert len(packet) == 102


def test_however_often_it_is_called_one_packet_goes_out_in_five_seconds(card: socket.socket) -> None:
    sleeper = to(card)
    sent = []
    for tenth in range(301):  # 30 s of asks
        if sleeper.call(1000 + tenth / 10):
            sent.append(tenth / 10)
            rest(sleeper)
    assert sent == [0, 5, 10, 15, 20, 25, 30]
    assert sleeper.sent == len(sent)


def test_a_burst_tries_for_two_minutes_and_then_rests(card: socket.socket) -> None:
    sleeper = to(card)
    sent = []
    for second in range(int(REST_S) + 11):
        if sleeper.call(float(second)):
            sent.append(second)
            rest(sleeper)
    first = [second for second in sent if second < REST_S]
    assert first == list(range(0, int(TRYING_S), int(AGAIN_S)))
    assert [second for second in sent if second >= REST_S] == [REST_S, REST_S + 5, REST_S + 10]  # the power was out, and may be back


def test_who_comes_after_a_pause_wakes_it_at_once(card: socket.socket) -> None:
    sleeper = to(card)
    now = 0.0
    while now < TRYING_S + 10:
        sleeper.call(now)
        rest(sleeper)
        now += 5
    assert not sleeper.call(now + GAP_S / 2)
    assert sleeper.call(now + GAP_S / 2 + GAP_S)
    rest(sleeper)


def test_a_call_does_not_wait_for_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that takes long to resolve holds up nobody, nor does it make threads pile up."""
    resolved = threading.Event()

    def slow(host: str) -> list[str]:
        resolved.wait(30)
        return []

    monkeypatch.setattr(wake, "around", slow)
    sleeper = Waker("box", MAC, "box.lan")
    assert sleeper.call(0.0)
    assert not any(sleeper.call(seconds) for seconds in (5.0, 10.0, 15.0))
    assert sum(thread.name == "wake box" for thread in threading.enumerate()) == 1
    resolved.set()
    rest(sleeper)
    assert sleeper.call(20.0)
    rest(sleeper)


def test_what_cannot_be_sent_is_said_once_and_raised_never(card: socket.socket, caplog: pytest.LogCaptureFixture) -> None:
    sleeper = Waker("box", MAC, "box.invalid", to=[("127.0.0.1", 0), ("not an address", 9)])
    with caplog.at_level(logging.WARNING, "homeport"):
        assert sleeper.send() == sleeper.send() == 0
    assert sleeper.trouble.startswith("127.0.0.1: ")
    assert [record.getMessage() for record in caplog.records] == [f"box cannot be woken: {sleeper.trouble}"]
    mixed = to(card, ("127.0.0.1", 0))
    assert mixed.send() == 1  # one way is enough
    assert card.recv(2000) == PACKET
    assert mixed.trouble == ""


def test_without_a_thread_to_be_had_the_next_call_tries_again(card: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    sleeper = to(card)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none)
        assert not sleeper.call(0.0)
    assert sleeper.call(AGAIN_S)
    assert card.recv(2000) == PACKET
    rest(sleeper)


def test_off_is_an_object() -> None:
    assert isinstance(waker("box", None, "http://192.168.1.20"), NoWake)
    assert isinstance(waker("pilot", MAC, None), NoWake)
    assert not NoWake().call(0.0)
    assert isinstance(waker("box", MAC, "http://192.168.1.20:11434"), Waker)


def test_an_address_is_called_by_everybodys_its_subnets_and_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wake, "subnet_broadcast", lambda address: "192.168.1.255" if address == "192.168.1.20" else None)
    assert wake.around("192.168.1.20") == ["255.255.255.255", "192.168.1.255", "192.168.1.20"]
    assert wake.around("10.9.9.9") == ["255.255.255.255", "10.9.9.9"]
    assert wake.around("fd00::20") == ["255.255.255.255", "fd00::20"]
    assert wake.around("a" * 70 + ".invalid") == ["255.255.255.255"]  # a name that nobody knows


TABLE = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth1\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0
eth2\t0000140A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
wg0\t0000640A\t0101A8C0\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0
ppp0\t0900000A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0
bad\tXYZ\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
short
"""


@pytest.mark.parametrize(
    ("address", "broadcast"),
    [
        ("192.168.1.20", "192.168.1.255"),
        ("192.168.2.20", None),  # beyond the gateway
        ("10.1.2.3", "10.255.255.255"),
        ("10.20.1.1", "10.20.255.255"),  # the nearest of two
        ("10.100.1.1", "10.255.255.255"),  # a route through a gateway is no subnet of ours
        ("10.0.0.9", "10.255.255.255"),  # a point-to-point link has no broadcast
        ("fd00::1", None),
    ],
)
def test_the_broadcast_of_the_boxs_subnet(tmp_path: Path, address: str, broadcast: str | None) -> None:
    table = tmp_path / "route"
    table.write_text(TABLE, encoding="ascii")
    assert subnet_broadcast(address, table) == broadcast


def test_where_the_table_of_routes_cannot_be_read_there_is_none(tmp_path: Path) -> None:
    assert subnet_broadcast("192.168.1.20", tmp_path / "nothing") is None


@pytest.mark.slow
def test_a_box_on_a_network_of_its_own_hears_it(tmp_path: Path) -> None:
    """Two network namespaces with a cable between them: the box's neighbour entry is gone, as when it slept for long."""
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("this needs root on Linux, and the program ip")
    here, box = f"hpw{os.getpid()}a", f"hpw{os.getpid()}b"

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True, timeout=30)

    try:
        try:
            ip("netns", "add", here)
            ip("netns", "add", box)
            ip("-n", here, "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", box)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"this system lets nobody here lay a cable: {error.stderr.decode()[-200:]}")
        for name, link, address in ((here, "v0", "10.77.1.1/24"), (box, "v1", "10.77.1.20/24")):
            ip("-n", name, "addr", "add", address, "broadcast", "+", "dev", link)
            ip("-n", name, "link", "set", link, "up")
        heard = _heard(here, box)
    finally:
        for name in (here, box):
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("netns", "delete", name)
    assert heard == ["10.77.1.20", "10.77.1.255"]  # the limited broadcast has no way out where there is no default route


def _heard(here: str, box: str) -> list[str]:
    """The addresses at which the box heard the packet that the other side sent by its own knowledge of the network."""
    listen = """
        import socket, sys
        socks = []
        for host in ("10.77.1.20", "10.77.1.255"):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); sock.bind((host, 9)); sock.settimeout(20); socks.append((host, sock))
        print("ready", flush=True)
        print(*[host for host, sock in socks if len(sock.recv(2000)) == 102])
    """
    send = f"from homeport.backends.wake import Waker; w = Waker('box', '{MAC}', '10.77.1.20'); assert w.send() >= 2, w.trouble"
    with subprocess.Popen(["ip", "netns", "exec", box, sys.executable, "-c", textwrap.dedent(listen)], stdout=subprocess.PIPE, text=True) as listener:
        try:
            assert listener.stdout is not None
            assert listener.stdout.readline() == "ready\n"
            subprocess.run(["ip", "netns", "exec", here, sys.executable, "-c", send], check=True, timeout=30)
            return listener.communicate(timeout=30)[0].split()
        finally:
            listener.kill()
