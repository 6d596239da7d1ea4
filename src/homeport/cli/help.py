"""How help looks: two columns, plain text, no wider than the terminal."""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING

from cyclopts.help import PlainFormatter
from rich.console import Console

from homeport.cli import screen

if TYPE_CHECKING:
    from cyclopts.help import HelpEntry, HelpPanel
    from rich.console import ConsoleOptions

WIDEST = 100
LEAST = 20  # for the words on the right


class Columns(PlainFormatter):
    """Names on the left, what they do on the right."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        rows = [(_names(entry), _words(entry)) for entry in panel.entries]
        if not rows:
            return
        left = max(len(name) for name, _ in rows) + 4
        right = max(min(options.max_width, WIDEST) - left, LEAST)
        if panel.title:
            console.out(screen.paint(f"{panel.title}:", "bold"), highlight=False)
        for name, words in rows:
            first, *others = textwrap.wrap(words, right, break_on_hyphens=False) or [""]
            lines = [f"  {name:<{left - 2}}{first}".rstrip(), *(" " * left + other for other in others)]
            console.out("\n".join(lines), highlight=False)
        console.print()

    def render_description(self, console: Console, options: ConsoleOptions, description: object) -> None:
        """Each paragraph, wrapped."""
        text = getattr(description, "plain", None) or _text(description)
        for paragraph in text.strip().split("\n\n"):
            console.out(textwrap.fill(paragraph, min(options.max_width, WIDEST)) + "\n", highlight=False)


def _names(entry: HelpEntry) -> str:
    return ", ".join(entry.display_labels_with_metavar)


def _words(entry: HelpEntry) -> str:
    return " ".join(_text(entry.description).split())


def _text(renderable: object) -> str:
    """What rich would show of it on an endless line, without styles."""
    if renderable is None or isinstance(renderable, str):
        return renderable or ""
    page = io.StringIO()
    Console(file=page, width=100_000, color_system=None).print(renderable, highlight=False)
    return page.getvalue()
