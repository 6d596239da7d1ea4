"""`homeport config`: say what is wrong with the configuration, or show every value and where it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from homeport.cli import screen
from homeport.cli.console import say
from homeport.errors import BadSettings
from homeport.settings import Settings, is_loopback, load, usual_file
from homeport.settings.limits import strangers
from homeport.storage.keys import Keys

UNSET = "-"


def check(*, config: Path | None = None, json: bool = False) -> int:
    """Say what is wrong with the configuration: file, line, and what was probably meant.

    Args:
        config: the file to check; else the one that `homeport up` would read.
        json: print JSON.
    """
    try:
        settings = load(config=config)
    except BadSettings as error:
        if not json:
            raise
        screen.print_json({"ok": False, "problems": str(error).splitlines()})
        return 2
    notices = [*settings.notices, *_exposed(settings), *strangers(settings, Keys(settings.server.data).names())]
    if json:
        screen.print_json({"ok": True, "file": settings.path, "notices": notices})
        return 0
    say(screen.paint(f"{settings.path or 'The configuration'} is good:", "good") + f" {said(settings)}.")
    for notice in notices:
        say(f"Note: {notice}.")
    return 0


def show(*, config: Path | None = None, json: bool = False) -> int:
    """Every value and where it comes from: flag, environment, file or default. Secrets are not shown.

    Args:
        config: the file to show; else the one that `homeport up` would read.
        json: print JSON.
    """
    settings = load(config=config)
    found = list(values(settings))
    if json:
        told = {key: {"value": value, "origin": origin} for key, value, origin in found}
        screen.print_json({"file": settings.path, "values": told, "notices": settings.notices})
        return 0
    say(f"File: {settings.path or f'none (looked for ./homeport.toml and {usual_file()})'}")
    say(*screen.table(("KEY", "VALUE", "FROM"), ((key, written(value), origin) for key, value, origin in found)))
    if settings.discover:
        say("", "No [backends]: the pilot answers, and every engine found on this machine at start.")
    return 0


def _exposed(settings: Settings) -> list[str]:
    """What `homeport up` would refuse: to be reached from other machines while there is no key."""
    if is_loopback(settings.server.listen) or Keys(settings.server.data).exist:
        return []
    return [f"{settings.server.listen} can be reached from other machines and there is no key, so the gateway will not start; first: homeport keys add NAME"]


def said(settings: Settings) -> str:
    """What the settings come to, in a few words."""
    if settings.discover:
        return f"no [backends], so it serves the pilot and the engines found at start, at {settings.server.listen}"
    return f"{screen.counted(len(settings.backends), 'backend')}, {screen.counted(len(settings.models), 'model')}, at {settings.server.listen}"


def values(settings: Settings) -> list[tuple[str, Any, str]]:
    """Each dotted key with its value and origin."""
    tree: dict[str, dict[str, Any]] = {
        "server": {"": settings.server},
        "backends": settings.backends,
        "models": settings.models,
        "monitor": {"": settings.monitor},
        "limits": {"": settings.limits},
        "limits.keys": settings.limits.keys,
        "telemetry": {"": settings.telemetry},
        "tasks": {"": settings.tasks},
        "answers": settings.answers,
        "fleet": {"": settings.fleet},
        "tunnel": {"": settings.tunnel} if settings.tunnel is not None else {},
    }
    found = []
    for section, entries in tree.items():
        for name, struct in entries.items():
            for key in struct.__struct_fields__:
                dotted = ".".join(part for part in (section, name, key) if part)
                if key not in ("name", "keys"):
                    found.append((dotted, _value(settings, dotted, getattr(struct, key)), settings.origins.get(dotted, "default")))
    return found


def written(value: Any) -> str:
    """A value as TOML would have it, on one line."""
    if value is None:
        return UNSET
    if isinstance(value, str) and value.startswith("(set from "):
        return value
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {written(inner)}" for key, inner in value.items()) + " }" if value else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else msgspec.json.encode(value).decode()


def _value(settings: Settings, dotted: str, value: Any) -> Any:
    source = settings.secrets.get(dotted)
    if source:
        return f"(set from {source})"
    if isinstance(value, Path):
        return str(value)
    if dotted in ("monitor.notify", "monitor.dead_man_url") and value:
        return _hidden(settings, dotted, value)
    if dotted == "monitor.watch":
        return list(value)
    if dotted == "tasks.paths":
        return [str(path) for path in value]
    if isinstance(value, tuple) and all(isinstance(entry, str) for entry in value):
        return list(value)
    if isinstance(value, tuple):
        return [{key: found for key in entry.__struct_fields__ if (found := getattr(entry, key)) is not None} for entry in value]
    return value


def _hidden(settings: Settings, dotted: str, value: str | tuple[str, ...]) -> str | list[str]:
    """Addresses that may hold tokens: of each only what stands before the `://`, or where it was set."""
    if isinstance(value, str):
        return f"{value.partition('://')[0]}://…"
    return [
        f"(set from {source})" if (source := settings.secrets.get(f"{dotted}[{number}]")) else f"{url.partition('://')[0]}://…"
        for number, url in enumerate(value, 1)
    ]
