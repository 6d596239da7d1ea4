"""How figures are spread, drawn: a histogram on a logarithmic axis with marks at p50, p95 and p99."""

from __future__ import annotations

import math
from collections.abc import Callable

from homeport.front.status.words import counted, text
from homeport.rules import distribution
from homeport.rules.distribution import Histogram

WIDE, HIGH = 340, 176
LEFT, RIGHT, TOP, BOTTOM = 6, 6, 44, 40
MOST = 44  # columns
MARKS = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_FLOOR = HIGH - BOTTOM


def drawn(found: Histogram, *, title: str, axis: str, unit: str, said: Callable[[float], str], tick: Callable[[float], str]) -> str:
    """A figure. `said` words a figure with `unit` after it, `tick` a round one on the axis; `title` and `axis` say what is shown."""
    columns = found.columns(MOST)
    low, high = columns[0].low, columns[-1].high
    if high / low < 4:  # one lone column would fill the whole drawing
        low, high = low / 2, high * 2
    scale = (WIDE - LEFT - RIGHT) / math.log(high / low)

    def x(figure: float) -> float:
        return LEFT + math.log(figure / low) * scale

    tallest = max(column.number for column in columns)
    bars = "".join(_bar(x(column.low), x(column.high), column.number, tallest, f"{said(column.low)} to {said(column.high)}{unit}") for column in columns)
    ticks = "".join(_tick(x(figure), tick(figure)) for figure in distribution.ticks(low, high))
    marks = "".join(_mark(place, name, x(figure), f"{said(figure)}{unit}") for place, (name, figure) in enumerate(_marked(found)))
    return (
        f'<figure class="plot"><figcaption>{text(title)}</figcaption>'
        f'<svg viewBox="0 0 {WIDE} {HIGH}" role="img" aria-label="{text(summary(found, title, unit, said))}">{bars}'
        f'<path class="rule" d="M{LEFT} {TOP - 0.5}H{WIDE - RIGHT}"/><text x="{LEFT}" y="{TOP - 5}">{counted(tallest, "answer")}</text>'
        f'<path class="axis" d="M{LEFT} {_FLOOR + 0.5}H{WIDE - RIGHT}"/>{ticks}{marks}'
        f'<text class="name" x="{WIDE / 2:g}" y="{HIGH - 4}" text-anchor="middle">{text(axis)}, log scale</text></svg></figure>'
    )


def summary(found: Histogram, title: str, unit: str, said: Callable[[float], str]) -> str:
    """The drawing in a sentence."""
    marks = dict(_marked(found))
    parts = ", ".join(f"{name} {said(figure)}{unit}" for name, figure in marks.items())
    return f"{title}: {parts}; from {said(found.lowest)} to {said(found.highest)}{unit}, {counted(found.count, 'answer')}."


def _marked(found: Histogram) -> list[tuple[str, float]]:
    return list(zip(MARKS, found.quantiles(MARKS.values()), strict=True))


def _bar(left: float, right: float, number: int, tallest: int, span: str) -> str:
    if not number:
        return ""
    high = max(1.5, number / tallest * (_FLOOR - TOP))
    title = f"<title>{text(span)}: {counted(number, 'answer')}</title>"
    return f'<rect class="h" x="{left + 0.5:.1f}" y="{_FLOOR - high:.1f}" width="{max(1.0, right - left - 1):.1f}" height="{high:.1f}">{title}</rect>'


def _tick(x: float, label: str) -> str:
    anchor = "start" if x < LEFT + 16 else "end" if x > WIDE - RIGHT - 16 else "middle"
    return f'<path class="axis" d="M{x:.1f} {_FLOOR}v4"/><text x="{x:.1f}" y="{_FLOOR + 16}" text-anchor="{anchor}">{text(label)}</text>'


def _mark(place: int, name: str, x: float, label: str) -> str:
    """A line at one quantile, and its words in the row above the drawing, beside a piece of the same line: so marks that lie close can be read."""
    left = LEFT + place * (WIDE - LEFT - RIGHT) // len(MARKS)
    return (
        f'<path class="m {name}" d="M{x:.1f} {TOP - 2}V{_FLOOR}"/><path class="m {name}" d="M{left} 10h20"/>'
        f'<text class="m" x="{left + 25}" y="14"><tspan class="q">{name}</tspan> {text(label)}</text>'
    )
