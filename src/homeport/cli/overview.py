"""`homeport` alone: how things stand, and the next three things to do."""

from __future__ import annotations

from typing import Any

from homeport.cli import screen, tunnel
from homeport.cli.console import say
from homeport.cli.failure import NoGateway
from homeport.cli.gateway import Gateway
from homeport.cli.status import GOOD, lines

ASK = ('homeport run default "Where is my parcel?"', "ask a model")
SHOWN = 3


def overview(*, json: bool = False) -> int:
    """Print the status of the gateway, or that none runs, and what to do next."""
    gateway = Gateway.configured()
    found, told = None, ""
    try:
        found = gateway.get("/status")
    except NoGateway as error:
        told = str(error).partition(". Start one")[0]
    steps = next_steps(found)
    if json:
        screen.print_json({"status": found, "next": [{"do": do, "why": why} for do, why in steps]})
        return 0
    if found:
        say(*lines(found), *tunnel.beside(None))
    else:
        say(f"{told[:1].upper()}{told[1:]}.")
    say("", "Next:")
    wide = max(len(do) for do, _ in steps)
    for number, (do, why) in enumerate(steps, 1):
        say(screen.cut(f"  {number}. {do:<{wide}}  {why}"))
    return 0


def next_steps(found: dict[str, Any] | None) -> list[tuple[str, str]]:
    """The three most useful things to do now, each with its reason."""
    if not found:
        return [
            ("homeport up", "start the gateway here, on the bundled model and the engines it finds"),
            ("homeport config show", "see what it would use, and where each value comes from"),
            ("export HOMEPORT_URL=http://HOST:8461", "use a gateway that runs elsewhere"),
        ]
    backends = [backend for backend in found.get("backends", []) if isinstance(backend, dict)]
    steps = []
    if any(backend.get("state") not in GOOD for backend in backends):
        steps.append(("homeport logs --last 50", "see what failed, and why"))
    if not sum(count for count in (found.get("requests") or {}).values() if isinstance(count, int)):
        steps.append(ASK)
    steps.append((f"export OPENAI_BASE_URL={found.get('url')}/v1", "point an app at it (any OpenAI SDK)"))
    if backends and all(backend.get("kind") == "pilot" for backend in backends):
        steps.append(("homeport pull hf.co/ORG/REPO", "bring a model that knows more: the bundled one is small; or start an engine such as Ollama"))
    steps += [
        ("homeport logs -f", "watch requests as they come"),
        ("homeport keys add laptop", "once a key exists, other machines may be let in (--listen :8461)"),
        ("homeport models", "see what can be asked for"),
    ]
    return steps[:SHOWN]
