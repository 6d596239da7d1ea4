"""The row of counting: Homeport beside itself without the observers of its receipts, which `/metrics` and the rest are made from."""

from __future__ import annotations

from dataclasses import replace

from bench.figures import Figure, Row, ratio
from bench.load import Load
from bench.programs import HERE, Homeport, Missing, free_port, start_homeport
from bench.rows import Field, absent, cpus, in_rounds, rates

LABEL = "requests/s with counting ÷ without"


class Uncounted(Homeport):
    """The same program, started by `uncounted.py`."""

    def command(self) -> list[str]:
        return [str(self.executable.parent / "python"), str(HERE / "uncounted.py"), *super().command()[1:]]


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
        other = replace(start_homeport(beside(homeport)), name="uncounted")
    except Missing as why:
        row.figures.append(Figure(LABEL, None, reason=str(why)))
        return row
    samples = in_rounds(field_, Load("whole", 32), [field_.homeport, other], row)
    if other.pid:
        field_.bench.stop_pid(other.pid)
    row.figures.append(ratio(LABEL, rates(samples, "homeport"), rates(samples, "uncounted"), must=None, aim=None))
    row.figures.append(ratio("  · the same by CPU time (without ÷ with)", cpus(samples, "uncounted"), cpus(samples, "homeport"), must=None, aim=None))
    return row
