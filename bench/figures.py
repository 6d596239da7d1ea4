"""What a run found: figures with their targets, the rows they stand in, and how both are printed."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Figure:
    """One figure of the table. `must` and `aim` are the project's targets; `least` and `most` the noise of this run."""

    label: str
    value: float | None
    unit: str = ""
    must: float | None = None
    aim: float | None = None
    less_is_better: bool = False
    least: float | None = None
    most: float | None = None
    reason: str = ""  # why there is no value

    @property
    def mark(self) -> str:
        """`aim`, `must` or `short`: the best target that the value meets."""
        if self.value is None:
            return "none"
        if self.aim is not None and self._meets(self.aim):
            return "aim"
        if self.must is not None and self._meets(self.must):
            return "must"
        return "" if self.must is None and self.aim is None else "short"

    def _meets(self, target: float) -> bool:
        assert self.value is not None
        return self.value <= target if self.less_is_better else self.value >= target


@dataclass
class Row:
    """One row of the run: its figures, a small table of what they were made of, and remarks."""

    name: str
    title: str
    figures: list[Figure] = field(default_factory=list)
    columns: Sequence[str] = ()
    lines: list[Sequence[str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    raw: list[dict[str, Any]] = field(default_factory=list)


def median(values: Iterable[float]) -> float:
    return float(statistics.median(values))


def number(value: float | None, unit: str = "") -> str:
    """Three significant digits, thousands apart."""
    if value is None:
        return "-"
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"
    return f"{text} {unit}".strip()


def ratio(label: str, above: Sequence[float], below: Sequence[float], *, must: float | None, aim: float | None, less_is_better: bool = False) -> Figure:
    """The median of round-by-round ratios, with the least and the most of them."""
    each = [up / down for up, down in zip(above, below, strict=False) if up and down]
    if not each:
        return Figure(label, None, "", must, aim, less_is_better, reason="not measured")
    return Figure(label, median(each), "", must, aim, less_is_better, min(each), max(each))


def spread(values: Sequence[float]) -> str:
    """The median, and least to most in brackets."""
    return f"{number(median(values))} ({number(min(values))}–{number(max(values))})" if values else "-"


MARKS = {"aim": "● aim met", "must": "◐ must met", "short": "○ falls short", "none": "– not measured", "": ""}


def print_figures(rows: list[Row]) -> str:
    """The table of ratios and figures, targets beside them."""
    lines = [f"{'figure':<66} {'value':>10}  {'this run':<16} {'must':>8} {'aim':>8}"]
    for row in rows:
        for one in row.figures:
            noise = f"{number(one.least)}–{number(one.most)}" if one.least is not None else ""
            mark = MARKS[one.mark] + (f": {one.reason}" if one.reason else "")
            lines.append(f"{one.label:<66} {number(one.value, one.unit):>10}  {noise:<16} {number(one.must):>8} {number(one.aim):>8}  {mark}".rstrip())
    return "\n".join(lines)


def print_row(row: Row) -> str:
    """One row's details."""
    out = [f"\n{row.title}"]
    if row.lines:
        table = [row.columns, *row.lines]
        widths = [max(len(str(line[n])) for line in table) for n in range(len(row.columns))]
        out += ["  " + "  ".join(f"{cell!s:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in table]
    out += [f"  {remark}" for remark in row.remarks]
    return "\n".join(out)


def as_json(rows: list[Row]) -> list[dict[str, Any]]:
    return [{**asdict(row), "figures": [{**asdict(one), "mark": one.mark} for one in row.figures]} for row in rows]
