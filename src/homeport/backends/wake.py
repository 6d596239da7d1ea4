"""Wake on LAN: the packet that starts a sleeping box, sent when an ask would have liked to go there."""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

log = logging.getLogger("homeport")

PORT = 9  # discard: nobody answers there, and the network card listens for the bytes alone
AGAIN_S = 5.0  # between two packets: one may be lost, and a card wants only one
TRYING_S = 120.0  # how long one burst of asks goes on sending: a box that has not come by then will not
GAP_S = 60.0  # without an ask that wanted it: the next begins a new burst
REST_S = 600.0  # from the start of a burst that brought nothing to the next, where asks never cease
EVERYBODY = "255.255.255.255"
ROUTES = Path("/proc/net/route")  # Linux's; elsewhere the box's subnet is not known

Address = tuple[str, int]


class Waking(Protocol):
    """What can be called when a backend does not answer: a `Waker`, or `NoWake`."""

    def call(self, now: float) -> bool:
        """An ask would like this backend, which does not answer. Whether a packet goes out."""


class NoWake:
    """A backend that has no `wake`."""

    def call(self, now: float) -> bool:
        """Never sends anything."""
        del now
        return False


class Waker:
    """Sends the magic packet for one box, as often as is useful however often it is called.

    `call` is cheap (two comparisons) but for the one time in AGAIN_S that a packet goes out, which a thread of its own does: a name may
    take long to resolve. It never raises and never blocks. A burst of calls sends for TRYING_S; then there is rest until nobody called for
    GAP_S, or REST_S after the burst began.
    """

    def __init__(self, name: str, mac: str, host: str, *, to: Sequence[Address] | None = None) -> None:
        """`mac` is six octets with `:`, `host` the box's name or address; the packet goes `to` these addresses instead of those of its network."""
        self.sent = 0  # packets that were handed to the network
        self.trouble = ""  # why the last could not be sent, if so
        self._name = name
        self._packet = magic(mac)
        self._host = host
        self._to = to
        self._began = self._called = self._last = float("-inf")
        self._sending: threading.Thread | None = None

    def call(self, now: float) -> bool:
        """An ask would like this backend, which does not answer. `now` is a monotonic time in seconds. Whether a packet goes out."""
        quiet, self._called = now - self._called, now
        if quiet >= GAP_S or now - self._began >= REST_S:
            self._began = now
            log.info("%s does not answer: sending it a packet to wake up", self._name)
        elif now - self._began >= TRYING_S:
            return False
        if now - self._last < AGAIN_S or (self._sending is not None and self._sending.is_alive()):
            return False
        self._last = now
        thread = threading.Thread(target=self.send, name=f"wake {self._name}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread to be had: the next call tries again
            return False
        self._sending = thread
        return True

    def send(self) -> int:
        """Send the packet now to every address, and wait for it; to how many it went. Raises nothing."""
        went, faults = 0, []
        for host, port in self._to if self._to is not None else [(host, PORT) for host in around(self._host)]:
            try:
                family = socket.AF_INET6 if ":" in host else socket.AF_INET
                with socket.socket(family, socket.SOCK_DGRAM) as sock:
                    if family == socket.AF_INET:
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                    sock.setblocking(False)
                    sock.sendto(self._packet, (host, port))
                went += 1
            except OSError as error:
                faults.append(f"{host}: {error.strerror or error}")
        self.sent += went
        trouble = "" if went else "; ".join(faults)
        if trouble and trouble != self.trouble:
            log.warning("%s cannot be woken: %s", self._name, trouble)
        self.trouble = trouble
        return went


def waker(name: str, wake: str | None, url: str | None) -> Waking:
    """The waker of a backend, by its settings `wake` and `url`."""
    host = urlsplit(url).hostname if url else None
    return Waker(name, wake, host) if wake and host else NoWake()


def magic(mac: str) -> bytes:
    """The magic packet, 102 bytes: six times FF, then sixteen times the address."""
    return b"\xff" * 6 + bytes.fromhex(mac.replace(":", "")) * 16


def around(host: str) -> list[str]:
    """Where a box may hear the packet: everybody on the network, its subnet's broadcast where that is known, and its own address."""
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)}
    except (OSError, UnicodeError):  # its name is known to nobody while it sleeps
        found = set()
    broadcasts = {broadcast for address in found if ":" not in address and (broadcast := subnet_broadcast(address)) is not None}
    return [EVERYBODY, *sorted(broadcasts), *sorted(found)]


def subnet_broadcast(address: str, routes: Path = ROUTES) -> str | None:
    """The broadcast address of the subnet that an IPv4 address is in, where this machine is in it too; else None."""
    try:
        box = ipaddress.IPv4Address(address)
        rows = [line.split() for line in routes.read_text(encoding="ascii").splitlines()[1:]]
    except (OSError, ValueError):
        return None
    best: ipaddress.IPv4Network | None = None
    for row in rows:
        if len(row) < 8 or row[2] != "00000000":  # through a gateway: not our subnet
            continue
        try:
            network = ipaddress.IPv4Network((_little(row[1]), str(_little(row[7]))))
        except ValueError:
            continue
        if 1 <= network.prefixlen <= 30 and box in network and (best is None or network.prefixlen > best.prefixlen):
            best = network
    return str(best.broadcast_address) if best is not None else None


def _little(word: str) -> ipaddress.IPv4Address:
    """An address as the table of routes has it: hexadecimal, last octet first."""
    return ipaddress.IPv4Address(bytes.fromhex(word)[::-1])
