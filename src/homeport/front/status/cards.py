"""Backends, incidents and speeds as they stand on the status page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from homeport.front.status import bars, plots
from homeport.front.status.words import ago, counted, milliseconds, moment, named, speed, text, tick
from homeport.rules.distribution import Histogram, Spread
from homeport.rules.heartbeat import Beats
from homeport.rules.wording import duration, watched
from homeport.vocabulary import Incident, Standing

MODELS = 8  # names in a card
INCIDENTS = 10  # before they fold
ROWS = (("p5", 0.05), ("p50 (half)", 0.5), ("p95", 0.95), ("p99", 0.99))

# A shape of its own for each state, beside its word and its colour.
SHAPES = {
    "healthy": ("Healthy", "good", '<circle cx="8" cy="8" r="7"/><path class="on" d="M4.5 8.2l2.4 2.4 4.6-4.9"/>'),
    "loading": ("Loading", "warn", '<path d="M8 1a7 7 0 0 1 0 14z"/><circle class="line" cx="8" cy="8" r="6.2"/>'),
    "degraded": ("Degraded", "warn", '<path d="M8 .8l7.4 13.4H.6z"/><path class="on" d="M8 5.4v4M8 11.4v1.2"/>'),
    "open": ("Not answering", "bad", '<rect x="1" y="1" width="14" height="14" rx="2.5"/><path class="on" d="M5 5l6 6M11 5l-6 6"/>'),
    "drained": ("Drained", "idle", '<circle class="line" cx="8" cy="8" r="6.2"/><path class="line" d="M6.2 5.4v5.2M9.8 5.4v5.2"/>'),
}
UNKNOWN = SHAPES["open"]


def icon(state: str) -> str:
    """The shape of a state; its word stands beside it."""
    return f'<svg class="shape" viewBox="0 0 16 16" aria-hidden="true">{SHAPES.get(state, UNKNOWN)[2]}</svg>'


def worst(standings: Sequence[Standing]) -> str:
    """The state that the page as a whole is in."""
    order = ("open", "drained", "loading", "degraded", "healthy")
    able = [standing.state for standing in standings if standing.state in ("healthy", "degraded")]
    states = {standing.state if standing.state in order else "open" for standing in standings}
    found = next((state for state in order if state in states), "open")
    return "degraded" if able and found == "open" else found


def backend(standing: Standing, beats: Mapping[int, Beats], now: float, today: int, place: int) -> str:
    """One card."""
    word, tone, _ = SHAPES.get(standing.state, UNKNOWN)
    cause = f'<p class="cause{" calm" if standing.state == "healthy" else ""}">{text(standing.reason)}</p>' if standing.reason else ""
    facts = "".join(f"<div><dt>{name}</dt><dd>{said}</dd></div>" for name, said in _facts(standing, now))
    return (
        f'<article class="card" aria-labelledby="b{place}"><div class="top"><h3 id="b{place}">{named(standing.name)}</h3>'
        f'<p class="state {tone}">{icon(standing.state)}{word}</p></div>'
        f'<p class="kind">{text(standing.kind)}, {"in the cloud" if standing.location == "cloud" else "local"}</p>{cause}<dl>{facts}</dl>'
        f"{bars.drawn(beats, today, standing.name)}{_models(standing.models)}</article>"
    )


def _facts(standing: Standing, now: float) -> list[tuple[str, str]]:
    facts = [("Since", f"{moment(standing.since)} <small>({ago(standing.since, now)})</small>")]
    if standing.node is not None:
        behind = standing.node.backends[:MODELS]
        facts += [
            (f"Behind: {text(each.name)}", f"{text(each.state)}, {each.in_flight} of {each.max_in_flight} busy, {each.queued} waiting") for each in behind
        ]
    if standing.retry_at is not None:
        wait = standing.retry_at - now
        facts.append(("Next try", f"in {duration(wait)}" if wait > 0 else "with the next request"))
    facts.append(("Under way", f"{standing.in_flight} of {counted(standing.max_in_flight, 'place')}"))
    facts.append(("Waiting", f"{standing.queued:,}"))
    facts.append(("First token", milliseconds(standing.ttft_ms) if standing.ttft_ms is not None else "–"))
    facts.append(("Speed", f"{speed(standing.tok_per_s)} tokens/s" if standing.tok_per_s else "–"))
    if standing.cold_start_s is not None:
        facts.append(("Last cold start", duration(standing.cold_start_s)))
    if standing.zombies:
        facts.append(("Given up, still computed", counted(standing.zombies, "answer")))
    return facts


def _models(models: Sequence[str]) -> str:
    if not models:
        return '<p class="models">No model is known there.</p>'
    more = len(models) - MODELS
    listed = "".join(f"<li>{named(model)}</li>" for model in models[:MODELS])
    return f'<ul class="models" aria-label="Models">{listed}{f"<li>and {more} more</li>" if more > 0 else ""}</ul>'


def incidents(found: Sequence[Incident], now: float) -> str:
    """The outages, newest first; the older ones folded."""
    if not found:
        return '<p class="none">None in the last 90 days.</p>'
    listed = [_incident(incident, now) for incident in found]
    older = f"<details><summary>{counted(len(listed) - INCIDENTS, 'earlier one')}</summary><ol>{''.join(listed[INCIDENTS:])}</ol></details>"
    return f'<ol class="incidents">{"".join(listed[:INCIDENTS])}</ol>{older if len(listed) > INCIDENTS else ""}'


def _incident(incident: Incident, now: float) -> str:
    lasts = incident.until is None
    length = duration(now - incident.since if incident.until is None else incident.downtime_s or incident.until - incident.since)
    when = f"since {moment(incident.since)}" if incident.until is None else f"{moment(incident.since)} to {moment(incident.until)}"
    goes = "Its requests go" if lasts else "Its requests meanwhile:"
    traffic = f'<p class="traffic">{goes} {text(incident.traffic)}.</p>' if incident.traffic else ""
    state = f'<span class="state {"bad" if lasts else "idle"}">{icon("open" if lasts else "healthy")}{"down for" if lasts else "was down for"} {length}</span>'
    return f'<li class="card"><h3>{named(watched(incident.backend))} {state}</h3><p class="when">{when}</p><p>{_sentence(incident.reason)}</p>{traffic}</li>'


def _sentence(words: str) -> str:
    return text(f"{words[:1].upper()}{words[1:].rstrip('.')}.") if words else ""


def model(name: str, spread: Spread, place: int) -> str:
    """One served name: two drawings, and their figures."""
    first, fast = spread.first_token_ms, spread.tok_per_s
    figures = [("First token", first, milliseconds), ("Tokens/s", fast, speed)]
    drawings = plots.drawn(first, title="Time to first token", axis="time to first token", unit="", said=milliseconds, tick=tick)
    if fast.counts:
        drawings += plots.drawn(fast, title="Tokens a second", axis="tokens a second", unit="/s", said=speed, tick=speed)
    head = "".join(f'<th scope="col">{title}</th>' for title, _, _ in figures)
    rows = "".join(_row(words, share, figures) for words, share in ROWS)
    counts = "".join(f"<td>{found.count:,}</td>" for _, found, _ in figures)
    return (
        f'<article class="card" aria-labelledby="m{place}"><h3 id="m{place}">{named(name)}</h3><div class="plots">{drawings}</div>'
        f'<table class="small"><caption class="unseen">Figures of {named(name)}</caption><thead><tr><td></td>{head}</tr></thead>'
        f'<tbody>{rows}<tr><th scope="row">Answers</th>{counts}</tr></tbody></table></article>'
    )


def _row(words: str, share: float, figures: Sequence[tuple[str, Histogram, Callable[[float], str]]]) -> str:
    quantiles = [(found.quantile(share), said) for _, found, said in figures]
    cells = "".join(f"<td>{'–' if figure is None else said(figure)}</td>" for figure, said in quantiles)
    return f'<tr><th scope="row">{words}</th>{cells}</tr>'
