"""The row of translated streams: what a chunk costs a caller of another dialect, beside one that is passed through."""

from __future__ import annotations

from typing import Any

from bench.figures import Figure, Row, median, number, ratio, spread
from bench.load import Load
from bench.pacing import one_round
from bench.programs import Program
from bench.rows import Field, absent, cpus, in_rounds
from bench.surfaces import CHAT, MESSAGES, OLLAMA, RESPONSES

CHUNKS = 200  # of a stream at once
PACED = 500  # streams open at once
TOKENS = 200  # of a paced one
MUST = 2.0
ACROSS = (OLLAMA, MESSAGES, RESPONSES)


def translated(field_: Field) -> Row:
    """The same streams of an OpenAI-shaped engine on four surfaces: at once, so that a read holds many chunks, and paced, a chunk a read."""
    row = Row("translated", f"Streams of an OpenAI-shaped mock on each dialect's surface: {CHUNKS} chunks at once, 16 clients; then {PACED} paced streams")
    homeport = field_.homeport
    if homeport is None:
        row.figures += [absent(field_, Figure(f"CPU of a chunk on {path} ÷ passed through", None, must=MUST, less_is_better=True)) for path in ACROSS]
        return row
    programs = [Program(path, homeport.port, homeport.pid, homeport.key, path=path, models=homeport.models) for path in (CHAT, *ACROSS)]
    samples = in_rounds(field_, Load(f"s{CHUNKS}", 16, stream=True, events=3), programs, row)
    for path in ACROSS:
        label = f"CPU of a chunk on {path} ÷ passed through, at once"
        row.figures.append(ratio(label, cpus(samples, path), cpus(samples, CHAT), must=MUST, aim=None, less_is_better=True))
    paced = _paced(field_, programs, row)
    for path in ACROSS:
        label = f"CPU of a chunk on {path} ÷ passed through, a chunk a read"
        row.figures.append(ratio(label, paced[path], paced[CHAT], must=MUST, aim=None, less_is_better=True))
    for name, found in paced.items():
        at_once = [one.cpu_us / CHUNKS for one in samples.get(name, []) if one.cpu_us]
        row.remarks.append(f"{name}: {spread(at_once)} CPU µs a chunk at once, {spread(found)} paced")
    return row


def _paced(field_: Field, programs: list[Program], row: Row) -> dict[str, list[float]]:
    """CPU µs of a paced chunk, by surface, round by round."""
    found: dict[str, list[float]] = {program.name: [] for program in programs}
    rounds: list[dict[str, Any]] = []
    for _ in range(max(2, field_.plan.paced_rounds)):
        for program in programs:
            result = one_round(field_, program, PACED, field_.plan.ramp_ms // 3, TOKENS)
            rounds.append({"program": program.name, **result})
            if result.get("done"):  # streams, not tokens as they were read: some dialects say the text again at the end
                found[program.name].append(result["program_cpu"] / (result["done"] * TOKENS) * 1e6)
            if result.get("errors") or result.get("fatal"):
                row.remarks.append(f"{program.name}, paced: {result.get('errors')} errors: {result.get('fatal') or result.get('failure')}")
    row.raw += rounds
    busy = median([one["program_busy"] for one in rounds])
    row.remarks.append(f"Paced, Homeport used {number(busy * 100)} % of its core (median); a ratio of CPU times does not ask for all of it.")
    return found
