"""A backend whose every answer goes wrong as the prompt's number says, and the same without faults to go on to."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter

from homeport.testing.backend import head
from homeport.testing.exchange import Exchange, HttpLoopback
from tests.faults.engines import ollama, streams
from tests.faults.matrix.wires import FIRST, Plan, closes, sent, wire

MARK = re.compile(rb"ask number (\d+)\.")
PAUSE_S = 0.003  # before the fault, so that what stands before it may have been read


def prompt(number: int) -> str:
    """What a caller says so that the backend knows which fault is meant."""
    return f"This is ask number {number}."


class Upstream(HttpLoopback):
    """Speaks one dialect and answers `text`, as a stream where it is asked for one; `plans` are the faults, by number.

    `met` counts the asks that came, by number. Questions for its models are always answered well.
    """

    def __init__(self, dialect: str, text: str = FIRST) -> None:
        super().__init__()
        self.dialect = dialect
        self.text = text
        self.plans: dict[int, Plan] = {}
        self.met: Counter[int] = Counter()

    async def answer(self, exchange: Exchange) -> None:
        seen = exchange.seen
        self.requests.clear()
        found = MARK.search(seen.body)
        if found is None:
            listed = {"models": [{"name": "m", "model": "m"}], "data": [{"id": "m", "type": "model"}]}
            body = json.dumps(listed).encode() if seen.method != "POST" else ollama(seen.path, "", done_reason="load")
            await exchange.send(head(seen, 200, [("content-type", "application/json")], len(body)) + body)
            return
        number = int(found[1])
        self.met[number] += 1
        said = wire(self.dialect, streamed=streams(self.dialect, seen.fields), text=self.text)
        plan = self.plans.get(number)
        if plan is None:
            await exchange.send(said.bytes)
            return
        data = sent(said, plan)
        if data:
            await exchange.send(data)
        if plan.kind == "RST":
            await asyncio.sleep(PAUSE_S if data else 0)
            exchange.reset()
        elif plan.kind == "stall":
            await exchange.silence()
        elif closes(said, plan):
            exchange.close()
