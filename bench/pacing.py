"""The row of paced streams: thousands open at once, a token every 20 ms, and how much later each token comes."""

from __future__ import annotations

from typing import Any

from bench.figures import Figure, Row, median, number
from bench.load import measured
from bench.programs import Program
from bench.rows import Field

COLUMNS = (
    "program", "streams", "tokens/s (expected)", "transit p50 ms", "p99 ms", "max ms", "gap p99 ms", "CPU µs a token", "uses its core",
    "load's core", "others on both", "errors",
)  # fmt: skip


def one_round(field_: Field, program: Program, streams: int, ramp_ms: int, tokens: int) -> dict[str, Any]:
    """Open all streams over the ramp and follow every token to the end."""
    length_ms = tokens * field_.plan.interval_us // 1000
    return measured(field_.bench, program, "paced", f"p{tokens}", True, [streams, ramp_ms, length_ms])


def paced(field_: Field, streams: int, ramp_ms: int, tokens: int, must_ms: float | None, aim_ms: float | None) -> Row:
    """So many paced streams through direct, nginx and Homeport; the p99 that each adds to direct."""
    interval_ms = field_.plan.interval_us / 1000
    title = f"{streams:,} paced streams at {interval_ms:g} ms a token, all open at once; transit is from the mock's send to the client's read"
    row = Row("paced", title, columns=COLUMNS)
    found: dict[str, list[dict[str, Any]]] = {}
    for _ in range(field_.plan.paced_rounds):
        for program in field_.programs(peers=False):
            result = one_round(field_, program, streams, ramp_ms, tokens)
            found.setdefault(program.name, []).append(result)
            row.raw.append({"program": program.name, **result})
    p99: dict[str, list[float]] = {}
    for name, results in found.items():
        good = [one for one in results if one.get("transit")]
        failure = next((one.get("fatal") or one.get("failure") for one in results if one.get("fatal") or one.get("failure")), "")
        if failure:
            row.remarks.append(f"{name}: {failure}")
        if good:
            p99[name] = [one["transit"]["p99"] / 1000 for one in good]
            row.lines.append(_line(name, streams, interval_ms, good))
    for name, must, aim in (("homeport", must_ms, aim_ms), ("nginx", None, None)):
        added = [late - bare for late, bare in zip(p99.get(name, []), p99.get("direct", []), strict=False)]
        label = f"{streams:,} paced streams: added p99" + ("" if name == "homeport" else f", {name}")
        if added:
            row.figures.append(Figure(label, median(added), "ms", must, aim, True, min(added), max(added)))
        else:
            row.figures.append(Figure(label, None, "ms", must, aim, True, reason=field_.absent.get(name, "not measured")))
    row.remarks.append("Mock and load share a core: what they add is in direct, and taken off. With fewer tokens than expected, they were the limit.")
    return row


def _line(name: str, streams: int, interval_ms: float, good: list[dict[str, Any]]) -> tuple[str, ...]:
    def of(*keys: str) -> float:
        values = []
        for one in good:
            value: Any = one
            for key in keys:
                value = (value or {}).get(key) or 0.0
            values.append(float(value))
        return median(values)

    tokens = of("tokens")
    return (
        name, f"{streams:,}", f"{number(of('token_rate'))} ({number(streams * 1000 / interval_ms)})", number(of("transit", "p50") / 1000),
        number(of("transit", "p99") / 1000), number(of("transit", "max") / 1000), number(of("gap", "p99") / 1000),
        number(of("program_cpu") / tokens * 1e6) if tokens and name != "direct" else "-", f"{of('program_busy'):.0%}", f"{of('load_busy'):.0%}",
        f"{of('others_busy'):.0%} {of('load_others'):.0%}",
        str(sum(int(one.get("errors", 0)) for one in good)),
    )  # fmt: skip
