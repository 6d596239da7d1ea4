"""Runs the load generator against one program, and what it and the program used meanwhile."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from dataclasses import dataclass, field
from typing import Any

from bench.cores import core_busy_s, cpu_s, pinned
from bench.programs import Bench, Program
from bench.surfaces import CHAT, SURFACES

BODY_BYTES = 300


@dataclass(frozen=True)
class Load:
    """One shape of load. `model` is the mock's name for it; `events` > 0: an answer is a stream of at least so many events."""

    model: str
    clients: int
    stream: bool = False
    events: int = 0
    ask_whole: bool = False  # only Homeport asks for a whole reply of a streamed model


@dataclass
class Sample:
    """One round of one program."""

    program: str
    rate: float  # answers a second
    p50_us: float
    p99_us: float
    cpu_us: float | None  # of the program, an answer
    program_busy: float  # share of its core that the program used
    others_busy: float  # share of the program's core that others used
    load_busy: float  # share of the load's core that load and mock used
    load_others: float  # share of the load's core that others used
    errors: int
    failure: str
    raw: dict[str, Any] = field(default_factory=dict)


def request_bytes(program: Program, model: str, stream: bool) -> bytes:
    """One POST with a JSON body of 300 bytes, whatever the model is called."""
    surface = SURFACES.get(program.path, SURFACES[CHAT])

    def fields(text: str) -> dict[str, Any]:
        return {"model": program.models(model), **surface.asked(text), **({"stream": True} if stream else {}), **program.extra}

    text = "Who is at the door? " * 20
    body = json.dumps(fields(text[: BODY_BYTES - len(json.dumps(fields("")))])).encode()
    headers = {"Host": f"127.0.0.1:{program.port}", "Content-Type": "application/json", "Content-Length": str(len(body)), **program.headers}
    if program.key:
        headers["Authorization"] = f"Bearer {program.key}"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {program.path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def run_load(bench: Bench, arguments: list[str]) -> dict[str, Any]:
    """Run the load generator on its core to its end; its JSON line."""
    with pinned(bench.cores.load):
        ran = subprocess.run([str(bench.binaries["load"]), *arguments], capture_output=True, text=True, check=False, timeout=120)
    if not ran.stdout.strip():
        return {"fatal": f"the load generator ended with {ran.returncode}: {ran.stderr.strip()[-200:]}"}
    return dict(json.loads(ran.stdout))


def measured(bench: Bench, program: Program, mode: str, model: str, stream: bool, arguments: list[object]) -> dict[str, Any]:
    """Run one load against one program; adds `program_cpu`, `wall` and the two cores' business to the generator's figures."""
    path = bench.folder / "request"
    path.write_bytes(request_bytes(program, model, stream))
    ending = SURFACES.get(program.path, SURFACES[CHAT]).ending if stream else ""
    before, began = _used(bench, program), time.monotonic()
    result = run_load(bench, [mode, str(program.port_for(stream or model != "whole")), str(path), *map(str, arguments), *([ending] if ending else [])])
    wall = time.monotonic() - began
    bench.check_mock()
    own, mock, program_core, load_core = (late - early for late, early in zip(_used(bench, program), before, strict=True))
    load = mock + result.get("cpu", 0.0)
    result.update(wall=wall, program_cpu=own, program_busy=own / wall, others_busy=max(0.0, program_core - own) / wall)
    result.update(load_busy=load / wall, load_others=max(0.0, load_core - load) / wall)
    return result


def _used(bench: Bench, program: Program) -> tuple[float, float, float, float]:
    """CPU seconds so far: the program, the mock, the program's core, the load's core."""
    cores = bench.cores
    return cpu_s(program.pid) if program.pid else 0.0, cpu_s(bench.mock_pid), core_busy_s(cores.program), core_busy_s(cores.load)


def closed_loop(bench: Bench, program: Program, load: Load, seconds: float, count: int = 0) -> Sample:
    """N clients, each sending its next request when it has its answer, for some seconds or a number of requests."""
    stream = load.stream
    if load.ask_whole and program.name == "homeport":
        stream = False
    events = load.events if stream else 0
    result = measured(bench, program, "closed", load.model, stream, [load.clients, seconds, count, events])
    latency = result.get("latency") or {}
    done = result.get("done") or 0
    cpu = result["program_cpu"] / done * 1e6 if done and program.pid else None
    return Sample(
        program.name, result.get("rate", 0.0), latency.get("p50", 0.0), latency.get("p99", 0.0), cpu, result["program_busy"],
        result["others_busy"], result["load_busy"], result["load_others"], result.get("errors", 0), result.get("fatal") or result.get("failure", ""), result,
    )  # fmt: skip


def check(program: Program, load: Load) -> str:
    """Ask once and read every byte: what is wrong with the answer, or nothing."""
    stream = load.stream and not (load.ask_whole and program.name == "homeport")
    head, _, body = request_bytes(program, load.model, stream).partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    connection = http.client.HTTPConnection("127.0.0.1", program.port_for(stream), timeout=20)
    try:
        connection.request("POST", program.path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return f"no answer: {error!r}"
    finally:
        connection.close()
    if answer.status != 200:
        return f"status {answer.status}: {data[:200]!r}"
    expected = "".join(f" tok{n}" for n in range(int(load.model[1:]))) if load.model[0] == "s" else None
    try:
        text, ended = SURFACES.get(program.path, SURFACES[CHAT]).heard(data) if stream else (json.loads(data)["choices"][0]["message"]["content"], True)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        return f"not what was asked: {error!r} in {data[:200]!r}"
    if expected is not None and text != expected:
        return f"the text differs: {text[:60]!r}… of {len(text)} characters, {len(expected)} expected"
    return "" if ended else "the stream does not say that it is whole"
