"""The documentation as tests see it: headings, code blocks, tables and links of each page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#{1,4}) (.+)$", re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`]+)`")


class Block(NamedTuple):
    """One fenced block: the language it names, and its text."""

    language: str
    text: str


class Page:
    """One page of documentation."""

    def __init__(self, path: str | Path) -> None:
        self.path = ROOT / path
        self.name = str(self.path.relative_to(ROOT))
        self.text = self.path.read_text(encoding="utf-8")
        self.prose = FENCE.sub("", self.text)

    def __repr__(self) -> str:
        return self.name

    def blocks(self, language: str) -> list[str]:
        """The fenced blocks in a language, in order."""
        return [text for found, text in FENCE.findall(self.text) if found == language]

    @property
    def headings(self) -> list[str]:
        return [title for _, title in HEADING.findall(self.prose)]

    def section(self, heading: str) -> str:
        """What stands under a heading, up to the next one of any level. Raises KeyError."""
        parts = HEADING.split(self.prose)[1:]
        return dict(zip(parts[1::3], parts[2::3], strict=True))[heading]

    @property
    def anchors(self) -> set[str]:
        """The fragments that lead to its headings."""
        return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in self.headings}

    @property
    def links(self) -> list[str]:
        return LINK.findall(self.prose)

    @property
    def code(self) -> set[str]:
        """All that stands between backticks."""
        return set(CODE.findall(self.prose))


def rows(text: str) -> dict[str, list[str]]:
    """The tables in a text: each row by the code in its first cell, with its other cells."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("| `") and len(cells) > 1:
            found[cells[0].strip("`")] = cells[1:]
    return found


PAGES = [Page(path.relative_to(ROOT)) for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]]
