"""The status page: a verdict first, then backends, incidents, and how fast answers come."""

from __future__ import annotations

import base64
import hashlib
import time
from functools import cache
from pathlib import Path
from urllib.parse import quote

from starlette.responses import Response

from homeport.front import pages
from homeport.front.pages import Overview
from homeport.front.status import cards
from homeport.front.status.words import counted, moment, text
from homeport.rules import heartbeat
from homeport.rules.wording import duration

FRESH_S = 1.0  # a page is made at most so often, however many look at it
COLOURS = {"good": "#1a7f37", "warn": "#9a6700", "bad": "#cf222e", "idle": "#636c76"}


class StatusPage:
    """`/status` of one gateway, as a page or as JSON."""

    def __init__(self, overview: Overview) -> None:
        self._overview = overview
        self._made_at = float("-inf")
        self._made = b""

    def answer(self, accept: str, *, brief: bool = False) -> Response:
        """The page where an Accept header prefers it, else JSON: all of it, or in brief."""
        headers = {"vary": "accept", "cache-control": "no-cache", "x-content-type-options": "nosniff"}
        if brief or not prefers_html(accept):
            body = pages.brief(self._overview) if brief else pages.status(self._overview, time.time())
            return Response(body, headers=headers, media_type="application/json")
        if time.monotonic() - self._made_at >= FRESH_S:
            self._made, self._made_at = html(self._overview, time.time()).encode(), time.monotonic()
        headers |= {"content-security-policy": policy(), "referrer-policy": "no-referrer"}
        return Response(self._made, headers=headers, media_type="text/html")


def prefers_html(accept: str) -> bool:
    """Whether an Accept header (RFC 9110, 12.5.1) likes `text/html` better than `application/json`."""
    return _liked(accept, "text", "html") > _liked(accept, "application", "json")


def _liked(accept: str, kind: str, form: str) -> float:
    """The weight of a media type, by the most exact range that names it; 0 where none does."""
    ranges = {f"{kind}/{form}": 3, f"{kind}/*": 2, "*/*": 1}
    best = (0, 0.0)
    for entry in accept.lower().split(","):
        named, *parameters = (part.strip() for part in entry.split(";"))
        weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        if named in ranges:
            best = max(best, (ranges[named], float(weight) if weight.replace(".", "", 1).isdecimal() else 1.0))
    return best[1]


@cache
def style() -> str:
    """The style sheet, as it stands in the page."""
    return Path(__file__).with_name("style.css").read_text(encoding="utf-8")


@cache
def policy() -> str:
    """Nothing but this page's own style, known by its hash, and the icon that is in it."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def html(overview: Overview, now: float) -> str:
    """The whole page. `now`: seconds since the epoch."""
    standings = overview.standings()
    verdict = pages.verdict(standings, overview.trouble, overview.fleet_standing)
    state = "open" if overview.trouble else cards.worst(standings)
    tone = cards.SHAPES[state][1]
    answered = sum(overview.counts.values())
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{text(verdict)} – Homeport</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">',
        f'<meta name="robots" content="noindex"><link rel="icon" href="{_favicon(state, tone)}"><style>{style()}</style></head><body>',
        f'<header><p class="brand">Homeport</p><h1 class="{tone}">{cards.icon(state)}<span>{text(verdict)}</span></h1>',
        f'<p class="facts">As of {moment(now, seconds=True)} · up for {duration(now - overview.started_at)} · {counted(answered, "request")} since then',
        ' · <a href="">Refresh</a></p></header><main>',
        _backends(overview, now),
        f'<section aria-labelledby="incidents"><h2 id="incidents">Incidents</h2>{cards.incidents(overview.incidents, now)}</section>',
        _speeds(overview),
        f"</main><footer><p>Homeport {text(overview.version)}. Times are UTC. The same as JSON: ask for this address with ",
        "<code>Accept: application/json</code>.</p></footer></body></html>",
    ]
    return "".join(parts)


def _backends(overview: Overview, now: float) -> str:
    beats = overview.history.heartbeats()
    today = heartbeat.day(now)
    shown = "".join(cards.backend(standing, beats.get(standing.name, {}), now, today, place) for place, standing in enumerate(overview.standings()))
    body = f'<div class="grid">{shown}</div>' if shown else '<p class="none">There is none yet.</p>'
    key = '<p class="note">A bar a day: its gap at the top is the share of probes that failed, a stub is a day without any.</p>' if shown else ""
    return f'<section aria-labelledby="backends"><h2 id="backends">Backends</h2>{key}{body}</section>'


def _speeds(overview: Overview) -> str:
    found = overview.history.distributions()
    shown = "".join(cards.model(name, spread, place) for place, (name, spread) in enumerate(found.items()))
    note = (
        "The last 7 days, as callers saw them: the time to the first token begins when the request was there, and holds every wait and failed try. "
        "p95: 95 % of the answers had this or less. p5 of the tokens a second is the slow end."
    )
    body = f'<p class="note">{note}</p><div class="grid">{shown}</div>' if shown else '<p class="none">No answer in the last 7 days.</p>'
    return f'<section aria-labelledby="speeds"><h2 id="speeds">How fast answers come</h2>{body}</section>'


def _favicon(state: str, tone: str) -> str:
    """The shape of the state as the page's icon."""
    colour = COLOURS[tone]
    look = f"<style>.on{{fill:none;stroke:#fff;stroke-width:2}}.line{{fill:none;stroke:{colour};stroke-width:1.6}}</style>"
    return "data:image/svg+xml," + quote(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="{colour}">{look}{cards.SHAPES[state][2]}</svg>')
