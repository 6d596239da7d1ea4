"""The fault matrix: every byte of a backend's answer, every way it can break there, every dialect before it."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import Counter
from pathlib import Path

import pytest

from homeport.vocabulary import CHAT, MESSAGES, OLLAMA_CHAT, RESPONSES
from tests import figures
from tests.dialects import DIALECT
from tests.faults.matrix.house import NEXT, WORKERS, House
from tests.faults.matrix.verdicts import Case, Outcome, judged, recorded
from tests.faults.matrix.wires import plans, sampled, wire

SEED = 6
SURFACES = (CHAT, OLLAMA_CHAT, MESSAGES, RESPONSES)
QUICK = 24  # faults of each dialect, mode, surface and variant, when not thorough
WRONGS = {": lost": "lost", ": duplicated": "duplicated", ": silently cut": "silently_cut", ": visible": "visible", ": untold": "untold"}
MODES = {"stream": (True, True), "assembled": (False, True), "whole": (False, False)}  # whether the caller asks for a stream, and whether the backend is


def cases(dialect: str, mode: str) -> list[Case]:
    """Every fault, or a sample, by every surface, with another backend behind and without.

    Every: by the surface of the backend's own dialect; the others share them, so that each byte is met by one of these as well.
    """
    stream, streamed = MODES[mode]
    one, others = wire(dialect, streamed=streamed), [surface for surface in SURFACES if DIALECT[surface] != dialect]
    found: list[Case] = []
    for number, (surface, alone) in enumerate(itertools.product(SURFACES, (False, True))):
        faults = sampled(one, QUICK, SEED + number)
        if figures.THOROUGH and surface not in others:
            faults = plans(one)
        elif figures.THOROUGH and not alone:
            faults = plans(one)[others.index(surface) :: len(others)]
        for plan in faults:
            found.append(Case(len(found), surface, stream, alone, dialect, plan))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dialect", NEXT)
def test_every_fault_is_told_or_unseen(tmp_path: Path, caplog: pytest.LogCaptureFixture, dialect: str, mode: str) -> None:
    caplog.set_level(logging.ERROR, logger="homeport")
    one, asked = wire(dialect, streamed=MODES[mode][1]), cases(dialect, mode)
    with House(tmp_path, dialect, assemble=MODES[mode][1]) as house:
        heard = asyncio.run(house.run(asked))
        for worker in range(WORKERS):
            house.renew(f"faulty{worker}")
        assert house.gateway.idle(5.0), [row for row in house.gateway.status()["backends"] if row["in_flight"] or row["queued"]]
    receipts = house.receipts()
    outcomes: dict[Case, Outcome] = {}
    for case in asked:
        outcome = outcomes[case] = judged(case, one, heard[case.number])
        recorded(case, outcome, receipts[heard[case.number].headers.get("x-request-id", "")], *house.sent(case))
    seen = Counter(outcome.seen for outcome in outcomes.values())
    faults = [f"{case}: {fault}" for case, outcome in outcomes.items() for fault in outcome.faults]
    row = f"matrix.{dialect}.{mode}"
    for name, value in {"faults": len(asked), **{what: seen[what] for what in ("first", "second", "cut", "refused", "unreadable")}}.items():
        figures.note(f"{row}.{name}", value, seed=SEED)
    for word, name in WRONGS.items():
        figures.note(f"{row}.{name}", sum(word in fault for fault in faults), seed=SEED)
    assert not faults, "\n".join([f"{len(faults)} in {len(asked)}", *faults[:40]])
