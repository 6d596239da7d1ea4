"""`homeport notify test`: does a message reach those who are to be told?"""

from __future__ import annotations

import secrets
import time
from pathlib import Path

from homeport.cli import screen
from homeport.cli.console import aside, say
from homeport.cli.failure import Failed
from homeport.monitor.notify import deliver, targets
from homeport.settings import load
from homeport.vocabulary import Event

EXAMPLE = '[monitor] notify = ["ntfys://ntfy.sh/a-name-of-your-own"]'


def send_test(*, json: bool = False, config: Path | None = None) -> int:
    """Send a test message to every address of [monitor] notify, and say which took it. Needs no running gateway; quiet hours do not count.

    Args:
        json: print JSON.
        config: the homeport.toml whose addresses are used.
    """
    settings = load(config=config)
    to = targets(settings.monitor.notify)
    if not to:
        raise Failed(f"there is nobody to tell: write {EXAMPLE} in {settings.path or 'homeport.toml'}")
    event = Event(f"evt-{secrets.token_hex(8)}", "test", None, round(time.time(), 3), "This is how Homeport tells you when a backend goes down.", None, None)
    faults = []
    for target in to:
        if not json:
            aside(f"Sending to {target.label} …")
        faults.append(deliver(target.url, event))
    if json:
        told = [{"target": target.label, "ok": fault is None, "reason": fault} for target, fault in zip(to, faults, strict=True)]
        screen.print_json({"id": event.id, "sent": told, "ok": not any(faults)})
    else:
        for target, fault in zip(to, faults, strict=True):
            say(screen.paint(f"{target.label}: {fault or 'taken'}", "bad" if fault else "good"))
    return 1 if any(faults) else 0
