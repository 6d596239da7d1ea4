"""The series of `/metrics`: their names, labels and buckets, and how figures of several workers become one."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

TOKENS = ("prompt", "completion", "cached", "reasoning")
OUTCOMES = frozenset(  # of an attempt; any other word counts as `other`
    ("ok", "unreachable", "refused", "stalled", "broke", "rejected", "client_left", "full", "open", "failed", "revoked", "cut", "barred", "loop")
)
OTHER = "other"
NONE = "none"  # where no backend was asked


class Family(Struct, frozen=True):
    """One name of `/metrics`. `labels` are label names; `buckets` upper bounds, in the unit of the name.

    `workers` says what several workers' figures make: their sum, the greatest or the least. Counters and histograms are always added up.
    """

    name: str  # without `_total`
    kind: Literal["counter", "gauge", "histogram", "info"]
    help: str
    labels: tuple[str, ...] = ()
    workers: Literal["sum", "max", "min"] = "sum"
    buckets: tuple[float, ...] = ()


FIRST_TOKEN = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0)
PER_TOKEN = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
DURATION = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
WAIT = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0)

FAMILIES = (
    Family("homeport_requests", "counter", "Requests that were settled.", ("dialect", "model", "backend", "outcome")),
    Family("homeport_tokens", "counter", "Tokens; cached ones are among those of the prompt, reasoning among the completion's.", ("model", "backend", "kind")),
    Family("homeport_time_to_first_token_seconds", "histogram", "From the request to the first token.", ("model", "backend"), buckets=FIRST_TOKEN),
    Family("homeport_time_per_output_token_seconds", "histogram", "Between two tokens of one answer, its mean.", ("model", "backend"), buckets=PER_TOKEN),
    Family("homeport_request_duration_seconds", "histogram", "From the request to the end of its answer.", ("model", "backend"), buckets=DURATION),
    Family("homeport_queue_wait_seconds", "histogram", "Waited for a place at a backend, 0 where one was free.", ("backend",), buckets=WAIT),
    Family("homeport_attempts", "counter", "Tries at a backend, by what they came to.", ("backend", "outcome")),
    Family("homeport_failovers", "counter", "Tries after which another backend or model was tried, by why.", ("backend", "reason")),
    Family("homeport_retries_refused", "counter", "Further tries that the retry budget refused."),
    Family("homeport_probes", "counter", "Free probes: good, bad, or unsure (such as a model that loads).", ("backend", "result")),
    Family("homeport_leases_in_flight", "gauge", "Places taken.", ("backend",), "max"),  # workers share them, so each says all
    Family("homeport_leases_limit", "gauge", "Places there are.", ("backend",), "max"),
    Family("homeport_leases_zombies", "gauge", "Places of answers that were given up and may still be computed.", ("backend",)),
    Family("homeport_queue_length", "gauge", "Requests that wait for a place.", ("backend",)),
    Family("homeport_backend_state", "gauge", "1 for the state that a backend is in, 0 for the others.", ("backend", "state"), "max"),
    Family("homeport_backend_first_token_seconds", "gauge", "Moving average of the time to the first token.", ("backend",), "max"),
    Family("homeport_backend_tokens_per_second", "gauge", "Moving average of the speed of an answer.", ("backend",), "min"),
    Family("homeport_backend_cold_start_seconds", "gauge", "How long the backend took to load when it came back last.", ("backend",), "max"),
    Family("homeport_fleet_together", "gauge", "1 while the fleet's store answers, 0 while this gateway keeps to its share.", (), "min"),
    Family("homeport_fleet_gateways", "gauge", "Gateways of the fleet, as they were seen last.", (), "max"),
    Family("homeport_fleet_round_trip_seconds", "gauge", "Moving average of what the fleet's store takes to answer.", (), "max"),
    Family("homeport_journal_trouble", "gauge", "1 while receipts cannot be written.", (), "max"),
    Family("homeport_journal_waiting_lines", "gauge", "Lines of the journal that wait in memory."),
    Family("homeport_receipts_lost", "counter", "Receipts dropped because more waited than memory may hold."),
    Family("homeport_notifications_waiting", "gauge", "Notifications that are not delivered yet.", (), "max"),
    Family("homeport_tunnel_up", "gauge", "1 while things come through the tunnel from end to end.", (), "max"),
    Family("homeport_build", "info", "What runs.", ("version", "python"), "max"),
    Family("homeport_uptime_seconds", "gauge", "Since the start.", (), "max"),
    Family("homeport_workers", "gauge", "Processes that this page is about."),
    Family("process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes."),
    Family("process_resident_memory_bytes", "gauge", "Resident memory size in bytes."),
    Family("process_start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds.", (), "min"),
    Family("process_cpu_seconds", "counter", "Total user and system CPU time spent in seconds."),
    Family("process_open_fds", "gauge", "Number of open file descriptors."),
    Family("process_max_fds", "gauge", "Maximum number of open file descriptors."),
)
BY_NAME = {family.name: family for family in FAMILIES}
