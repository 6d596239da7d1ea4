"""`homeport status`: what is up, and what is not."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from homeport.cli import screen, tunnel
from homeport.cli.console import say
from homeport.cli.gateway import Gateway
from homeport.rules import heartbeat

GOOD = ("healthy", "ready", "up")
WORDS = {"open": "not answering"}  # states whose word is not for everybody
INCIDENTS = 3
BEHIND = 8  # backends of a node that are shown
NAMES = 12  # served names whose speed is shown
QUANTILES = ("p50", "p95", "p99")


def status(*, json: bool = False, config: Path | None = None) -> int:
    """What is up, and what is not.

    Args:
        json: print JSON.
        config: the homeport.toml whose address is asked.
    """
    found = Gateway.configured(config).get("/status")
    if json:
        screen.print_json(found)
    else:
        say(*lines(found), *tunnel.beside(config))
    return 0


def lines(found: dict[str, Any]) -> list[str]:
    """The screen of one gateway's `/status`."""
    backends = [backend for backend in found.get("backends", []) if isinstance(backend, dict)]
    fleet = found.get("fleet")
    well = bool(backends) and all(backend.get("state") in GOOD for backend in backends) and not (isinstance(fleet, dict) and fleet.get("state") != "together")
    verdict = screen.clean(found.get("verdict") or ("all is well" if well else "not all is well"))
    named = " ".join(part for part in ("homeport", screen.clean(found.get("version") or "")) if part)
    out = [f"{screen.paint(named, 'bold')} at {found.get('url')}", screen.paint(verdict, "good" if well else "warn")]
    facts = [f"up for {screen.duration(found['uptime_s'])}"] if isinstance(found.get("uptime_s"), int | float) else []
    requests = {name: count for name, count in (found.get("requests") or {}).items() if isinstance(count, int)}
    total = sum(requests.values())
    outcomes = ", ".join(f"{count:,} {screen.clean(name)}" for name, count in requests.items() if count)
    facts.append(screen.counted(total, "request") + (f" ({outcomes})" if outcomes else ""))
    out += [", ".join(facts), *_fleet(fleet), ""]
    if not backends:
        return [*out, "No backend yet. Start an engine such as Ollama, or write a [backends.…] in homeport.toml."]
    head = ("BACKEND", "STATE", "BUSY", "WAITING", "FIRST TOKEN", "SPEED", "90 DAYS", "MODELS")
    out += screen.table(head, (row for backend in backends for row in (_row(backend, _share(found, backend)), *_behind(backend))))
    out += [screen.paint(_cause(backend), "warn") for backend in backends if backend.get("state") not in GOOD and backend.get("reason")]
    return [*out, *_speeds(found), *_incidents(found)]


def _fleet(fleet: Any) -> list[str]:
    """`fleet: together with 1 other gateway, 4 workers in all`; nothing where it shares with nobody. Where the store is away, the verdict says so."""
    if not isinstance(fleet, dict):
        return []
    others, since = fleet.get("gateways", 1) - 1, fleet.get("since")
    if fleet.get("state") == "together":
        with_whom = f"together with {screen.counted(others, 'other gateway')}" if others else "no other gateway is there"
        return [f"fleet: {with_whom}, {screen.counted(fleet.get('workers', 1), 'worker')} in all, through {screen.clean(fleet.get('store'))}"]
    ago = f" for {screen.duration(time.time() - since)}" if isinstance(since, int | float) else ""
    return [screen.paint(f"fleet: away from {screen.clean(fleet.get('store'))}{ago}", "warn")]


def _cause(backend: dict[str, Any]) -> str:
    """`home is not answering for 5 min: connection refused; next try in 12 s`."""
    since, retry_at = backend.get("since"), backend.get("retry_at")
    ago = f" for {screen.duration(time.time() - since)}" if isinstance(since, int | float) else ""
    wait = retry_at - time.time() if isinstance(retry_at, int | float) else None
    again = "" if wait is None else f"; next try in {screen.duration(wait)}" if wait > 0 else "; next try with the next request"
    return f"{screen.clean(backend.get('name'))} is {_state(backend)}{ago}: {screen.clean(backend['reason'])}{again}"


def _state(backend: dict[str, Any]) -> str:
    state = str(backend.get("state", "?"))
    return screen.clean(WORDS.get(state, state))


def _share(found: dict[str, Any], backend: dict[str, Any]) -> str:
    """How many of its probes were good."""
    beats = found.get("heartbeats")
    days = [day for day in (beats.get(backend.get("name")) or [] if isinstance(beats, dict) else []) if isinstance(day, dict)]
    good, bad = (sum(day[word] for day in days if isinstance(day.get(word), int)) for word in ("good", "bad"))
    return heartbeat.percent(good / (good + bad)) if good + bad else "-"


def _speeds(found: dict[str, Any]) -> list[str]:
    """How fast each served name was answered."""
    names = [entry for entry in found.get("distributions") or [] if isinstance(entry, dict)]
    if not names:
        return []
    marks = "/".join(QUANTILES)
    rows = [
        (
            entry.get("model", "?"),
            _count(entry.get("first_token_ms")),
            _quantiles(entry.get("first_token_ms"), lambda figure: screen.duration(figure / 1000)),
            _quantiles(entry.get("tok_per_s"), lambda figure: f"{figure:,.0f}" if figure >= 9.95 else f"{figure:.2g}"),
        )
        for entry in names[:NAMES]
    ]
    more = [f"and {len(names) - NAMES} more (--json has them)"] if len(names) > NAMES else []
    return ["", *screen.table(("LAST 7 DAYS", "ANSWERS", f"FIRST TOKEN {marks}", f"TOKENS/S {marks}"), rows), *more]


def _count(figures: Any) -> object:
    return figures.get("count", "-") if isinstance(figures, dict) else "-"


def _quantiles(figures: Any, said: Callable[[float], str]) -> str:
    marks = [figures.get(mark) for mark in QUANTILES] if isinstance(figures, dict) else []
    return " / ".join(said(mark) if isinstance(mark, int | float) else "-" for mark in marks) or "-"


def _incidents(found: dict[str, Any]) -> list[str]:
    """The last outages, a line each, newest first; or nothing."""
    known = [incident for incident in found.get("incidents") or [] if isinstance(incident, dict) and isinstance(incident.get("since"), int | float)]
    told = [_incident(incident) for incident in known[:INCIDENTS]]
    if not told:
        return []
    return ["", f"Last incident: {told[0]}", *(f"Before that: {line}" for line in told[1:])]


def _incident(incident: dict[str, Any]) -> str:
    until, lasted = incident.get("until"), incident.get("downtime_s")
    if isinstance(until, int | float):
        length = f" for {screen.duration(lasted)}" if isinstance(lasted, int | float) else ""
        when = f"was down{length} until {screen.moment(until)}"
    else:
        when = f"is down since {screen.moment(incident['since'])}"
    traffic = f"; {screen.clean(incident['traffic'])}" if incident.get("traffic") else ""
    return f"{screen.clean(incident.get('backend'))} {when} ({screen.clean(incident.get('reason'))}){traffic}"


def _behind(backend: dict[str, Any]) -> list[tuple[object, ...]]:
    """A row for each backend of a Homeport that is a backend here."""
    node = backend.get("node")
    behind = node.get("backends") if isinstance(node, dict) else None
    rows = [each for each in behind if isinstance(each, dict)] if isinstance(behind, list) else []
    name = backend.get("name", "?")
    return [
        (f"{name}/{each.get('name', '?')}", _state(each), f"{each.get('in_flight', 0)}/{each.get('max_in_flight', '?')}", each.get("queued", 0), *"----")
        for each in rows[:BEHIND]
    ]


def _row(backend: dict[str, Any], share: str) -> tuple[object, ...]:
    ttft, speed = backend.get("ttft_ms"), backend.get("tok_per_s")
    models = [model for model in backend.get("models") or [] if isinstance(model, str)]
    return (
        backend.get("name", "?"),
        _state(backend),
        f"{backend.get('in_flight', 0)}/{backend.get('max_in_flight', '?')}",
        backend.get("queued", 0),
        screen.duration(ttft / 1000) if isinstance(ttft, int | float) else "-",
        f"{speed:.0f} tok/s" if isinstance(speed, int | float) else "-",
        share,
        ", ".join(models) or "-",
    )
