"""The fault matrix: every byte of a backend's answer, every way it can break there, every dialect before it."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from homeport.vocabulary import CHAT, MESSAGES, OLLAMA_CHAT, RESPONSES
from tests import figures
from tests.caller import Caller, Heard, request_bytes
from tests.dialects import DIALECT, body
from tests.faults.matrix.upstream import Upstream, prompt
from tests.faults.matrix.verdicts import Case, Outcome, judged, recorded
from tests.faults.matrix.wires import SECOND, plans, sampled, wire
from tests.gateway import Running, config

SEED = 6
SURFACES = (CHAT, OLLAMA_CHAT, MESSAGES, RESPONSES)
NEXT = {"openai": "anthropic", "anthropic": "ollama", "ollama": "openai"}  # the dialect of the backend behind
WORKERS = 48  # asks at a time, each with a backend's name of its own: no failure weighs on the next ask
QUICK = 24  # faults of each dialect, mode, surface and variant, when not thorough
CLOCKS = {"first_token_timeout_s": 0.25, "idle_timeout_s": 0.25, "total_timeout_s": 1.5}
MODES = {"stream": (True, True), "assembled": (False, True), "whole": (False, False)}  # whether the caller asks for a stream, and whether the backend is


class House:
    """A gateway before a faulty backend under many names, and a sound one behind each."""

    def __init__(self, folder: Path, dialect: str, *, assemble: bool) -> None:
        self.faulty, self.sound = Upstream(dialect), Upstream(NEXT[dialect], SECOND)
        self.folder, self.assemble = folder, assemble
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
                model = f"{'alone' if case.alone else 'both'}{worker}"
                asked = body(case.surface, prompt(case.number), stream=case.stream, model=model)
                async with Caller(self.gateway.url) as caller:
                    await caller.send(request_bytes(asked, path=case.surface.value))
                    found[case.number] = await asyncio.wait_for(caller.hear(), 30)

        await asyncio.gather(*map(work, range(WORKERS)))
        return found

    def receipts(self) -> dict[str, list[dict[str, Any]]]:
        """What was settled, by request."""
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for file in self.gateway.journal.data.glob("journal-*.jsonl"):
            for line in file.read_bytes().splitlines():
                if line.startswith(b'{"settled"'):
                    receipt = json.loads(line)["settled"]
                    found[receipt["id"]].append(receipt)
        return found


def cases(dialect: str, mode: str) -> list[Case]:
    """Every fault, or a sample, by every surface, with another backend behind and without."""
    stream, streamed = MODES[mode]
    one = wire(dialect, streamed=streamed)
    found: list[Case] = []
    for number, (surface, alone) in enumerate(itertools.product(SURFACES, (False, True))):
        every = figures.THOROUGH and (not alone or DIALECT[surface] == dialect)
        for plan in plans(one) if every else sampled(one, QUICK, SEED + number):
            found.append(Case(len(found), surface, stream, alone, dialect, plan))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dialect", NEXT)
def test_every_fault_is_told_or_unseen(tmp_path: Path, caplog: pytest.LogCaptureFixture, dialect: str, mode: str) -> None:
    caplog.set_level(logging.ERROR, logger="homeport")
    one, asked = wire(dialect, streamed=MODES[mode][1]), cases(dialect, mode)
    with House(tmp_path, dialect, assemble=MODES[mode][1]) as house:
        house.faulty.plans = {case.number: case.plan for case in asked}
        heard = asyncio.run(house.run(asked))
        assert house.gateway.idle(5.0), [row for row in house.gateway.status()["backends"] if row["in_flight"] or row["queued"]]
    receipts = house.receipts()
    outcomes: dict[Case, Outcome] = {}
    for case in asked:
        outcome = outcomes[case] = judged(case, one, heard[case.number])
        recorded(case, outcome, receipts[heard[case.number].headers.get("x-request-id", "")], house.faulty.met, house.sound.met)
    faults = [f"{case}: {fault}" for case, outcome in outcomes.items() for fault in outcome.faults]
    seen = Counter(outcome.seen for outcome in outcomes.values())
    print(dialect, mode, len(asked), dict(seen), len(faults))
    assert not faults, "\n".join([f"{len(faults)} of {len(asked)}", *faults[:40]])
