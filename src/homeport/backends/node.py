"""A backend that is itself a Homeport: what it says of the backends behind it, and what follows for asks that may go there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from homeport.rules import selection
from homeport.vocabulary import Behind, Node
from homeport.wire.node import Report

T = TypeVar("T")

REPORT_S = 1.0  # how soon it is asked again how it is, while it works for anybody, or loads
AWAY_S = 5.0  # … while something behind it is away
ANSWERS = ("healthy", "degraded")
ITSELF = "its url leads to this gateway itself: set it to where the engine listens, or another Homeport"
NOTHING = Report()
NOWHERE = (selection.OPEN, 0)


class Behinds:
    """The last report of one node. It is as old as the last probe; places that were taken here since then are counted in."""

    def __init__(self) -> None:
        self._report = NOTHING
        self._taken = 0  # places taken here when it reported, which it counts too
        self._ranks: dict[str, tuple[int, int]] = {}  # by a name there: how well it can take an ask, and the places that were free for it
        self._loads: dict[str, int] = {}  # by a name there: places that were taken for it, or for others beside it
        self._held: dict[str, float] = {}  # until when it has no room for a name, by its word; monotonic
        self.wanted = False  # an ask would have gone there, and went elsewhere: it may have something to wake
        self.state, self.reason = "healthy", ""

    def take(self, report: Report, taken: int) -> set[str]:
        """It reported while so many of its places were taken here. The names that answer again, as they did not when it reported last."""
        away = {name for name, (rank, _) in self._ranks.items() if rank == selection.OPEN}
        by_name = {behind.name: behind for behind in report.backends}
        self._report, self._taken = report, taken
        ways = {name.name: {route.backend: by_name[route.backend] for route in name.routes if route.backend in by_name} for name in report.models}
        self._ranks = {name: _rank(behind.values()) for name, behind in ways.items()}
        self._loads = {name: sum(each.in_flight for each in behind.values() if each.state in ANSWERS) for name, behind in ways.items()}
        used = {behind.name: behind for behinds in ways.values() for behind in behinds.values()}
        self.state, self.reason = _state(list(used.values()))
        return {name for name in away if self._ranks.get(name, NOWHERE)[0] != selection.OPEN}

    def hold(self, model: str, until: float) -> None:
        """It said that it has no room for a name before then."""
        self._held[model] = until

    def rank(self, model: str, taken: int, now: float) -> int:
        """How well it could take an ask for a name there (rules/selection), while so many places are taken here. One that it does not know may be asked."""
        if self._held and now < self._held.get(model, 0.0):
            return selection.FULL
        found = _of(self._ranks, model)
        if found is None:
            return selection.WELL
        rank, room = found
        return selection.FULL if rank == selection.WELL and taken - self._taken >= room else rank

    def load(self, model: str, taken: int) -> int:
        """Places that are taken there for a name, by whomever, while so many are taken here."""
        return max(taken, (_of(self._loads, model) or 0) + taken - self._taken)

    def soon_s(self, *, busy: bool) -> float:
        """How soon it is to be asked again, out of its turn; `busy`: asks of ours are there."""
        if busy or self.state == "loading" or any(self._loads.values()):
            return REPORT_S
        return AWAY_S if self.state != "healthy" else float("inf")

    def shown(self) -> Node:
        """For `/status`."""
        behind = self._report.backends
        figures = (sum(each.in_flight for each in behind), sum(each.max_in_flight for each in behind), sum(each.queued for each in behind))
        return Node(self._report.version, *figures, behind)


def _of(names: Mapping[str, T], model: str) -> T | None:
    """What is known of a name there; Ollama's `:latest` may be there or not."""
    return names.get(model) or names.get(f"{model}:latest") or names.get(model.removesuffix(":latest"))


def _rank(behind: Iterable[Behind]) -> tuple[int, int]:
    """The best of its routes' ranks, and how many places are free over those that answer."""
    answering = [each for each in behind if each.state in ANSWERS]
    if not answering:
        return NOWHERE
    room = sum(max(0, each.max_in_flight - each.in_flight) for each in answering)
    return (selection.WELL if room else selection.FULL, room)


def _state(behind: list[Behind]) -> tuple[str, str]:
    """Its state as a whole, and why: what stands behind its names counts."""
    away = [each for each in behind if each.state not in (*ANSWERS, "drained")]
    told = "; ".join(f"{each.name} is {'loading' if each.state == 'loading' else f'away ({each.reason})' if each.reason else 'away'}" for each in away[:3])
    if not behind:
        return "degraded", "it is up, and serves no model"
    if any(each.state in ANSWERS for each in behind):
        return ("degraded", f"behind it, {told}") if away else ("healthy", "")
    if any(each.state == "loading" for each in away):
        return "loading", f"behind it, {told}"
    return "open", f"it is up, but nothing behind it answers: {told or 'all is drained'}"
