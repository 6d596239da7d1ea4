"""`homeport config reload`: apply the configuration to the running gateway."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path
from typing import Any

from homeport.cli import screen
from homeport.cli.console import aside, say
from homeport.cli.failure import NoGateway, Usage
from homeport.errors import BadSettings
from homeport.fleet.control import tell
from homeport.settings import load, places


def reload(*, config: Path | None = None, json: bool = False) -> int:
    """Apply the configuration to the running gateway; a bad file is refused, and the gateway goes on as it was.

    What is under way ends as it began. SIGHUP does the same, without telling what came of it.

    Args:
        config: the homeport.toml that the gateway runs with; else the one that `homeport up` would read.
        json: print JSON.
    """
    if sys.platform == "win32":
        raise Usage("config reload is for Linux and macOS; on Windows, restart the gateway")
    problem: BadSettings | None = None
    data: Path | None
    try:
        data = load(config=config).server.data
    except BadSettings as error:  # the gateway says so itself, where it can be found; its environment may be another
        problem, data = error, _data(config)
    answers = tell(data, {"do": "reload", "config": str(config.absolute()) if config is not None else None}) if data is not None else []
    if not answers:
        raise problem or NoGateway(f"no gateway runs with the data folder {data}. Start one: homeport up")
    good = all(answer.get("ok") for answer in answers)
    if json:
        screen.print_json(answers[0] if len(answers) == 1 else {"ok": good, "gateways": answers})
        return 0 if good else 2
    for answer in answers:
        _say(answer)
    return 0 if good else 2


def _say(answer: dict[str, Any]) -> None:
    if not answer.get("ok"):
        aside(f"homeport: the gateway (pid {answer.get('pid')}) goes on as it was:", *(f"  {screen.clean(line)}" for line in answer.get("problems") or ["?"]))
        return
    found = answer.get("backends") or {}
    changes = [f"{what}: {', '.join(map(screen.clean, found[what]))}" for what in ("added", "changed", "removed") if found.get(what)]
    told = f"The gateway (pid {answer.get('pid')}) now runs what {answer.get('file') or 'the settings'} says"
    say(screen.paint(told, "good") + (f"; backends {'; '.join(changes)}." if changes else "; no backend changed."))
    for notice in answer.get("notices") or []:
        say(f"Note: {screen.clean(notice)}.")


def _data(config: Path | None) -> Path | None:
    """The data folder that a file with faults probably means; None where nobody can say."""
    told = os.environ.get("HOMEPORT_DATA")
    path, _ = places.find(config, os.environ)
    try:
        if told:
            return Path(told).expanduser().absolute()
        server = tomllib.loads(path.read_text(encoding="utf-8")).get("server") if path is not None else None
        data = server.get("data") if isinstance(server, dict) else None
        if isinstance(data, str) and path is not None:
            return path.absolute().parent / Path(data).expanduser()
        return places.data_folder(os.environ).absolute()
    except (OSError, ValueError, RuntimeError):
        return None
