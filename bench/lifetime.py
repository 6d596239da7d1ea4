"""The rows of Homeport's own life: how fast it starts, what it weighs, and whether it grows."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time

from bench.cores import rss_mb
from bench.figures import Figure, Row, median, number, spread
from bench.load import Load, closed_loop, measured
from bench.programs import Homeport, Missing, start_homeport
from bench.rows import Field

POLL_S = 0.005


def first_200(port: int, child: subprocess.Popen[bytes], began: float, timeout_s: float = 15.0) -> float:
    """Seconds from `began` to the first 200 on /health, asked each 5 ms. Raises Missing."""
    request = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    while time.perf_counter() - began < timeout_s:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 2) as connection:
            connection.sendall(request)
            if connection.recv(64).startswith(b"HTTP/1.1 200"):
                return time.perf_counter() - began
        if child.poll() is not None:
            raise Missing(f"it ended with code {child.returncode} before it answered")
        time.sleep(POLL_S)
    raise Missing(f"no 200 on /health within {timeout_s:g} s")


def start(field_: Field, homeport: Homeport | None) -> Row:
    """Process start to the first 200 on /health, and the resident memory 2 s later; one openai backend, so no engine."""
    row = Row("start", "`homeport up` with one openai backend, started again and again on the program's core")
    labels = ("`homeport up` without engine: exec to first 200 on /health", "`homeport up` without engine: idle RSS")
    if homeport is None:
        row.figures += [Figure(label, None, reason=field_.absent.get("homeport", "")) for label in labels]
        return row
    bench, took, stopped, weights = field_.bench, [], [], []
    for round_ in range(field_.plan.starts):
        began = time.perf_counter()
        child = bench.start(homeport.command(), bench.cores.program, log="start.log", stdout=subprocess.PIPE, env=homeport.env())
        try:
            took.append(first_200(homeport.port, child, began))
            if round_ == field_.plan.starts - 1:
                time.sleep(2)
                weights.append(rss_mb(child.pid))
        except Missing as why:
            row.remarks.append(f"{why}: {bench.log_tail('start.log')}")
        finally:
            before = time.perf_counter()
            bench.stop(child)
            stopped.append(time.perf_counter() - before)
    row.remarks.append(f"starts, s: {' '.join(f'{one:.3f}' for one in took)}; stop after SIGTERM, s: {spread(stopped)}")
    row.figures.append(_figure(labels[0], took, "s", 0.8, 0.3))
    row.figures.append(_figure(labels[1], weights, "MB", 70, 45))
    return row


def _figure(label: str, values: list[float], unit: str, must: float, aim: float) -> Figure:
    if not values:
        return Figure(label, None, unit, must, aim, True, reason="it did not start")
    return Figure(label, median(values), unit, must, aim, True, min(values), max(values))


def memory(field_: Field, homeport: Homeport | None) -> Row:
    """Resident memory before and after many requests and many callers who leave."""
    plan, bench = field_.plan, field_.bench
    row = Row("memory", f"Memory of a fresh Homeport over {plan.requests:,} requests and {plan.aborted:,} aborted streams")
    label = f"RSS after {plan.requests:,} requests and {plan.aborted:,} aborted streams ÷ before"
    if homeport is None:
        row.figures.append(Figure(label, None, "", 1.1, 1.02, True, reason=field_.absent.get("homeport", "")))
        return row
    program = start_homeport(homeport)
    assert program.pid is not None
    try:
        time.sleep(1)
        weights = {"idle": rss_mb(program.pid)}
        closed_loop(bench, program, Load("whole", 32), 30, 1000)
        measured(bench, program, "abort", "p200", True, [64, 200, 60])
        time.sleep(1)
        weights["after 1,000 requests and 200 aborted streams"] = rss_mb(program.pid)
        sample = closed_loop(bench, program, Load("whole", 32), 60, plan.requests)
        weights["after the requests"] = rss_mb(program.pid)
        left = measured(bench, program, "abort", "p200", True, [64, plan.aborted, 60])
        time.sleep(1)
        open_after = bench.mock_stats()
        time.sleep(1)
        weights["after the aborted streams"] = rss_mb(program.pid)
        alive = closed_loop(bench, program, Load("whole", 4), 10, 100)
    finally:
        bench.stop_pid(program.pid)
    idle, warm, _, last = weights.values()
    row.figures.append(Figure(f"{label} (warm)", last / warm, "", 1.1, 1.02, True))
    row.figures.append(Figure("  · ÷ before any request", last / idle, "", 1.1, 1.02, True))
    row.remarks.append("MB: " + ", ".join(f"{name} {weight:.1f}" for name, weight in weights.items()))
    row.remarks.append(f"{sample.errors} errors in {plan.requests:,} requests, {number(sample.rate)} a second")
    gone = max(1, left.get("left", 1))
    row.remarks.append(
        f"{gone:,} callers left, {number(left.get('rate'))} a second, CPU {number(left['program_cpu'] / gone * 1e6)} µs each; "
        f"upstream streams open 1 s later: {open_after['streams']}; errors in 100 requests afterwards: {alive.errors} {alive.failure}".rstrip()
    )
    row.raw += [{"rss_mb": weights, "mock": open_after, "abort": json.loads(json.dumps(left))}]
    return row
