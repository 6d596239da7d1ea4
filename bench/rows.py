"""The rows under closed-loop load: whole replies, streams, assembled replies, and latency at one client."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.cores import rss_mb
from bench.figures import Figure, Row, median, number, ratio, spread
from bench.load import Load, Sample, check, closed_loop
from bench.programs import Bench, Program

PEER_TARGETS = {"vllm-router": (1.5, 2.5), "tensorzero": (3.0, 6.0), "litellm": (150.0, 300.0)}
COLUMNS = ("program", "answers/s", "CPU µs each", "p50 µs", "p99 µs", "uses its core", "load's core", "others on both", "RSS MB", "errors")


@dataclass
class Plan:
    """How long and how often everything is measured."""

    rounds: int = 5
    seconds: float = 2.0
    warm_s: float = 0.4
    starts: int = 7
    requests: int = 100_000
    aborted: int = 10_000
    streams: int = 2000
    paced_rounds: int = 2
    ramp_ms: int = 1500
    paced_tokens: int = 250
    engine_s: float = 3.0
    interval_us: int = 20_000


@dataclass
class Field:
    """Who takes part in a run. `absent` says why somebody does not."""

    bench: Bench
    plan: Plan
    direct: Program
    nginx: Program | None = None
    homeport: Program | None = None
    peers: list[Program] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)

    def programs(self, peers: bool = True, direct: bool = True) -> list[Program]:
        found = [self.direct] if direct else []
        found += [one for one in (self.nginx, self.homeport) if one is not None]
        return found + (self.peers if peers else [])


def in_rounds(field_: Field, load: Load, programs: list[Program], row: Row) -> dict[str, list[Sample]]:
    """Check each program's answer, then measure them in turn, round by round. Who answers wrongly is left out, with a remark."""
    plan, taking_part = field_.plan, []
    for program in programs:
        wrong = check(program, load)
        field_.bench.check_mock()
        if wrong:
            row.remarks.append(f"{program.name} is left out: {wrong}")
            continue
        closed_loop(field_.bench, program, load, plan.warm_s)
        taking_part.append(program)
    samples: dict[str, list[Sample]] = {program.name: [] for program in taking_part}
    for _ in range(plan.rounds):
        for program in taking_part:
            samples[program.name].append(closed_loop(field_.bench, program, load, plan.seconds))
    fill(row, samples, {program.name: rss_mb(program.pid) for program in taking_part if program.pid})
    return samples


def fill(row: Row, samples: dict[str, list[Sample]], weights: dict[str, float]) -> None:
    """A line for each program, and a remark for each failure."""
    row.columns = COLUMNS
    for name, found in samples.items():
        cpu = [one.cpu_us for one in found if one.cpu_us is not None]
        errors = sum(one.errors for one in found)
        used, loads, others, beside = (median(getattr(one, key) for one in found) for key in ("program_busy", "load_busy", "others_busy", "load_others"))
        row.lines.append((
            name, spread([one.rate for one in found]), spread(cpu), spread([one.p50_us for one in found]), number(median(one.p99_us for one in found)),
            f"{used:.0%}" if name != "direct" else "-", f"{loads:.0%}", f"{others:.0%} {beside:.0%}", number(weights.get(name)), str(errors),
        ))  # fmt: skip
        failure = next((one.failure for one in found if one.failure), "")
        if failure:
            row.remarks.append(f"{name}: {failure}")
        row.raw += [{"program": one.program, **one.raw} for one in found]


def rates(samples: dict[str, list[Sample]], name: str) -> list[float]:
    return [one.rate for one in samples.get(name, [])]


def cpus(samples: dict[str, list[Sample]], name: str) -> list[float]:
    return [one.cpu_us or 0.0 for one in samples.get(name, [])]


def cpu_ratio(samples: dict[str, list[Sample]], label: str, other: str = "nginx") -> Figure:
    """How the CPU time of an answer compares: the other's ÷ Homeport's, so that more is better, like the throughput above it."""
    return ratio(f"  · the same by CPU time ({label})", cpus(samples, other), cpus(samples, "homeport"), must=None, aim=None)


def absent(field_: Field, figure: Figure) -> Figure:
    """Put the reason beside a figure that has no value."""
    if figure.value is None:
        figure.reason = "; ".join(f"{name}: {why}" for name, why in field_.absent.items() if name in ("nginx", "homeport")) or figure.reason
    return figure


def whole(field_: Field) -> Row:
    """Whole replies at 32 clients."""
    row = Row("whole", "Whole replies, 32 clients: 300-byte request, 400-byte reply, instant mock")
    samples = in_rounds(field_, Load("whole", 32), field_.programs(), row)
    homeport = rates(samples, "homeport")
    row.figures.append(absent(field_, ratio("requests/s, 32 clients, one core, ÷ nginx", homeport, rates(samples, "nginx"), must=0.3, aim=0.5)))
    row.figures.append(cpu_ratio(samples, "nginx ÷ Homeport"))
    for peer in field_.peers:
        must, aim = PEER_TARGETS.get(peer.name, (None, None))
        row.figures.append(ratio(f"  ÷ {peer.name} {peer.version}".rstrip(), homeport, rates(samples, peer.name), must=must, aim=aim))
        row.figures.append(cpu_ratio(samples, f"{peer.name} ÷ Homeport", peer.name))
    for name, why in field_.absent.items():
        if name not in ("nginx", "homeport"):
            must, aim = PEER_TARGETS.get(name, (None, None))
            row.figures.append(Figure(f"  ÷ {name}", None, must=must, aim=aim, reason=why))
    row.remarks.append("Homeport's backend has the default `assemble = true`: it asks for a stream, and the mock answers a whole all the same.")
    return row


def unassembled(field_: Field) -> Row:
    """Whole replies at 32 clients, with `assemble = false`."""
    row = Row("unassembled", "Whole replies, 32 clients, Homeport's backend with assemble = false")
    homeport = field_.homeport
    if homeport is None or field_.nginx is None:
        row.figures.append(absent(field_, Figure("requests/s with assemble = false ÷ nginx", None)))
        return row
    other = Program("homeport", homeport.port, homeport.pid, homeport.key, models=lambda _model: "assistant-unassembled")
    samples = in_rounds(field_, Load("whole", 32), [field_.nginx, other], row)
    row.figures.append(ratio("requests/s with assemble = false ÷ nginx", rates(samples, "homeport"), rates(samples, "nginx"), must=None, aim=None))
    row.figures.append(cpu_ratio(samples, "nginx ÷ Homeport"))
    return row


def streams(field_: Field) -> Row:
    """Streams of 200 chunks at 16 clients."""
    row = Row("streams", "Streams of 200 chunks, 16 clients, each chunk a send() of the mock; nginx with proxy_buffering off")
    samples = in_rounds(field_, Load("s200", 16, stream=True, events=202), field_.programs(), row)
    homeport = rates(samples, "homeport")
    label = "200-chunk streams/s, 16 clients, ÷ unbuffered nginx"
    row.figures.append(absent(field_, ratio(label, homeport, rates(samples, "nginx"), must=0.9, aim=1.2)))
    row.figures.append(cpu_ratio(samples, "nginx ÷ Homeport"))
    for peer in field_.peers:
        row.figures.append(ratio(f"  ÷ {peer.name} {peer.version}".rstrip(), homeport, rates(samples, peer.name), must=None, aim=None))
    return row


def assembled(field_: Field) -> Row:
    """Whole replies that Homeport assembles from a stream of 40 chunks."""
    row = Row("assembled", "Whole replies assembled from a 40-chunk stream, 32 clients; nginx and direct pass that stream on")
    samples = in_rounds(field_, Load("s40", 32, stream=True, events=42, ask_whole=True), field_.programs(peers=False), row)
    label = "whole replies from a 40-chunk stream, requests/s ÷ nginx passing it on"
    row.figures.append(absent(field_, ratio(label, rates(samples, "homeport"), rates(samples, "nginx"), must=0.5, aim=0.9)))
    row.figures.append(cpu_ratio(samples, "nginx ÷ Homeport"))
    return row


def latency(field_: Field) -> Row:
    """The median time of a whole reply at one client."""
    row = Row("latency", "Whole replies, one client")
    samples = in_rounds(field_, Load("whole", 1), field_.programs(), row)
    p50 = {name: [one.p50_us for one in found] for name, found in samples.items()}
    homeport = p50.get("homeport", [])
    figure = ratio("p50 at one client ÷ nginx", homeport, p50.get("nginx", []), must=2, aim=1.3, less_is_better=True)
    row.figures.append(absent(field_, figure))
    for peer in field_.peers:
        label = f"  ÷ {peer.name} {peer.version}".rstrip()
        row.figures.append(ratio(label, homeport, p50.get(peer.name, []), must=None, aim=None, less_is_better=True))
    return row
