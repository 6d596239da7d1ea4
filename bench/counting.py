"""The row of counting: Homeport beside itself without the observers of its receipts, which `/metrics` and the rest are made from."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace

from bench.cores import pinned
from bench.figures import Figure, Row, median, number, ratio
from bench.load import Load
from bench.programs import HERE, Homeport, Missing, free_port, start_homeport
from bench.rows import Field, absent, cpus, in_rounds, rates

LABEL = "requests/s with counting ÷ without"


class Uncounted(Homeport):
    """The same program, started by `uncounted.py`."""

    @property
    def python(self) -> str:
        return str(self.executable.parent / "python")

    def command(self) -> list[str]:
        return [self.python, str(HERE / "uncounted.py"), *super().command()[1:]]


def beside(homeport: Homeport) -> Uncounted:
    """One with a port, a folder and a key of its own, and the same configuration otherwise. Raises Missing."""
    data, port, config = homeport.data.with_name("uncounted-data"), free_port(), homeport.config.with_name("uncounted.toml")
    data.mkdir()
    text = homeport.config.read_text().replace(f"127.0.0.1:{homeport.port}", f"127.0.0.1:{port}")
    config.write_text(text.replace(str(homeport.data), str(data)))
    other = Uncounted(homeport.bench, homeport.executable, data, config, port, "")
    other.add_key()
    return other


def counting(field_: Field, homeport: Homeport | None) -> Row:
    """Whole replies at 32 clients, where an answer is cheapest and counting its largest part."""
    row = Row("counting", "Whole replies, 32 clients, Homeport with and without the observers of its receipts")
    if homeport is None or field_.homeport is None:
        row.figures.append(absent(field_, Figure(LABEL, None)))
        return row
    try:
        quiet = beside(homeport)
        other = replace(start_homeport(quiet), name="uncounted")
    except Missing as why:
        row.figures.append(Figure(LABEL, None, reason=str(why)))
        return row
    samples = in_rounds(field_, Load("whole", 32), [field_.homeport, other], row)
    if other.pid:
        field_.bench.stop_pid(other.pid)
    row.figures.append(ratio(LABEL, rates(samples, "homeport"), rates(samples, "uncounted"), must=None, aim=None))
    row.figures.append(ratio("  · the same by CPU time (without ÷ with)", cpus(samples, "uncounted"), cpus(samples, "homeport"), must=None, aim=None))
    _alone(row, quiet, cpus(samples, "homeport"))
    return row


def _alone(row: Row, quiet: Uncounted, answers_us: list[float]) -> None:
    """What the observers cost by themselves, as a share of an answer: two gateways side by side differ by more where others are about."""
    command = [quiet.python, str(HERE / "observing.py"), str(quiet.config)]
    with pinned(quiet.bench.cores.program):
        ran = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **quiet.env()}, check=False, timeout=60)
    label = "observers alone: CPU of a receipt ÷ CPU of an answer"
    if ran.returncode or not answers_us:
        row.figures.append(Figure(label, None, reason=ran.stderr.strip()[-200:] or "not measured"))
        return
    found, answer = json.loads(ran.stdout), median(answers_us)
    row.figures.append(Figure(label, found["all"] / answer))
    row.figures.append(Figure("  · of it for /metrics", found["metrics"] / answer))
    row.remarks.append(
        f"The observers alone: {number(found['all'])} CPU µs a receipt, {number(found['metrics'])} of it for /metrics; an answer {number(answer)}."
    )
