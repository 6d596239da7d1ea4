"""Heartbeats of 90 days: a bar a day, in words for those who do not see them, and as a table."""

from __future__ import annotations

from collections.abc import Mapping

from homeport.front.status.words import counted, text
from homeport.rules import heartbeat
from homeport.rules.heartbeat import Beats

STEP, WIDE, HIGH = 10, 7, 40  # of a bar, in units of the drawing
LEAST = 8  # height of what failed: a single lost probe is to be seen
STUB = 4  # height where nothing is known


def drawn(beats: Mapping[int, Beats], today: int, name: str) -> str:
    """A figure for one backend. A bar's gap at its top is the share of probes that failed; a stub is a day without probes."""
    days = heartbeat.calendar(beats, today)
    bars = "".join(_bar(place * STEP, day, found) for place, (day, found) in enumerate(days))
    label = text(f"{name}, the last {heartbeat.KEPT_DAYS} days: {summary(beats, today)}")
    return (
        f'<figure class="beats"><svg viewBox="0 0 {len(days) * STEP - STEP + WIDE} {HIGH}" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f"{bars}</svg>"
        f'<div class="ends" aria-hidden="true"><span>{heartbeat.KEPT_DAYS} days ago</span><span>today</span></div>'
        f"<figcaption>{text(summary(beats, today))}</figcaption></figure>{_table(beats, today, name)}"
    )


def summary(beats: Mapping[int, Beats], today: int) -> str:
    """`99.98 % of the probes of 12 days were good; 2 of these days had failed ones.`"""
    shown = {day: found for day, found in beats.items() if today - heartbeat.KEPT_DAYS < day <= today}
    share = heartbeat.total(shown).share
    if share is None:
        return "No probe has said anything yet."
    told = [found for found in shown.values() if found.share is not None]
    bad = sum(1 for found in told if found.bad)
    period = "of one day" if len(told) == 1 else f"of {len(told)} days"
    if not bad:
        return f"All probes {period} were good."
    failed = "that day had" if len(told) == 1 else f"{bad} of these days had"
    return f"{heartbeat.percent(share)} of the probes {period} were good" + ("." if len(told) == 1 else f"; {failed} failed ones.")


def _bar(x: int, day: int, found: Beats) -> str:
    share = found.share
    title = f"<title>{_told(day, found)}</title>"
    if share is None:
        return f'<rect class="n" x="{x}" y="{HIGH - STUB}" width="{WIDE}" height="{STUB}">{title}</rect>'
    failed = round(max(LEAST, (1 - share) * HIGH)) if found.bad else 0
    good = f'<rect class="g" x="{x}" y="{failed}" width="{WIDE}" height="{HIGH - failed}"/>' if failed < HIGH else ""
    lost = f'<path class="b" d="M{x} 0h{WIDE}v{failed - 2}h-{WIDE}z"/>' if failed else ""
    return f"<g>{title}{good}{lost}</g>"


def _told(day: int, found: Beats) -> str:
    """`2026-11-21: 99.5 % good, 3 of 600 probes failed`."""
    date = heartbeat.date(day)
    if found.share is None:
        return f"{date}: {counted(found.neither, 'probe') + ' said nothing' if found.neither else 'no probes'}"
    failed = f", {found.bad:,} of {counted(found.good + found.bad, 'probe')} failed" if found.bad else f", {counted(found.good, 'probe')}"
    return f"{date}: {heartbeat.percent(found.share)} good{failed}"


def _table(beats: Mapping[int, Beats], today: int, name: str) -> str:
    """The same in figures, newest first, where there are any."""
    days = [(day, found) for day, found in reversed(heartbeat.calendar(beats, today)) if found != heartbeat.NONE]
    if not days:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{heartbeat.date(day)}</th><td>{"–" if found.share is None else heartbeat.percent(found.share)}</td>'
        f"<td>{found.good:,}</td><td>{found.bad:,}</td><td>{found.neither:,}</td></tr>"
        for day, found in days
    )
    head = "".join(f'<th scope="col">{column}</th>' for column in ("day", "share", "good", "failed", "neither"))
    return (
        f'<details><summary>Day by day<span class="unseen">, {text(name)}</span></summary>'
        f'<div class="wide" tabindex="0" role="region" aria-label="{text(f"Probes of {name}, day by day")}"><table>'
        f"<caption>Probes of {text(name)}, by day (UTC). Neither: it was loading, or too busy to answer a probe.</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )
