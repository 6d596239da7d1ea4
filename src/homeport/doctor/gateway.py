"""Does the gateway run, is its port free for it, and what does it say of itself?"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from homeport.doctor import web
from homeport.doctor.case import Case
from homeport.doctor.diagnosis import Diagnosis, unsure, well, wrong
from homeport.errors import BackendError
from homeport.settings import address, is_loopback
from homeport.storage.keys import Keys

RUNNING, PORT, VERSION, BACKENDS, RECORDS, KEYS = "gateway.running", "gateway.port", "gateway.version", "gateway.backends", "gateway.records", "gateway.keys"
FLEET = "fleet.store"
OURS = "homeport"


class Gateway(Struct, frozen=True):
    """What a look at the gateway's address showed."""

    fault: str = ""  # why nothing answered
    status: int = 0
    report: dict[str, Any] = {}  # its `/status`
    held: tuple[str, int] | None = None  # who listens at the port
    unbindable: int = 0  # the errno of an attempt to listen there; 0 where it may

    @property
    def runs(self) -> bool:
        """Whether a Homeport told how it is."""
        return "verdict" in self.report

    @property
    def backends(self) -> list[dict[str, Any]]:
        """Each backend as it says."""
        found = self.report.get("backends")
        return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []

    @property
    def speeds(self) -> Mapping[str, float]:
        """Tokens a second by backend, where they were measured."""
        return {str(row.get("name")): float(row["tok_per_s"]) for row in self.backends if isinstance(row.get("tok_per_s"), int | float)}


def look(case: Case) -> Gateway:
    """Ask it for `/status`; where nothing answers, see whether it could listen."""
    try:
        if case.gateway is None:
            return Gateway(fault="its address is not known")
        page = web.fetch(f"{case.gateway}/status", {"authorization": f"Bearer {case.key}"} if case.key else {})
    except BackendError as error:
        if not case.here:
            return Gateway(str(error))
        host, port = address(case.settings.server.listen)
        held = case.holder(port) if port else None
        return Gateway(str(error), held=held, unbindable=_bind(host, port) if port else 0)
    return Gateway("", page.status, page.fields if page.status == 200 else {})


def _bind(host: str, port: int) -> int:
    """The errno of listening there for a moment; 0 where that works."""
    try:
        family, kind, _, _, place = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, kind) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(place)
            sock.listen(1)
    except OSError as error:
        return error.errno or errno.EADDRNOTAVAIL
    return 0


def judge(case: Case, seen: Gateway, unreachable: set[str]) -> Iterator[Diagnosis]:
    """What follows. `unreachable`: backends that are told about already."""
    yield from _keys(case)
    if seen.runs:
        yield from _running(case, seen, unreachable)
    elif seen.fault:
        yield from _absent(case, seen)
    elif seen.status in (401, 403):
        told = "does not know the key in HOMEPORT_KEY" if case.key else "wants a key"
        yield unsure(
            RUNNING, f"The gateway at {case.gateway} {told}, so it was not looked into", "", "make a key: homeport keys add NAME; then set HOMEPORT_KEY to it"
        )
    else:
        yield wrong(
            RUNNING,
            f"What answers at {case.gateway} is no Homeport (HTTP {seen.status})",
            "a gateway cannot listen there",
            'stop it, or choose another port: listen = "127.0.0.1:8462" under [server]',
        )


def _keys(case: Case) -> Iterator[Diagnosis]:
    if not is_loopback(case.settings.server.listen) and not Keys(case.settings.server.data).exist:
        yield wrong(
            KEYS,
            f"{case.settings.server.listen} can be reached from other machines, and there is no key",
            "the gateway will not start",
            "homeport keys add NAME",
        )


def _fleet(found: Any) -> Iterator[Diagnosis]:
    """How it stands with the gateways that share its backends, where it does."""
    if not isinstance(found, dict):
        return
    if found.get("state") == "together":
        yield well(FLEET, f"The fleet's store at {found.get('store')} answers in {found.get('round_trip_ms')} ms, for {found.get('gateways')} gateways")
        return
    yield wrong(
        FLEET,
        f"The fleet's store at {found.get('store')} cannot be used: {found.get('reason')}",
        f"this gateway keeps to its share, one of {found.get('gateways')}, of every max_in_flight and limit",
        "start the store, or see to its address and password: url under [fleet]; the gateway comes back to it by itself",
    )


def _running(case: Case, seen: Gateway, unreachable: set[str]) -> Iterator[Diagnosis]:
    version = seen.report.get("version")
    yield well(RUNNING, f"The gateway answers at {case.gateway}: Homeport {version}")
    if version != case.version:
        yield unsure(VERSION, f"The gateway runs {version}, and this command is of {case.version}", "it was updated while it ran", "restart the gateway")
    if isinstance(trouble := seen.report.get("trouble"), str):
        yield wrong(
            RECORDS, f"The gateway has trouble: {trouble}", "receipts wait in memory", "make room there, or give back the right to write; it goes on by itself"
        )
    yield from _fleet(seen.report.get("fleet"))
    for row in seen.backends:
        name, state, reason = str(row.get("name")), row.get("state"), str(row.get("reason") or "no reason given")
        if state in ("open", "down") and name not in unreachable:
            log = (
                f"engine-{name}.log in {case.settings.server.data} has its last words" if row.get("kind") in ("engine", "pilot") else "homeport logs --last 50"
            )
            yield wrong(BACKENDS, f"{name} is {state}: {reason}", "requests go to other routes, or fail", log)
        elif state in ("loading", "degraded", "drained"):
            yield unsure(BACKENDS, f"{name} is {state}: {reason}", "", "homeport status")


def _absent(case: Case, seen: Gateway) -> Iterator[Diagnosis]:
    if not case.here:
        yield wrong(
            RUNNING, f"No gateway answers at {case.gateway}: {seen.fault}", "HOMEPORT_URL says that one is there", "start it there, or unset HOMEPORT_URL"
        )
        return
    listen = case.settings.server.listen
    host, port = address(listen)
    other = f'listen = "{host or "127.0.0.1"}:{port + 1 if port < 65535 else port - 1}" under [server]'
    if seen.held is not None and seen.held[0] == OURS:
        what = f"A gateway (pid {seen.held[1]}) listens at {listen} and does not answer: {seen.fault}"
        yield wrong(RUNNING, what, "it hangs, or is overloaded", f"kill {seen.held[1]}, and start it again: homeport up")
    elif seen.held is not None or seen.unbindable == errno.EADDRINUSE:
        who = f"{seen.held[0]} (pid {seen.held[1]})" if seen.held else "another program"
        yield wrong(PORT, f"Port {port} is held by {who}", "the gateway cannot listen there", f"stop it, or choose another port: {other}")
    elif seen.unbindable == errno.EACCES:
        yield wrong(
            PORT,
            f"This user may not listen at port {port}",
            "ports below 1024 are the administrator's",
            f"choose another port: {other.replace(str(port + 1), '8461')}",
        )
    elif seen.unbindable:
        yield wrong(PORT, f"{host} is no address of this machine", "the gateway cannot listen there", 'listen = "127.0.0.1:8461" under [server]')
    else:
        yield unsure(RUNNING, f"No gateway runs at {listen}" if case.gateway else f"Whether a gateway runs is not known: {seen.fault}", "", "homeport up")
