"""`python -m tests.chain.article`: the route with a bare `ssh -N -R`, and Homeport, side by side on the same chain; what came of it is noted as figures."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import figures
from tests.caller import Caller, chat
from tests.chain import engine, outages, places, vps
from tests.chain.article.way import ArticlesWay
from tests.chain.chain import Chain
from tests.chain.home import ENGINE
from tests.chain.visitor import Asked, Visitor
from tests.clients.installing import CannotInstall

ROUNDS, ROUND_S, CLIENTS, STREAMS = 2, 2.0, 8, 3
KEPT = 200  # asks on one connection
CAP_S = 45.0  # what has not recovered by then is said to have not
FAULTS = {"power loss": 20.0, "address change": 0.0, "sshd restart": 0.0, "stale port": 0.0}  # and how long home is away


def main() -> int:
    """Measure, and say so as it goes; 1 where it cannot be done here."""
    why_not = places.lacking() or vps.lacking()
    try:
        if why_not:
            raise CannotInstall(why_not)
        with _both() as (chain, way):
            overhead(chain, way)
        for fault, away_s in FAULTS.items():
            with _both() as (chain, way):
                outage(chain, way, fault, away_s)
    except CannotInstall as reason:
        print(reason, file=sys.stderr)
        return 1
    return 0


@contextmanager
def _both() -> Iterator[tuple[Chain, ArticlesWay]]:
    with tempfile.TemporaryDirectory() as folder, Chain(Path(folder)) as chain, ArticlesWay(chain) as way:
        chain.vps.until(lambda: chain.visitor.ask().text == engine.quick("home"), "gateway.log")
        yield chain, way


def say(row: str, unit: str, note: str = "", **ways: float | str | None) -> None:
    """Note a row: `homeport`, `route`, `direct`."""
    print(row, {way: value for way, value in ways.items() if value is not None}, unit, flush=True)
    for way, value in ways.items():
        if value is not None:
            rounded = round(value, 1 if unit else 0) if isinstance(value, float) else value
            figures.note(
                f"article.{row.replace(' ', '_')}.{way}", int(rounded) if rounded == "" else rounded, unit if not isinstance(value, str) else "", note=note
            )


# overhead


def overhead(chain: Chain, way: ArticlesWay) -> None:
    """Whole replies of an engine that answers at once, in turn; and the first word of one that takes a second."""
    doors: dict[str, Callable[[int], list[float]]] = {
        "direct": lambda clients: _inside(chain, clients),
        "homeport": lambda clients: chain.visitor.on_loop(_loop(lambda: _door(chain.visitor), clients)),
        "route": lambda clients: way.visitor.on_loop(_loop(lambda: _door(way.visitor), clients)),
    }
    for clients in (1, CLIENTS):
        rounds: dict[str, list[list[float]]] = {name: [] for name in doors}
        for _ in range(ROUNDS):
            for name, ask in doors.items():
                rounds[name].append(ask(clients))
        many = f"{clients} client{'s' if clients > 1 else ''}"
        for what, of in (("p50", 50), ("p99", 99)):
            worth = {name: statistics.median(_percentile(one, of) for one in found) * 1000 for name, found in rounds.items()}
            say(f"{what} at {many}", "ms", **worth)
        say(f"answers a second at {many}", "", **{name: float(statistics.median(len(one) / ROUND_S for one in found)) for name, found in rounds.items()})
    first = {"homeport": [_first_s(chain.visitor) for _ in range(STREAMS)], "route": [_first_s(way.visitor) for _ in range(STREAMS)]}
    length = engine.EVERY_S * engine.TOKENS
    say("first word", "ms", f"of an answer that takes {length:g} s", **{name: statistics.median(found) * 1000 for name, found in first.items()})


def _door(visitor: Visitor) -> tuple[Caller, dict[str, str]]:
    return visitor.connection(), {"authorization": f"Bearer {visitor.key}"}


def _first_s(visitor: Visitor) -> float:
    heard = visitor.ask("slow", streamed=True)
    return next(at for at, piece in heard.pieces if b"home" in piece) - heard.began


def _inside(chain: Chain, clients: int) -> list[float]:
    """The engine, asked on its own machine."""
    found: list[float] = []

    def live() -> None:
        chain.box.enter()
        found.extend(asyncio.run(_loop(lambda: (Caller(f"http://127.0.0.1:{ENGINE}"), {}), clients)))

    thread = threading.Thread(target=live)
    thread.start()
    thread.join()
    return found


async def _loop(connect: Callable[[], tuple[Caller, dict[str, str]]], clients: int) -> list[float]:
    """Seconds of each answer of so many clients, who ask again and again for ROUND_S on kept connections."""
    found: list[float] = []
    until = time.perf_counter() + ROUND_S

    async def client() -> None:
        while time.perf_counter() < until:
            caller, headers = connect()
            async with caller:
                for _ in range(KEPT):
                    began = time.perf_counter()
                    if began >= until:
                        return
                    heard = await caller.ask(chat("quick", model="assistant"), host=vps.NAME, headers=headers)
                    assert heard.status == 200, heard.body
                    found.append(time.perf_counter() - began)

    await asyncio.gather(*(client() for _ in range(clients)))
    return found


def _percentile(found: list[float], of: int) -> float:
    return statistics.quantiles(found, n=100, method="inclusive")[of - 1]


# what each does when home goes away


def outage(chain: Chain, way: ArticlesWay, fault: str, away_s: float) -> None:
    """One fault, under two visitors who ask all the time."""
    how, _ = outages.FAULTS[fault]
    before = {"homeport": len(chain.vps.journal.receipts), "route": way.lines}
    visitors = {"homeport": chain.visitor, "route": way.visitor}
    for visitor in visitors.values():
        visitor.work()
        visitor.first(lambda one: one.streamed and one.outcome == "answered")
    at, possible = how(chain, away_s)
    back = {name: _back(visitor, at) for name, visitor in visitors.items()}
    for visitor in visitors.values():
        visitor.rest()
    written = {"homeport": len(chain.vps.journal.receipts), "route": way.lines}
    later = {name: [one for one in visitor.asks if one.done > at] for name, visitor in visitors.items()}
    say(f"{fault}, home answers again after", "s", **{name: one - possible if one is not None else f"not within {CAP_S:.0f} s" for name, one in back.items()})
    say(f"{fault}, a visitor had no answer for", "s", **{name: _silence(asks, at, back[name]) for name, asks in later.items()})
    say(f"{fault}, longest wait", "s", **{name: max(one.took_s for one in asks) for name, asks in later.items()})
    say(f"{fault}, asks", "", **{name: len(asks) for name, asks in later.items()})
    say(f"{fault}, errors", "", **{name: sum(one.outcome == "refused" for one in asks) for name, asks in later.items()})
    say(f"{fault}, streams cut and told", "", homeport=sum(one.outcome == "told" for one in later["homeport"]))
    say(f"{fault}, asks without a line in the log", "", **{name: len(visitors[name].asks) - (written[name] - before[name]) for name in visitors})


def _back(visitor: Visitor, at: float) -> float | None:
    try:
        return visitor.until("home", at, CAP_S)
    except AssertionError:
        return None


def _silence(asks: list[Asked], at: float, back: float | None) -> float:
    """The longest time without an answer to anything."""
    end = max([one.done for one in asks] if back is None else [back])
    answered = [at, *sorted(one.done for one in asks if one.outcome == "answered" and one.done < end), end]
    return max(later - earlier for earlier, later in itertools.pairwise(answered))


if __name__ == "__main__":
    sys.exit(main())
