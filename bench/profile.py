"""Where Homeport's time goes under one kind of load, sampled with py-spy."""

from __future__ import annotations

import collections
import re
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
    how = ["--rate", "250", "--duration", str(SECONDS), "--format", "raw", "--native"]
    command = [str(executable), "record", "--pid", str(program.pid), *how, "--output", str(found)]
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


def summary(stacks: str, shown: int = 30) -> str:
    """Percent of the event loop's samples: by Python function with the C it calls, by line, by C function, and with everything below."""
    views: dict[str, collections.Counter[str]] = {name: collections.Counter() for name in ("function", "line", "native", "below")}
    total = 0
    for text in stacks.splitlines():
        stack, _, number = text.rpartition(" ")
        frames, count = stack.split(";"), int(number)
        if any("acquire_lock" in frame or "Thread._bootstrap" in frame for frame in frames):
            continue  # another thread, waiting
        total += count
        python = [frame for frame in frames if ".py:" in frame]
        if python:
            views["function"][_without_line(python[-1])] += count
            views["line"][python[-1]] += count
        views["native"][frames[-1]] += count
        for frame in {_without_line(frame) for frame in python}:
            views["below"][frame] += count
    titles = {
        "function": "by Python function, with the C code it calls", "line": "by line, with the C code it calls",
        "native": "by innermost function, Python or C", "below": "by Python function, with everything it calls",
    }  # fmt: skip
    lines = [f"{total} samples of the event loop"]
    for name, counted in views.items():
        lines += ["", titles[name], *(f"{count / max(1, total):7.1%}  {frame}" for frame, count in counted.most_common(shown))]
    return "\n".join(lines)


def _without_line(frame: str) -> str:
    return re.sub(r":\d+\)$", ")", frame)
