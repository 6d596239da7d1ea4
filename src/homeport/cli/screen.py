"""How commands write: tables and colours for people on a terminal, JSON for programs."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from homeport.cli.console import say
from homeport.rules.wording import duration

STYLES = {"bold": "1", "dim": "2", "good": "32", "bad": "31", "warn": "33"}
GAP = "  "

__all__ = ["clean", "counted", "cut", "duration", "is_terminal", "moment", "paint", "plain", "print_json", "table"]


def is_terminal(stream: TextIO | None = None) -> bool:
    """Whether people watch the stream (stdout unless given)."""
    return (stream or sys.stdout).isatty()


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    """The text in a style of STYLES, on a terminal that has colours and nobody who minds them (NO_COLOR)."""
    if not is_terminal(stream) or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m"


def clean(text: object) -> str:
    """The text on one line without control characters, which could command a terminal."""
    return "".join(c if c.isprintable() else " " for c in str(text))


def plain(text: str) -> str:
    """The text with its line ends and tabs, but without other control characters."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))


def print_json(value: Any) -> None:
    """One line of JSON on stdout, as ASCII where stdout is no UTF-8."""
    ascii_only = not (sys.stdout.encoding or "").lower().startswith("utf")
    say(json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":"), default=str))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of aligned columns under a head; on a terminal the last column is cut to its width."""
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(head, *cells, strict=True)]
    lines = []
    for row in ([*head], *cells):
        line = GAP.join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
        lines.append(cut(line))
    lines[0] = paint(lines[0], "dim")
    return lines


def cut(line: str) -> str:
    """The line no wider than the terminal; as it is where there is none."""
    wide = shutil.get_terminal_size().columns if is_terminal() else sys.maxsize
    return line if _width(line) <= wide else line[: wide - 1] + "…"


def moment(seconds: float) -> str:
    """A time since the epoch on the clock of this place: the hour where it is today, else with the date."""
    then = time.localtime(seconds)
    today = time.localtime()[:3] == then[:3]
    return time.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S", then)


def counted(number: int, word: str) -> str:
    """`1 key`, `2 keys`, `1,200 requests`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
