"""`homeport logs`: what happened, a line for each request, oldest first."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from homeport.cli import screen
from homeport.cli.console import say
from homeport.cli.failure import Usage
from homeport.settings import load
from homeport.storage.ledger import Ledger

POLL_S = 0.5
WINDOW = 256  # receipts looked at in each turn of --follow; it grows where more came meanwhile
STYLE = {"ok": "good", "client_left": "dim"}


def logs(
    *,
    follow: Annotated[bool, Parameter(alias="-f")] = False,
    last: Annotated[int, Parameter(alias="-n")] = 20,
    json: bool = False,
    config: Path | None = None,
) -> int:
    """What happened: a line for each request, oldest first. Works while no gateway runs, too.

    Args:
        follow: go on with each new request, until Ctrl-C.
        last: how many to begin with; 20 unless given.
        json: print the receipts as JSON, a line each.
        config: the homeport.toml whose data folder is read.
    """
    if last < 0:
        raise Usage("--last takes 0 or more")
    folder = load(config=config).server.data
    if not folder.is_dir() and not follow:
        return _none(folder, json)
    with closing(Ledger(folder)) as ledger:
        ledger.catch_up()
        rows = ledger.last(max(last, WINDOW) if follow else last)
        if not rows and not follow and last:
            return _none(folder, json)
        _print(rows[len(rows) - last :] if last < len(rows) else rows, json)
        if follow:
            _follow(ledger, {row["id"] for row in rows}, json)
    return 0


def line(row: dict[str, Any]) -> str:
    """One receipt for people: when, outcome, what was asked, what answered, how fast."""
    outcome = str(row.get("outcome"))
    backend = " ".join(dict.fromkeys(part for part in (row.get("backend"), row.get("model")) if part)) or "nobody"
    facts = []
    if row.get("prompt_tokens") or row.get("completion_tokens"):
        facts.append(f"{row.get('prompt_tokens') or 0}+{row.get('completion_tokens') or 0} tokens")
    if isinstance(row.get("first_token_ms"), int | float):
        facts.append(f"first {screen.duration(row['first_token_ms'] / 1000)}")
    if isinstance(row.get("total_ms"), int | float):
        facts.append(f"total {screen.duration(row['total_ms'] / 1000)}")
    if row.get("tok_per_s"):
        facts.append(f"{row['tok_per_s']:.0f} tok/s")
    if row.get("key"):
        facts.append(f"key {row['key']}")
    when = screen.moment(row.get("ts") or 0)
    painted = screen.paint(f"{screen.clean(outcome):<11}", STYLE.get(outcome, "bad"))
    text = f"{when}  {painted}  {screen.clean(row.get('asked'))} -> {screen.clean(backend)}  {screen.clean(', '.join(facts))}"
    failed = [attempt for attempt in row.get("attempts") or [] if attempt.get("outcome") != "ok"]
    if failed:
        text += "  [" + "; ".join(screen.clean(f"{attempt.get('backend')}: {attempt.get('reason') or attempt.get('outcome')}") for attempt in failed) + "]"
    return text.rstrip()


def _none(folder: Path, json: bool) -> int:
    if not json:
        say(f'No request yet (in {folder}). Try: homeport run default "Where is my parcel?"')
    return 0


def _print(rows: list[dict[str, Any]], json: bool) -> None:
    for row in rows:
        if json:
            screen.print_json(row)
        else:
            say(line(row))


def _follow(ledger: Ledger, seen: set[str], json: bool) -> None:
    try:
        while True:
            time.sleep(POLL_S)
            ledger.catch_up()
            fresh, seen = newer(ledger, seen)
            _print(fresh, json)
    except KeyboardInterrupt:
        return


def newer(ledger: Ledger, seen: set[str]) -> tuple[list[dict[str, Any]], set[str]]:
    """The receipts that came since the last ones were `seen`, however many they are, and what is seen now."""
    count = WINDOW
    while True:
        rows = ledger.last(count)
        fresh = [row for row in rows if row["id"] not in seen]
        if len(rows) < count or len(fresh) < len(rows):
            return fresh, {row["id"] for row in rows}
        count *= 2
