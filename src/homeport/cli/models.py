"""`homeport models`: the names that can be asked for, and what answers them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from homeport.cli import screen
from homeport.cli.console import say
from homeport.cli.gateway import Gateway


def models(*, json: bool = False, config: Path | None = None) -> int:
    """The models that can be asked for, and what answers them, in order.

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
        say(*screen.table(("MODEL", "ANSWERED BY"), ((model.get("name"), routes(model)) for model in found)))
    return 0


def routes(model: dict[str, Any]) -> str:
    """`home (qwen3.5:latest), then pilot`."""
    parts = []
    for route in model.get("routes") or []:
        name = route.get("model")
        parts.append(f"{route.get('backend')} ({name})" if name and name not in (model.get("name"), route.get("backend")) else str(route.get("backend")))
    return ", then ".join(parts) or "-"
