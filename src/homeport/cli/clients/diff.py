"""The change to a file as people read it: a unified diff with colours on a terminal, and without the secrets in it."""

from __future__ import annotations

import difflib
import re

from homeport.cli import screen
from homeport.cli.clients.client import NO_KEY

HIDDEN = "(hidden)"
_STYLES = {"+": "good", "-": "bad", "@": "dim"}
# A name that ends like one of a secret, then its value, in quotes or up to the next blank.
_SECRET = re.compile(
    r"""((?:api[-_]?key|token|secret|password|passphrase|authorization)["']?\s*[:=]\s*|\bset\s+-\w+\s+\S*(?:key|token|secret)\s+)"""
    r"""("(?:[^"\\]|\\.)*"|'[^']*'|\$\{\{.*?\}\}|[^\s,}\]#]+)""",
    re.IGNORECASE,
)
_KEY_LIKE = re.compile(r"\b(?:sk|hp|pk|rk|gsk|ghp|xox[a-z]|AIza)[-_]?[A-Za-z0-9_-]{16,}")
_NO_SECRET = re.compile(rf"""["']?(?:\$.*|{NO_KEY}|true|false|null|\d+|\|.*|>.*|)["']?""", re.IGNORECASE)


def diff(before: str, after: str, name: str) -> list[str]:
    """The lines of the difference, secrets hidden, with three lines around each change; none where there is no change."""
    rows = difflib.unified_diff(before.splitlines(), after.splitlines(), name, f"{name} with Homeport", lineterm="")
    return [screen.plain(hidden(row)) for row in rows]


def hidden(text: str) -> str:
    """The text without the values that look like secrets."""
    named = _SECRET.sub(lambda found: found[0] if _NO_SECRET.fullmatch(found[2]) else found[1] + HIDDEN, text)
    return _KEY_LIKE.sub(HIDDEN, named)


def painted(rows: list[str]) -> list[str]:
    """The lines of a diff in colours, where there are any."""
    return [screen.paint(row, "bold" if row.startswith(("+++", "---")) else _STYLES[row[0]]) if row[:1] in _STYLES else row for row in rows]
