"""Plan: one call of a task, made ready: what is sent, and how what comes back is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct, field

from homeport.tasks.shapes import Shape
from homeport.vocabulary import Said

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"


class Plan(Struct, frozen=True, kw_only=True):
    """What one call of a task asks of a model, whichever it is."""

    body: dict[str, Any]  # all but the model, and how its answer is held to its shape
    path: str = CHAT
    shape: Shape | None = None  # what its text must be; None: `take` reads the reply itself
    sources: Sequence[str] = ()  # what a Quote must stand in
    take: Callable[[Any], Any] = lambda value: value  # the value (without a shape: the Said) as the task's result; raises Fault
    complete: Callable[[Any], Any] | None = None  # where `take` refused all: the result that code makes of the last value of the shape; raises Fault
    checks: Sequence[Callable[[Any], Any]] = ()  # of the task's own, on the result
    withheld: bool = False  # the result holds what no model is told, so neither is what a check says of it
    whole: bool = True  # an answer that met the token limit is cut, and none


class Ready(Struct, frozen=True):
    """A call that needs no model: a rule in code knew the result."""

    output: Any


class Outcome(Struct, frozen=True, kw_only=True):
    """What a task came to."""

    output: Any
    route: dict[str, Any] | None = None  # backend, model, location; None: no model answered
    checks: list[str] = field(default_factory=list)  # which held
    attempts: list[dict[str, Any]] = field(default_factory=list)  # model, backend, location, check, reason, tokens, ms, cost_usd; check null: it held
    offline: bool = False  # nothing that holds came of a model: the task's own function answered
    said: Said | None = None  # the last reply

    @property
    def cost_usd(self) -> float | None:
        """US dollars for all attempts together; None where that of one is not known."""
        costs = [attempt["cost_usd"] for attempt in self.attempts]
        return None if None in costs else float(sum(costs))


Call = Plan | Ready
