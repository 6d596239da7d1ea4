"""`homeport models`: the names that can be asked for, what answers them, and what is known of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from homeport.cli import screen
from homeport.cli.console import say
from homeport.cli.gateway import Gateway

WORDS = {"completion": "chat", "tools": "tools", "vision": "images", "thinking": "thinking", "insert": "fill-in", "embedding": "embeddings"}


def models(*, json: bool = False, config: Path | None = None) -> int:
    """The models that can be asked for, what answers them, in order, and what each of those can do.

    Args:
        json: print JSON.
        config: the homeport.toml whose address is asked.
    """
    found = [model for model in Gateway.configured(config).get("/status").get("models", []) if isinstance(model, dict)]
    if json:
        screen.print_json(found)
    elif not found:
        say("No model yet. Start an engine such as Ollama, or write a [models.…] in homeport.toml.")
    else:
        say(*screen.table(("MODEL", "ANSWERED BY", "CONTEXT", "CAN"), (row for model in found for row in rows(model))))
    return 0


def rows(model: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """A line for each route: `home (qwen3.5:latest)`, `4096 of 32768`, `chat, tools, JSON`."""
    name = str(model.get("name"))
    for number, route in enumerate(model.get("routes") or [{}]):
        card = route.get("card") or {}
        yield (name if number == 0 else "", "then " * (number > 0) + answers(name, route), context(card), can(card))


def routes(model: dict[str, Any]) -> str:
    """All routes in a few words: `home (qwen3.5:latest), then pilot`."""
    return ", then ".join(answers(str(model.get("name")), route) for route in model.get("routes") or []) or "-"


def answers(name: str, route: dict[str, Any]) -> str:
    """Which model of which backend answers by a route; the model is left out where its name says no more."""
    backend, there = route.get("backend"), route.get("model")
    return f"{backend} ({there})" if there and there not in (name, backend) else str(backend or "-")


def context(card: dict[str, Any]) -> str:
    """The tokens that a prompt and its answer may have, of those the model was made for."""
    now, made_for = card.get("context"), card.get("trained")
    if now is None:
        return f"up to {made_for}" if made_for else "-"
    return f"{now} of {made_for}" if made_for and made_for != now else str(now)


def can(card: dict[str, Any]) -> str:
    """What the model can do, as far as its backend tells."""
    known = card.get("capabilities") or {}
    words = [word for capability, word in WORDS.items() if known.get(capability)]
    if card.get("format") in ("yes", "schema"):
        words.append("JSON")
    if card.get("cuts"):
        words.append("cuts long prompts in silence")
    return "; ".join(part for part in (", ".join(words), card.get("about") or "") if part) or "not known"
