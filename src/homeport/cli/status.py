"""`homeport status`: what is up, and what is not."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from homeport.cli import screen
from homeport.cli.console import say
from homeport.cli.gateway import Gateway

GOOD = ("healthy", "ready", "up")


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
        say(*lines(found))
    return 0


def lines(found: dict[str, Any]) -> list[str]:
    """The screen of one gateway's `/status`."""
    backends = [backend for backend in found.get("backends", []) if isinstance(backend, dict)]
    well = bool(backends) and all(backend.get("state") in GOOD for backend in backends)
    verdict = screen.clean(found.get("verdict") or ("all is well" if well else "not all is well"))
    named = " ".join(part for part in ("homeport", screen.clean(found.get("version") or "")) if part)
    out = [f"{screen.paint(named, 'bold')} at {found.get('url')}", screen.paint(verdict, "good" if well else "warn")]
    facts = [f"up for {screen.duration(found['uptime_s'])}"] if isinstance(found.get("uptime_s"), int | float) else []
    requests = {name: count for name, count in (found.get("requests") or {}).items() if isinstance(count, int)}
    total = sum(requests.values())
    outcomes = ", ".join(f"{count:,} {screen.clean(name)}" for name, count in requests.items() if count)
    facts.append(screen.counted(total, "request") + (f" ({outcomes})" if outcomes else ""))
    out += [", ".join(facts), ""]
    if not backends:
        return [*out, "No backend yet. Start an engine such as Ollama, or write a [backends.…] in homeport.toml."]
    out += screen.table(("BACKEND", "STATE", "BUSY", "WAITING", "FIRST TOKEN", "SPEED", "MODELS"), map(_row, backends))
    for backend in backends:
        if backend.get("state") not in GOOD and backend.get("reason"):
            since = backend.get("since")
            ago = f" for {screen.duration(time.time() - since)}" if isinstance(since, int | float) else ""
            out.append(
                screen.paint(f"{screen.clean(backend.get('name'))} is {screen.clean(backend.get('state'))}{ago}: {screen.clean(backend['reason'])}", "warn")
            )
    return [*out, *_last_incident(found)]


def _last_incident(found: dict[str, Any]) -> list[str]:
    """The last outage in one line, or nothing."""
    incident = next((incident for incident in found.get("incidents") or [] if isinstance(incident, dict)), None)
    if incident is None or not isinstance(incident.get("since"), int | float):
        return []
    until, lasted = incident.get("until"), incident.get("downtime_s")
    if isinstance(until, int | float):
        length = f" for {screen.duration(lasted)}" if isinstance(lasted, int | float) else ""
        when = f"was down{length} until {screen.moment(until)}"
    else:
        when = f"is down since {screen.moment(incident['since'])}"
    traffic = f"; {screen.clean(incident['traffic'])}" if incident.get("traffic") else ""
    return ["", f"Last incident: {screen.clean(incident.get('backend'))} {when} ({screen.clean(incident.get('reason'))}){traffic}"]


def _row(backend: dict[str, Any]) -> tuple[object, ...]:
    ttft, speed = backend.get("ttft_ms"), backend.get("tok_per_s")
    models = [model for model in backend.get("models") or [] if isinstance(model, str)]
    return (
        backend.get("name", "?"),
        backend.get("state", "?"),
        f"{backend.get('in_flight', 0)}/{backend.get('max_in_flight', '?')}",
        backend.get("queued", 0),
        screen.duration(ttft / 1000) if isinstance(ttft, int | float) else "-",
        f"{speed:.0f} tok/s" if isinstance(speed, int | float) else "-",
        ", ".join(models) or "-",
    )
