"""The row of the real engine: tokens a second through Homeport beside the same llama.cpp server asked directly."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.figures import Figure, Row, median, number, ratio, spread
from bench.load import Load, closed_loop, request_bytes
from bench.programs import Bench, Homeport, Missing, Program, free_port, start_homeport
from bench.rows import Field

TOKENS = 200
SLOTS = 8
EXTRA = {"max_tokens": TOKENS, "temperature": 0, "ignore_eos": True}
LABEL = "engine through Homeport ÷ bare engine, tokens/s, {} client{}"

# Runs under Homeport's own interpreter: the engine alone, without a gateway. Ends when its standard input does.
HOST_PY = """
import asyncio, json, sys, threading
from pathlib import Path
from homeport.backends.engine import Engine
async def main():
    model = sys.argv[1]
    if not model:
        import homeport.pilot
        model = next(Path(homeport.pilot.__file__).parent.glob("*.gguf"), None)
        if model is None:
            sys.exit("no model is bundled, and none was named with --gguf")
    engine = Engine(model=Path(model), slots=int(sys.argv[2]), context=1024, name="assistant")
    await engine.start()
    await engine.ready(60)
    print(json.dumps({"url": engine.url, "key": engine.key, "model": str(model)}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await engine.stop()
asyncio.run(main())
"""
TOML = """
[server]
listen = "127.0.0.1:{port}"
data = "{data}"
[backends.engine]
kind = "openai"
url = "{url}"
api_key = {{ file = "{key}" }}
max_in_flight = {slots}
[models.assistant]
routes = [{{ backend = "engine", model = "assistant" }}]
"""


def engine(field: Field, executable: Path, gguf: Path | None) -> Row:
    """The engine on the program's core, Homeport and the load on the other; 1 and 8 clients, rounds interleaved."""
    row = Row("engine", f"llama.cpp, {SLOTS} slots, {TOKENS} tokens an answer; the engine has a core of its own, Homeport and the load share the other")
    row.columns = ("program", "clients", "tokens/s", "p50 of an answer, ms", "p99 ms", "errors")
    try:
        with _running(field.bench, executable, gguf, row) as (bare, homeport):
            for clients in (1, SLOTS):
                _measure(field, row, bare, homeport, clients)
    except (Missing, OSError, subprocess.SubprocessError, ValueError) as why:
        for clients in (1, SLOTS)[len(row.figures) :]:
            row.figures.append(Figure(LABEL.format(clients, "s" if clients > 1 else ""), None, "", 0.97, 0.995, reason=str(why)))
    return row


def _measure(field: Field, row: Row, bare: Program, homeport: Program, clients: int) -> None:
    load = Load("bench", clients, stream=True, events=3)
    tokens: dict[str, list[float]] = {bare.name: [], homeport.name: []}
    samples: dict[str, list[tuple[float, float, int]]] = {bare.name: [], homeport.name: []}
    for program in (bare, homeport):
        closed_loop(field.bench, program, load, 0.3)
    for _ in range(max(3, field.plan.rounds) if field.plan.rounds > 2 else 2):
        for program in (bare, homeport):
            sample = closed_loop(field.bench, program, load, field.plan.engine_s)
            tokens[program.name].append(sample.rate * TOKENS)
            samples[program.name].append((sample.p50_us / 1000, sample.p99_us / 1000, sample.errors))
            row.raw.append({"program": program.name, "clients": clients, **sample.raw})
            if sample.failure:
                row.remarks.append(f"{program.name}: {sample.failure}")
    for name, found in samples.items():
        p50, p99, errors = zip(*found, strict=True)
        row.lines.append((name, str(clients), spread(tokens[name]), number(median(p50)), number(median(p99)), str(sum(errors))))
    row.figures.append(ratio(LABEL.format(clients, "s" if clients > 1 else ""), tokens[homeport.name], tokens[bare.name], must=0.97, aim=0.995))


@contextmanager
def _running(bench: Bench, executable: Path, gguf: Path | None, row: Row) -> Iterator[tuple[Program, Program]]:
    """The bare engine, and a Homeport whose only backend it is."""
    python = executable.absolute().with_name("python")
    command = [str(python), "-c", HOST_PY, str(gguf.absolute()) if gguf else "", str(SLOTS)]
    host = bench.start(command, bench.cores.program, log="engine.log", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    through: Program | None = None
    try:
        assert host.stdout is not None
        line = host.stdout.readline()
        if not line:
            raise Missing(f"the engine did not start: {bench.log_tail('engine.log')}")
        told = json.loads(line)
        row.remarks.append(f"model: {Path(told['model']).name}, {Path(told['model']).stat().st_size / 1e6:.1f} MB")
        bare = Program("engine", int(told["url"].rpartition(":")[2]), host.pid, told["key"], models=lambda _name: "assistant", extra=EXTRA)
        _check_tokens(bare)
        through = start_homeport(_homeport(bench, executable, told), bench.cores.load)
        through.models, through.extra = (lambda _name: "assistant"), EXTRA
        yield bare, through
    finally:
        if through is not None and through.pid is not None:
            bench.stop_pid(through.pid)
        if host.stdin is not None:
            host.stdin.close()
        bench.stop(host)


def _check_tokens(bare: Program) -> None:
    """Make sure that an answer has as many tokens as it is counted for. Raises Missing."""
    head, _, body = request_bytes(bare, "bench", False).partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if not line.startswith("Content-Length"))
    try:
        with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{bare.port}{bare.path}", body, headers), timeout=30) as answer:
            made = json.load(answer)["usage"]["completion_tokens"]
    except OSError as why:
        raise Missing(f"the bare engine did not answer a whole request of {TOKENS} tokens within 30 s: {why}") from None
    if made != TOKENS:
        raise Missing(f"the engine made {made} tokens where {TOKENS} were asked; a model with a longer context is needed")


def _homeport(bench: Bench, executable: Path, told: dict[str, str]) -> Homeport:
    data = bench.folder / "engine-data"
    data.mkdir()
    key, config, port = data / "engine-key", bench.folder / "engine.toml", free_port()
    key.write_text(told["key"])
    key.chmod(0o600)
    config.write_text(TOML.format(port=port, data=data, url=told["url"], key=key, slots=SLOTS))
    homeport = Homeport(bench, executable.absolute(), data, config, port, "")
    homeport.add_key()
    return homeport
