"""What a lease of a fleet costs beside one counted in memory, and beside one of several workers: `python -m bench.fleet`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import uvloop

from bench.tasks import Line, gateway, in_turns
from homeport.backends.leases import Leases
from homeport.fleet.alone import Alone
from homeport.fleet.gateways import Gateways
from homeport.fleet.places import Table, create
from homeport.settings import FleetSettings
from homeport.testing.process import BackendProcess, Setup
from homeport.testing.script import Answer

ROUNDS = 3000
BODY = b'{"model":"assistant","messages":[{"role":"user","content":"Where is my parcel?"}]}'


@contextlib.contextmanager
def store(folder: Path) -> Iterator[str]:
    """A Redis of its own, which keeps nothing on its disk; its address."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        sys.exit("bench.fleet needs redis-server or valkey-server (apt install redis-server).")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as child:
        try:
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                time.sleep(0.02)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            child.kill()


async def leased(url: str, folder: Path) -> dict[str, list[float]]:
    """Microseconds from the wish for a place to having it, and to have told that it is free again, in three ways; drawn in turn."""
    pair = [Gateways(Alone(), FleetSettings(url=url), data=folder, gateway=name) for name in ("vps", "home")]  # the other one hears the news
    for one in pair:
        await one.start()
    while not all(one.standing.state == "together" and one.standing.gateways == 2 for one in pair):
        await asyncio.sleep(0.05)
    await asyncio.sleep(1.0)  # a new store gives nothing out at first
    memory = create(2)
    table = Table(memory, 0, ring=lambda _: None, later=asyncio.get_running_loop().call_later)
    ways = {"memory": Alone().at("box"), "workers": table.at("box"), "fleet": pair[0].at("box")}
    pair[1].at("box")
    leases = {name: Leases(4, 64, 10.0, places) for name, places in ways.items()}
    spent: dict[str, list[float]] = {name: [] for name in ways}
    rng = random.Random(8)
    for _ in range(ROUNDS):
        for name in rng.sample(list(ways), len(ways)):
            one = leases[name]
            began = time.perf_counter()
            lease = one.take() or await one.wait(None)
            spent[name].append((time.perf_counter() - began) * 1e6)
            lease.release()
            await asyncio.sleep(0.0005)  # the release is told meanwhile, as while an answer comes
    for one in pair:
        await one.stop()
    os.close(memory)
    return spent


def asked(folder: Path, url: str) -> tuple[float, float]:
    """p50 of a request at one client, milliseconds: by a gateway alone, and by one of a fleet."""
    with BackendProcess(Setup(answer=Answer(text="hello"))) as backend, contextlib.ExitStack() as stack:
        lines = []
        for name, fleet in (("alone", ""), ("together", f'[fleet]\nurl = "{url}"\n')):
            path = folder / f"{name}.toml"
            models = '[models.assistant]\nroutes = [{ backend = "box", model = "m" }]\n'
            path.write_text(f'[server]\ndata = "{folder}/{name}"\n[backends.box]\nkind = "openai"\nurl = "{backend.url}"\n{models}{fleet}', encoding="utf-8")
            lines.append(Line(stack.enter_context(gateway(path))))
        time.sleep(1.5)
        return in_turns(lambda: lines[0].post("/v1/chat/completions", BODY), lambda: lines[1].post("/v1/chat/completions", BODY))


def main() -> None:
    """Print both."""
    with tempfile.TemporaryDirectory() as named, store(Path(named)) as url:
        folder = Path(named)
        spent = uvloop.run(leased(url, folder))
        base = statistics.median(spent["memory"])
        for name, took in spent.items():
            found = sorted(took[100:])
            p50, p99 = found[len(found) // 2], found[len(found) * 99 // 100]
            sys.stdout.write(f"a lease, {name}: p50 {p50:.1f} µs, p99 {p99:.1f} µs, {p50 - base:.1f} µs more than in memory (of {len(found):,})\n")
        alone, together = asked(folder, url)
        sys.stdout.write(f"a request: alone {alone:.3f} ms, of a fleet {together:.3f} ms, {together - alone:.3f} ms more (p50, one client)\n")


if __name__ == "__main__":
    main()
