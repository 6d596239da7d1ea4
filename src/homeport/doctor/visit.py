"""A visit to one engine: what it says of itself, its models, its memory and its clock, without a generation."""

from __future__ import annotations

import asyncio
import contextlib
import time
from email.utils import parsedate_to_datetime
from typing import Any

from msgspec import Struct

from homeport.backends.cards import Cards
from homeport.backends.node import Behinds
from homeport.doctor import web
from homeport.errors import BackendError, Stalled
from homeport.settings import BackendSettings
from homeport.vocabulary import Card
from homeport.wire import cards as wire
from homeport.wire import node
from homeport.wire.dialects import SPOKEN

NAMES = {"ollama": "Ollama", "llama.cpp": "llama.cpp", "vllm": "vLLM", "anthropic": "Anthropic's API", "homeport": "Homeport"}
FEW_S = 4.0  # for each page after the first
ALL_S = 6.0  # … and for all of them: an Ollama with many models is left with those that were asked about until then


class Loaded(Struct, frozen=True):
    """A model that an Ollama holds in memory, in bytes."""

    name: str
    size: int
    on_gpu: int


class Visit(Struct, frozen=True, kw_only=True):
    """What one visit saw."""

    backend: BackendSettings
    named: bool  # it stands in the settings; else it was looked for where engines usually are
    fault: str = ""  # why nothing came back
    connected: bool = False
    status: int = 0  # of its model list
    engine: str | None = None  # "ollama" "llama.cpp" "vllm" "anthropic"
    version: str | None = None
    models: tuple[str, ...] = ()
    cards: dict[str, Card] = {}
    loaded: tuple[Loaded, ...] = ()
    is_homeport: bool = False
    behind: str = ""  # a Homeport: what is not well behind it
    skew_s: float | None = None  # its clock less ours; 0 where they agree as far as can be seen; None where it does not tell

    @property
    def url(self) -> str:
        """Its address."""
        return self.backend.url or ""

    @property
    def good(self) -> bool:
        """Whether it gave its list of models."""
        return self.status == 200 and not self.fault


def visit(backend: BackendSettings, *, named: bool) -> Visit:
    """Look at one engine that is reached over HTTP. Never raises a BackendError: a fault is part of what was seen."""
    dialect = backend.kind if backend.kind in SPOKEN else "openai"
    headers = _headers(backend, dialect)
    spoken = SPOKEN[dialect]
    try:
        listing = web.fetch(f"{backend.url}{spoken.models_path}", headers)
    except BackendError as error:
        return Visit(backend=backend, named=named, fault=str(error), connected=error.outcome != "unreachable")
    ours = node.gateway(listing.body) is not None or node.CODE.decode() in listing.headers
    seen = Visit(backend=backend, named=named, connected=True, status=listing.status, is_homeport=ours, skew_s=skew(listing))
    if listing.status != 200:
        return seen
    pages: dict[str, bytes] = {}
    ends = time.monotonic() + ALL_S

    async def page(path: str, body: bytes | None) -> bytes:
        if time.monotonic() > ends:
            raise Stalled("it was asked enough")
        more = {"content-type": "application/json"} if body is not None else {}
        found = web.fetch(f"{backend.url}{path}", headers | more, body, FEW_S)
        pages[path] = found.body if found.status == 200 else b""
        return pages[path]

    cards = Cards(backend.name, backend.kind)
    with contextlib.suppress(BackendError):
        asyncio.run(cards.learn(listing.body, page))
    names = spoken.models(listing.body)
    known = {name: card for name in names if (card := cards.find(name)) is not None}
    first = next(iter(known.values()), None)
    rows = wire.rows(listing.body)
    engines = [engine for row in rows if (engine := wire.engine_of(row)) is not None]
    return Visit(
        backend=backend,
        named=named,
        connected=True,
        status=200,
        engine=(first.engine if first else None) or (engines[0] if engines else "ollama" if backend.kind == "ollama" else None),
        version=(first.version if first else None) or wire.version(pages.get("/api/version", b"")),
        models=tuple(names),
        cards=known,
        loaded=_loaded(pages.get("/api/ps", b"")),
        is_homeport=ours,
        behind=_behind(backend, headers) if ours else "",
        skew_s=seen.skew_s,
    )


def _behind(backend: BackendSettings, headers: dict[str, str]) -> str:
    """What is not well behind a Homeport, by what it says itself."""
    with contextlib.suppress(BackendError):
        report = node.report(web.fetch(f"{backend.url}{node.BRIEF}", headers, within_s=FEW_S).body)
        if report is not None:
            behind = Behinds()
            behind.take(report, 0)
            return behind.reason
    return ""


def skew(page: web.Page) -> float | None:
    """How far the other side's clock is from ours, in seconds, by the `Date` it sent: what the way there or the whole seconds explain does not count."""
    try:
        theirs = parsedate_to_datetime(page.headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
    if theirs > page.answered_at:
        return theirs - page.answered_at
    return min(theirs + 1 - page.asked_at, 0.0)


def _headers(backend: BackendSettings, dialect: str) -> dict[str, str]:
    if dialect == "anthropic":
        return {"anthropic-version": "2023-06-01"} | ({"x-api-key": backend.api_key} if backend.api_key else {})
    return {"authorization": f"Bearer {backend.api_key}"} if backend.api_key else {}


def _loaded(page: bytes) -> tuple[Loaded, ...]:
    rows = [row for row in wire.rows(page) if isinstance(row.get("name"), str)]
    return tuple(Loaded(row["name"], _bytes(row.get("size")), _bytes(row.get("size_vram"))) for row in rows)


def _bytes(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0
