"""Where requests go while a backend is down, and where they went: in words, from the routes and the receipts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from homeport.errors import HomeportError

Routes = Callable[[], Iterable[tuple[str, Sequence[str]]]]  # each served name and its backends, in order
Count = Callable[[Collection[str], float, float], Mapping[str | None, int]]  # answers by backend (None: not answered) for names asked between two times
SHOWN = 5  # names


class Traffic:
    """Says where the requests for a backend's models go (monitor.transitions.Whereabouts). May be asked from any thread."""

    def __init__(self, routes: Routes, count: Count) -> None:
        self._routes = routes
        self._count = count

    def goes(self, backend: str) -> str | None:
        """`to vm, then pilot (assistant); nowhere (coder)`; None where no route leads there."""
        others: dict[tuple[str, ...], list[str]] = {}
        for name, backends in self._routes():
            if backend in backends:
                others.setdefault(tuple(dict.fromkeys(other for other in backends if other != backend)), []).append(name)
        ways = [(f"to {', then '.join(left)}" if left else "nowhere", names) for left, names in others.items()]
        return "; ".join(f"{way} ({_listed(names)})" for way, names in ways) or None

    def went(self, backend: str, since: float, until: float) -> str | None:
        """`vm answered 12, pilot 3; 2 were not answered`; None where no route leads there, or the receipts cannot be read."""
        names = {name for name, backends in self._routes() if backend in backends}
        if not names:
            return None
        try:
            answers = dict(self._count(names, since, until))
        except HomeportError:
            return None
        lost = answers.pop(None, 0)
        ranked = sorted(answers.items(), key=lambda item: -item[1])
        said = [f"{other} {'answered ' if place == 0 else ''}{number}" for place, (other, number) in enumerate(ranked)]
        parts = [", ".join(said)] if said else []
        if lost:
            parts.append(f"{lost} {'was' if lost == 1 else 'were'} not answered")
        return "; ".join(parts) or "nobody asked"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
