"""What `/metrics` reads at the moment of a scrape: how the backends, the journal and the outbox stand."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from homeport.monitor.measures import Figure
from homeport.vocabulary import STATES, FleetStanding, Standing


class Written(Protocol):
    """What there is to know of a journal."""

    trouble: str | None
    lost: int  # receipts

    @property
    def waiting(self) -> int:
        """Lines."""


def of_gateway(version: str, standings: Iterable[Standing], started_at: float, journal: Written, held_back: int) -> Iterator[Figure]:
    """What one process reads of itself. `started_at`: seconds since the epoch; `held_back`: retries that the budget refused."""
    yield "homeport_build", (version, ".".join(map(str, sys.version_info[:3]))), 1
    yield "homeport_workers", (), 1
    yield "homeport_uptime_seconds", (), max(0.0, time.time() - started_at)
    yield "homeport_retries_refused", (), held_back
    yield "homeport_journal_trouble", (), float(journal.trouble is not None)
    yield "homeport_journal_waiting_lines", (), journal.waiting
    yield "homeport_receipts_lost", (), journal.lost
    yield from of_backends(standings)


def of_outbox(path: Path) -> Iterator[Figure]:
    """How many deliveries wait in the outbox that all workers share; nothing where it cannot be read. Not for the event loop."""
    import sqlite3  # only with a page

    if not path.exists():
        return
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0.2)) as outbox:
        (waiting,) = outbox.execute("SELECT count(*) FROM deliveries").fetchone()
        yield "homeport_notifications_waiting", (), waiting


def of_tunnel(up: bool | None) -> Iterator[Figure]:
    """Whether the tunnel is up; nothing where there is none."""
    if up is not None:
        yield "homeport_tunnel_up", (), float(up)


def of_fleet(standing: FleetStanding | None) -> Iterator[Figure]:
    """Whether the store of the fleet is there, for whom it counts, and how long it takes; nothing where this gateway shares with nobody."""
    if standing is not None:
        yield "homeport_fleet_together", (), float(standing.state == "together")
        yield "homeport_fleet_gateways", (), standing.gateways
        if standing.round_trip_ms is not None:
            yield "homeport_fleet_round_trip_seconds", (), standing.round_trip_ms / 1000


def of_backends(standings: Iterable[Standing]) -> Iterator[Figure]:
    """The gauges of each backend; its state as a place in STATES, so that the worst that a worker sees is the greatest."""
    for standing in standings:
        backend = (standing.name,)
        yield "homeport_leases_in_flight", backend, standing.in_flight
        yield "homeport_leases_limit", backend, standing.max_in_flight
        yield "homeport_leases_zombies", backend, standing.zombies
        yield "homeport_queue_length", backend, standing.queued
        if standing.state in STATES:
            yield "homeport_backend_state", backend, STATES.index(standing.state)
        if standing.ttft_ms is not None:
            yield "homeport_backend_first_token_seconds", backend, standing.ttft_ms / 1000
        if standing.tok_per_s is not None:
            yield "homeport_backend_tokens_per_second", backend, standing.tok_per_s
        if standing.cold_start_s is not None:
            yield "homeport_backend_cold_start_seconds", backend, standing.cold_start_s
