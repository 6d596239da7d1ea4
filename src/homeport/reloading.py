"""What a running gateway can take over from a changed file, and what only a restart can."""

from __future__ import annotations

from homeport.errors import BadSettings
from homeport.settings import Settings


def refuse(running: Settings, wanted: Settings) -> None:
    """Raises BadSettings, a line for each setting that has changed and cannot while the gateway runs."""
    ours, theirs = running.server, wanted.server
    fixed = [
        ("server.listen", ours.listen != theirs.listen, f", which listens at {ours.listen} and would at {theirs.listen}"),
        ("server.data", ours.data != theirs.data, f", which uses {ours.data} and would use {theirs.data}"),
        ("telemetry.otlp_url", running.telemetry.otlp_url != wanted.telemetry.otlp_url, ""),
        ("[fleet]", running.fleet != wanted.fleet, ""),
    ]
    problems = [
        f"{wanted.path or 'the settings'}: {name} cannot change while the gateway runs{said}. Restart the gateway, or put the old value back"
        for name, changed, said in fixed
        if changed
    ]
    if problems:
        raise BadSettings("\n".join(problems))
