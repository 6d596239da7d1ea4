"""Figures, moments and names as the status page says them, safe to stand in HTML."""

from __future__ import annotations

import html
from datetime import UTC, datetime

from homeport.rules.wording import duration

SHOWN = 80  # characters of a name


def text(said: object) -> str:
    """Any text, with nothing in it that HTML or a reader's eye would take for something else."""
    words = str(said)
    return html.escape(words if words.isprintable() else "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in words))


def named(name: str) -> str:
    """A name from elsewhere, cut where it is endless."""
    return text(name if len(name) <= SHOWN else name[: SHOWN - 1] + "…")


def moment(at: float, *, seconds: bool = False) -> str:
    """`2026-11-21 14:02 UTC`, as a `time` element; seconds since the epoch."""
    try:
        then = datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError):
        return "at an unknown time"
    shown = then.strftime("%Y-%m-%d %H:%M:%S UTC" if seconds else "%Y-%m-%d %H:%M UTC")
    return f'<time datetime="{then.strftime("%Y-%m-%dT%H:%M:%SZ")}">{shown}</time>'


def ago(at: float, now: float) -> str:
    """How long ago a moment was: `3 h 20 min`; within a second: `now`."""
    return duration(now - at) if now - at >= 1 else "a moment"


def milliseconds(figure: float) -> str:
    """`420 ms`, `1.2 s`."""
    return duration(figure / 1000)


def speed(figure: float) -> str:
    """`31`, `4.2`, `1,200`."""
    return f"{figure:,.0f}" if figure >= 9.95 else f"{figure:.2g}"


def tick(figure: float) -> str:
    """A round number of milliseconds on an axis: `50 ms`, `2 s`, `100 s`."""
    return f"{figure:g} ms" if figure < 1000 else f"{figure / 1000:,g} s"


def counted(number: int, word: str, words: str | None = None) -> str:
    """`1 answer`, `1,200 answers`."""
    return f"{number:,} {word if number == 1 else words or word + 's'}"
