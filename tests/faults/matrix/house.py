"""The house in which faults are met: a gateway before a faulty backend under many names, and a sound one behind."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.caller import Caller, Heard, request_bytes
from tests.dialects import body
from tests.faults.matrix.upstream import Upstream, prompt
from tests.faults.matrix.verdicts import Case
from tests.faults.matrix.wires import SECOND
from tests.gateway import Running, config

AGAIN = 8  # times an ask is sent whose fault was not met: on a busy machine its clock can run out before the backend has read it
APART = 10_000_000  # between the numbers of an ask that is sent again
NEXT = {"openai": "anthropic", "anthropic": "ollama", "ollama": "openai"}  # the dialect of the backend behind
WORKERS = 48  # asks at a time, each with a backend's name of its own: no failure weighs on the next ask
CLOCKS = {"connect_timeout_s": 5.0, "first_token_timeout_s": 0.25, "idle_timeout_s": 0.25, "total_timeout_s": 1.5}


class House:
    """A gateway before a faulty backend under many names, and a sound one behind each."""

    def __init__(self, folder: Path, dialect: str, *, assemble: bool) -> None:
        self.faulty, self.sound = Upstream(dialect), Upstream(NEXT[dialect], SECOND)
        self.folder, self.assemble = folder, assemble
        self.numbers: dict[int, int] = {}  # of each case, the number that its ask had at last
        self.gateway: Running

    def __enter__(self) -> House:
        self.faulty.__enter__()
        self.sound.__enter__()
        backends: dict[str, Any] = {"sound": {"url": self.sound.url, "kind": self.sound.dialect, "max_in_flight": 1000}}
        models = {}
        for number in range(WORKERS):
            backends[f"faulty{number}"] = {"url": self.faulty.url, "kind": self.faulty.dialect, "assemble": self.assemble, **CLOCKS}
            routes = [{"backend": f"faulty{number}", "model": "m"}, {"backend": "sound", "model": "m"}]
            models |= {f"both{number}": {"routes": routes}, f"alone{number}": {"routes": routes[:1]}}
        self.gateway = Running(config(self.folder, backends, models=models, monitor={"probe_interval_s": 3600}))
        self.gateway.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.gateway.__exit__()
        self.sound.__exit__()
        self.faulty.__exit__()

    async def run(self, cases: Iterable[Case]) -> dict[int, Heard]:
        """All of them, as many at a time as there are workers."""
        waiting, found = iter(cases), dict[int, Heard]()

        async def work(worker: int) -> None:
            for case in waiting:
                found[case.number] = await self._one(case, worker)

        await asyncio.gather(*map(work, range(WORKERS)))
        return found

    async def _one(self, case: Case, worker: int) -> Heard:
        """One of them, sent again under another number where its fault was not met."""
        heard, model = Heard(), f"{'alone' if case.alone else 'both'}{worker}"
        for again in range(AGAIN):
            number = self.numbers[case.number] = case.number + again * APART
            self.faulty.plans[number] = case.plan
            self.renew(f"faulty{worker}")
            data = request_bytes(body(case.surface, prompt(number), stream=case.stream, model=model), path=case.surface.value)
            async with Caller(self.gateway.url) as caller:
                await caller.send(data)
                heard = await asyncio.wait_for(caller.hear(), 30)
            if self.faulty.met[number]:
                break
        return heard

    def sent(self, case: Case) -> tuple[int, int]:
        """How often the faulty backend was sent an ask, and the sound one."""
        number = self.numbers[case.number]
        return self.faulty.met[number], self.sound.met[number]

    def renew(self, name: str) -> None:
        """Forget the failures before: each is to be met by the next ask, not passed over (rules/breaker)."""
        backend, loop = self.gateway.app._backends[name], self.gateway._loop
        loop.call_soon_threadsafe(backend.health.reset)
        loop.call_soon_threadsafe(backend._leases.bury, 1000)  # what stalls keeps its place until it is seen idle

    def receipts(self) -> dict[str, list[dict[str, Any]]]:
        """What was settled, by request."""
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for file in self.gateway.journal.data.glob("journal-*.jsonl"):
            for line in file.read_bytes().splitlines():
                if line.startswith(b'{"settled"'):
                    receipt = json.loads(line)["settled"]
                    found[receipt["id"]].append(receipt)
        return found
