"""`python -m bench`: measures Homeport beside nginx, bare, and with PEERS=1 beside other gateways, and prints the table."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from bench import cores, counting, figures, lifetime, pacing, rows, translating
from bench.engine import engine
from bench.figures import Row, as_json, print_figures, print_row
from bench.peers import start_peers
from bench.profile import profile
from bench.programs import Bench, Homeport, Missing, prepare_homeport, start_homeport, start_nginx
from bench.rows import Field, Plan

QUIET = 0.03  # share of a core that others may use before the figures are called disturbed
ROWS = ("whole", "unassembled", "streams", "assembled", "latency", "paced", "translated", "counting", "start", "memory", "engine")


def arguments() -> argparse.Namespace:
    """What was asked for on the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures Homeport beside nginx. PEERS=1 adds other gateways. See bench/README.md.")
    parser.add_argument("--quick", action="store_true", help="a minute at most: fewer and shorter rounds; figures are rough")
    parser.add_argument("--full", action="store_true", help="10,000 paced streams instead of 2,000, a token every 100 ms")
    parser.add_argument("--interval-ms", type=float, help="between two tokens of a paced stream: 20 unless given, or 100 with --full")
    parser.add_argument("--only", nargs="+", choices=ROWS, metavar="NAME", help=f"rows to run: {' '.join(ROWS)}")
    parser.add_argument("--seconds", type=float, help="length of one round")
    parser.add_argument("--rounds", type=int, help="rounds of each program")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured there")
    parser.add_argument("--homeport", type=Path, default=Path(sys.prefix) / "bin/homeport", help="the executable under test")
    parser.add_argument("--gguf", type=Path, help="the model of the engine row; the bundled one unless given")
    parser.add_argument("--profile", choices=("whole", "streams", "assembled", "paced"), help="no table: where Homeport's time goes under that load")
    return parser.parse_args()


def plan(chosen: argparse.Namespace, files: int) -> Plan:
    """How long everything takes: about six minutes, or one."""
    made = Plan()
    if chosen.quick:
        made = Plan(2, 0.7, 0.2, 2, 10_000, 1000, 2000, 1, 800, 110, 0.7)
    if chosen.full:
        made.streams, made.ramp_ms, made.paced_tokens, made.paced_rounds, made.interval_us = min(10_000, files * 45 // 100), 4000, 100, 1, 100_000
    if chosen.interval_ms:
        made.interval_us, made.paced_tokens = int(chosen.interval_ms * 1000), max(20, int(made.paced_tokens * made.interval_us / 1000 / chosen.interval_ms))
    made.seconds = chosen.seconds or made.seconds
    made.rounds = chosen.rounds or made.rounds
    return made


def take_part(field: Field, chosen: argparse.Namespace, files: int) -> Homeport | None:
    """Start nginx, Homeport and the peers; note who is absent and why."""
    bench, homeport = field.bench, None
    try:
        field.nginx = start_nginx(bench, files)
    except Missing as why:
        field.absent["nginx"] = str(why)
    streams = ["s40", "s200", "p200", f"p{field.plan.paced_tokens}"]
    try:
        homeport = prepare_homeport(bench, chosen.homeport, sorted(set(streams)), 16384 if chosen.full else 4096)
    except Missing as why:
        field.absent["homeport"] = str(why)
    return homeport


def run(field: Field, chosen: argparse.Namespace, homeport: Homeport | None) -> list[Row]:
    """Run the chosen rows, printing each one's details as it is done."""
    size = field.plan

    def paced_row() -> Row:
        must, aim = (None, 10) if chosen.full else (50, None)
        return pacing.paced(field, size.streams, size.ramp_ms, size.paced_tokens, must, aim)

    under_load: dict[str, Callable[[], Row]] = {
        "whole": lambda: rows.whole(field), "unassembled": lambda: rows.unassembled(field), "streams": lambda: rows.streams(field),
        "assembled": lambda: rows.assembled(field), "latency": lambda: rows.latency(field), "paced": paced_row,
        "translated": lambda: translating.translated(field), "counting": lambda: counting.counting(field, homeport),
    }  # fmt: skip
    alone: dict[str, Callable[[], Row]] = {
        "start": lambda: lifetime.start(field, homeport), "memory": lambda: lifetime.memory(field, homeport),
        "engine": lambda: engine(field, chosen.homeport, chosen.gguf),
    }  # fmt: skip
    wanted = chosen.only or [name for name in ROWS if not (chosen.quick and name in ("unassembled", "translated", "counting"))]
    done: list[Row] = []

    def do(each: dict[str, Callable[[], Row]]) -> None:
        for name, measure in each.items():
            if name in wanted:
                began = time.monotonic()
                row = measure()
                row.remarks.append(f"[{time.monotonic() - began:.0f} s]")
                done.append(row)
                print(print_row(row), flush=True)

    if any(name in wanted for name in under_load):
        start_under_load(field, homeport)
    do(under_load)
    for program in (field.homeport, *field.peers):
        if program is not None and program.pid:
            field.bench.stop_pid(program.pid)
    do(alone)
    return done


def start_under_load(field: Field, homeport: Homeport | None) -> None:
    """Start Homeport, and the peers where they are wanted."""
    if homeport is not None:
        try:
            field.homeport = start_homeport(homeport)
        except Missing as why:
            field.absent["homeport"] = str(why)
    if os.environ.get("PEERS") == "1":
        field.peers, why_not = start_peers(field.bench)
        field.absent.update(why_not)
    for name, why in field.absent.items():
        field.bench.say(f"{name} takes no part: {why}")


def interrupted(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Measure, print, write; 0 when it ran, whatever the figures."""
    chosen = arguments()
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, interrupted)
    files = cores.raise_open_files()
    bench = Bench(cores.pick(), lambda text: print(f"  {text}", file=sys.stderr, flush=True))
    began = time.monotonic()
    try:
        os.sched_setaffinity(0, {bench.cores.load})
        print(f"{cores.describe()}; {bench.cores}; {files:,} open files")
        bench.compile()
        size = plan(chosen, files)
        field = Field(bench, size, bench.start_mock(size.interval_us))
        homeport = take_part(field, chosen, files)
        if chosen.full and size.streams < 10_000:
            print(f"--full: {size.streams:,} streams, for a gateway needs two open files each, and some to spare, and {files:,} are allowed (ulimit -n)")
        if field.nginx is not None:
            print(f"nginx {field.nginx.version}, 1 worker, keep-alive; {size.rounds} rounds of {size.seconds:g} s, interleaved; mock latency 0 unless paced")
        if chosen.profile:
            start_under_load(field, homeport)
            return profile(field, chosen.profile)
        done = run(field, chosen, homeport)
        print(f"\n{print_figures(done)}\n\n{time.monotonic() - began:.0f} s. Ratios are medians of rounds side by side; `this run` is their least and most.")
        disturbed = [one[key] for row in done for one in row.raw for key in ("others_busy", "load_others") if key in one]
        if disturbed and figures.median(disturbed) > QUIET:
            print(
                f"Other programs took {figures.median(disturbed):.0%} of the two cores (median): only the ratios by CPU time say much. Run it again in quiet."
            )
        if chosen.json:
            chosen.json.write_text(json.dumps({"machine": cores.describe(), "cores": str(bench.cores), "rows": as_json(done)}, indent=1))
    except Missing as why:
        print(f"bench: {why}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nbench: interrupted; everything it started is being stopped", file=sys.stderr)
        return 130
    finally:
        bench.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
