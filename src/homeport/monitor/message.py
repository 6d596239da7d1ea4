"""An event as people read it: a title, and a few sentences."""

from __future__ import annotations

import socket
import time

from homeport.rules.wording import duration
from homeport.vocabulary import Event

TITLES = {"down": "{} is down", "up": "{} is up again", "test": "A test from Homeport", "drift": "A model has drifted"}


def title(event: Event) -> str:
    """`home is down`."""
    return TITLES.get(event.kind, f"{event.kind}: {{}}").format(event.backend)


def text(event: Event) -> str:
    """What happened, since when, where the requests go or went, and which gateway says so."""
    sentences = [_sentence(event.reason), f"Since {moment(event.since)}."]
    if event.downtime_s is not None:
        begun = event.since - event.downtime_s
        sentences = [f"It was down for {duration(event.downtime_s)}, from {moment(begun)} to {moment(event.since)}."]
        if "," in event.reason:  # more than that it answers again
            sentences.insert(0, _sentence(event.reason))
    if event.traffic:
        sentences.append(f"Its requests {'go ' if event.kind == 'down' else 'meanwhile: '}{event.traffic}.")
    return " ".join(part for part in sentences if part) + f"\n— Homeport on {socket.gethostname()}, {event.id}"


def moment(seconds: float) -> str:
    """A time since the epoch on the clock of this place."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:].rstrip('.')}." if words else ""
