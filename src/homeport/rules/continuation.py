"""Whether an answer that broke amid its stream may be gone on with, and where."""

from __future__ import annotations

from collections.abc import Sequence

from homeport.errors import BackendError, Stalled
from homeport.vocabulary import Route

PREFILLS = frozenset({"llama.cpp", "vllm"})
"""Engines that are known to go on exactly behind the text of a last turn of the assistant's, and to show only what is new."""


def excusable(error: BaseException) -> bool:
    """Whether another attempt could do better: the backend failed, and not because the answer's time in all was up."""
    return isinstance(error, BackendError) and not (isinstance(error, Stalled) and error.overdue)


def order(routes: Sequence[Route], broken: Route) -> list[Route]:
    """Who may go on with what `broken` began: the same model elsewhere, in the order of `routes`, then the same place again.

    Only where the engine is known to take a begun answer. Empty where nobody may.
    """
    same = [route for route in routes if route.model == broken.model and route.engine in PREFILLS]
    return [route for route in same if route.backend != broken.backend] + [route for route in same if route.backend == broken.backend]
