"""Replies of OpenAI's surface as tasks read them, and what goes along with a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from homeport.vocabulary import Errand, Said

STREAMED = {"stream_options": {"include_usage": True}}  # the last record then has the figures
FIGURES = {"backend": "x-homeport-backend", "model": "x-homeport-model", "location": "x-homeport-location", "attempts": "x-homeport-attempts"}
SPEEDS = {"tok_per_s": "x-tok-per-s", "gen_time": "x-gen-time", "tokens": "x-tokens"}
TASK, CHECKS, PRIVATE = "homeport-task", "homeport-checks", "homeport-private"


def headers(errand: Errand) -> dict[str, str]:
    """What a request says of its errand; signs of names that ASCII lacks are percent-encoded (RFC 3986)."""
    found = {TASK: quote(errand.task)}
    if errand.checks:
        found[CHECKS] = ",".join(map(quote, errand.checks))
    if errand.private:
        found[PRIVATE] = "true"
    return found


def whole(body: Mapping[str, Any], heads: Mapping[str, str]) -> Said:
    """A reply that came in one."""
    choice = _first(body)
    message = choice.get("message")
    text = message.get("content") if isinstance(message, Mapping) else choice.get("text")
    return Said(dict(body), text if isinstance(text, str) else "", choice.get("finish_reason"), _ours(heads))


class Gathered:
    """A reply that comes as a stream; each piece of its text is handed to `hear`."""

    def __init__(self, hear: Callable[[str], None]) -> None:
        self._hear = hear
        self._text: list[str] = []
        self._half = ""  # of a character whose other half is in the next piece
        self._finish: str | None = None
        self._figures: Mapping[str, Any] = {}
        self._usage: Any = None

    def take(self, event: Mapping[str, Any]) -> None:
        """Note one event."""
        figures = event.get("homeport")
        self._figures = figures if isinstance(figures, Mapping) else self._figures
        self._usage = event.get("usage") or self._usage
        choices = event.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, Mapping):  # of no shape that is known: what it says counts as nothing
                continue
            self._finish = choice.get("finish_reason") or self._finish
            inner = choice.get("delta") or choice.get("message")
            piece = (inner.get("content") if isinstance(inner, Mapping) else choice.get("content")) or choice.get("text")
            if isinstance(piece, str) and piece:
                self._say(piece)

    def _say(self, piece: str) -> None:
        if self._half:  # of UTF-16, by an engine that counts characters so
            piece, self._half = (self._half + piece).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass"), ""
        if "\ud800" <= piece[-1] <= "\udbff":
            piece, self._half = piece[:-1], piece[-1]
        if piece:
            self._text.append(piece)
            self._hear(piece)

    def said(self, heads: Mapping[str, str]) -> Said:
        """All of it."""
        told = {header: str(self._figures[name]) for name, header in (FIGURES | SPEEDS).items() if self._figures.get(name) is not None}
        text = "".join(self._text) + self._half
        body = {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": self._finish}], "usage": self._usage}
        return Said(body, text, self._finish, _ours(heads) | told)


def _first(body: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = body.get("choices")
    found = choices[0] if isinstance(choices, list) and choices else {}
    return found if isinstance(found, Mapping) else {}


def places(status: Mapping[str, Any], name: str) -> Sequence[tuple[str | None, str]]:
    """Engine and location of each backend behind a name, from `/status`."""
    backends = {backend["name"]: backend for backend in status.get("backends") or ()}
    for entry in status.get("models") or ():
        if entry.get("name") in (name, f"{name}:latest", name.removesuffix(":latest")):
            behind = [(route.get("card"), backends.get(route.get("backend"), {})) for route in entry.get("routes") or ()]
            return [(engine(card, backend.get("kind")), backend.get("location", "cloud")) for card, backend in behind]
    return []


def keeps(status: Mapping[str, Any]) -> bool:
    """Whether a gateway says that it keeps private asks on local backends: one that knows nothing of them would send them anywhere."""
    found = status.get("honours")
    return isinstance(found, list) and PRIVATE in found


def engine(card: Any, kind: str | None) -> str | None:
    """What runs at a backend: our own are known before they were ever asked."""
    if kind in ("engine", "pilot"):
        return "llama.cpp"
    found = card.get("engine") if isinstance(card, Mapping) else None
    return str(found) if found else None


def _ours(heads: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in heads.items() if name[:2] in ("x-", "X-")}
