"""Where Homeport's time goes under one kind of load, sampled with py-spy."""

from __future__ import annotations

import collections
import shutil
import subprocess
import sys
import time
from pathlib import Path

from bench.load import Load, check, closed_loop
from bench.pacing import one_round
from bench.peers import cache_folder
from bench.programs import Missing
from bench.rows import Field

LOADS = {"whole": Load("whole", 32), "streams": Load("s200", 16, stream=True, events=202), "assembled": Load("s40", 32, stream=True, events=42, ask_whole=True)}
SECONDS = 8


def sampler() -> Path:
    """py-spy, in an environment of its own. Raises Missing."""
    folder = cache_folder() / "py-spy"
    executable = folder / "bin/py-spy"
    if not executable.exists():
        shutil.rmtree(folder, ignore_errors=True)
        for command in ([sys.executable, "-m", "venv", str(folder)], [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "py-spy"]):
            made = subprocess.run(command, capture_output=True, text=True, check=False)
            if made.returncode:
                raise Missing(f"py-spy could not be installed: {made.stderr.strip()[-200:]}")
    return executable


def profile(field: Field, name: str) -> int:
    """Put Homeport under that load, sample it, and print functions by their own time and by all below them."""
    program, bench = field.homeport, field.bench
    if program is None or program.pid is None:
        raise Missing(field.absent.get("homeport", "Homeport did not start"))
    found = bench.folder / "stacks"
    executable = sampler()
    load = LOADS.get(name)
    wrong = check(program, load) if load else ""
    if wrong:
        raise Missing(wrong)
    command = [str(executable), "record", "--pid", str(program.pid), "--rate", "500", "--duration", str(SECONDS), "--format", "raw", "--output", str(found), "--nonblocking", "--native"]
    if load:
        closed_loop(bench, program, load, 0.5)
    watch = bench.start(command, bench.cores.load, log="py-spy.log")
    time.sleep(0.3)
    if load:
        sample = closed_loop(bench, program, load, SECONDS)
        print(f"{name}: {sample.rate:,.0f} answers/s, {sample.cpu_us or 0:.1f} µs of CPU each, {sample.errors} errors (while being sampled)")
    else:
        result = one_round(field, program, field.plan.streams, 1000, SECONDS * 1000 * 1000 // field.plan.interval_us)
        print(f"{name}: transit {result.get('transit')}")
    watch.wait(30)
    if not found.exists():
        raise Missing(f"py-spy wrote nothing: {bench.log_tail('py-spy.log')}")
    print(summary(found.read_text()))
    kept = Path(f"bench/results/{name}.stacks")
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(found, kept)
    print(f"all stacks, for a flame graph: {kept}")
    return 0


def summary(stacks: str, shown: int = 40) -> str:
    """Functions by own time, then by time with what they call, in percent of all samples."""
    own: collections.Counter[str] = collections.Counter()
    below: collections.Counter[str] = collections.Counter()
    total = 0
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        total += int(count)
        own[frames[-1]] += int(count)
        for frame in set(frames):
            below[frame] += int(count)
    lines = [f"{total} samples", f"{'own':>7} {'with callees':>13}  by own time"]
    lines += [f"{own[name] / total:7.1%} {below[name] / total:13.1%}  {name}" for name, _ in own.most_common(shown)]
    lines.append(f"{'own':>7} {'with callees':>13}  by time with what is called")
    lines += [f"{own[name] / total:7.1%} {below[name] / total:13.1%}  {name}" for name, _ in below.most_common(shown)]
    return "\n".join(lines)
