"""What was seen of the clients as the tables of docs/clients.md."""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import Struct

from tests.clients.installing import version

PAGE = Path(__file__).resolve().parents[2] / "docs" / "clients.md"
COLUMNS = {
    "chat": "chat",
    "stream": "stream",
    "tools": "tools",
    "schema": "JSON schema",
    "embeddings": "embeddings",
    "error": "error",
    "cut": "cut",
    "cancel": "cancel",
}
EVERY = {("anthropic", "embeddings"): ("cannot embed", "400: Anthropic has none")}  # what no client gets, as `Client.reasons`
THROUGH, BARE = "Through Homeport", "What is different without Homeport"

Seen = dict[str, dict[str, str]]
"""place → cell → what was seen there."""


class Client(Struct, frozen=True):
    """One row: a client, how its script is started, and what is known not to work, each with the reason that the table shows."""

    name: str
    dialect: str  # openai | responses | anthropic | ollama
    script: str  # in scripts/, and its further arguments
    package: str
    kinds: tuple[str, ...] = ("openai", "anthropic", "ollama", "engine")  # of the backends it is tried on
    room: str = ""  # "": the environment of the tests
    reasons: dict[tuple[str, str], tuple[str, str]] = {}  # (backend kind, cell): (what must stand in what was seen, the reason in words)

    @property
    def title(self) -> str:
        return f"{self.name} {version(self.room, self.package)}"

    def reason(self, kind: str, cell: str) -> tuple[str, str] | None:
        """Why a cell cannot hold on this kind of backend."""
        return self.reasons.get((kind, cell)) or EVERY.get((kind, cell))


def row(client: Client, seen: Seen) -> str:
    """The client's row: what holds on every kind of backend is said once."""
    return _line([client.title, *(_cell(client, cell, seen) for cell in COLUMNS)])


def _cell(client: Client, cell: str, seen: Seen) -> str:
    facts: dict[str, list[str]] = {}
    for place, cells in seen.items():
        where, kind = place.split(":")
        if where == "homeport" and cell in cells:
            fact, reason = cells[cell], client.reason(kind, cell)
            facts.setdefault(f"— {reason[1]}" if reason and fact.startswith("✗") else fact, []).append(kind)
    if len(facts) == 1:
        return next(iter(facts))
    usual = max(facts, key=lambda fact: len(facts[fact]))
    return "; ".join([usual, *(f"{', '.join(kinds)}: {fact}" for fact, kinds in facts.items() if fact != usual)])


def bare_rows(client: Client, seen: Seen) -> list[str]:
    """One row for each thing that is different where the client asks the backend itself."""
    rows = []
    for cell, title in COLUMNS.items():
        ours = _cell(client, cell, seen)
        for place, name in (("bare:scripted", "scripted"), ("bare:engine", "llama.cpp")):
            theirs = seen.get(place, {}).get(cell)
            if theirs is not None and theirs != seen["homeport:" + ("engine" if name != "scripted" else _kind(client))].get(cell):
                rows.append(_line([client.title, title, name, _short(theirs), ours]))
    return rows


def _kind(client: Client) -> str:
    return "openai" if client.dialect == "responses" else client.dialect


def _short(fact: str) -> str:
    """Of what did not hold only the kind of error, which is the same each time."""
    found = re.match(r"✗ (\w+): ", fact)
    return f"✗ `{found[1]}`" if found else fact


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def worse(client: Client, seen: Seen) -> list[str]:
    """What does not hold through Homeport, and is neither explained nor as bad without it; and explanations of what does hold."""
    faults = []
    for place, cells in seen.items():
        where, kind = place.split(":")
        for cell, fact in cells.items() if where == "homeport" else ():
            reason = client.reason(kind, cell)
            bare = seen.get("bare:engine" if kind == "engine" else "bare:scripted" if kind == _kind(client) else "", {})
            if reason is not None and not fact.startswith("—") and (not fact.startswith("✗") or reason[0] not in fact):
                faults.append(f"{kind} {cell}: expected a refusal with {reason[0]!r}, saw {fact}")
            elif reason is None and fact.startswith("✗") and bare.get(cell, "✓") != fact:
                faults.append(f"{kind} {cell}: {fact}")
    return faults


def written(client: Client) -> list[str]:
    """The rows of a client on the page."""
    return [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {client.title} |")]


def update(clients: list[Client], client: Client, rows: list[str]) -> None:
    """Put the rows of a client into the tables of the page: the first one into the first table, the others into the second."""
    text = PAGE.read_text(encoding="utf-8")
    for heading, fresh in ((THROUGH, rows[:1]), (BARE, rows[1:])):
        before, table, after = _split(text, heading)
        kept = {other.name: [line for line in table[2:] if _named(line, other)] for other in clients}
        kept[client.name] = fresh
        lines = [*table[:2], *(line for other in clients for line in kept[other.name])]
        text = before + "".join(f"{line}\n" for line in lines) + after
    PAGE.write_text(text, encoding="utf-8")


def _named(line: str, client: Client) -> bool:
    return line.startswith(f"| {client.name} ") and re.match(rf"\| {re.escape(client.name)} \S+ \|", line) is not None


def _split(text: str, heading: str) -> tuple[str, list[str], str]:
    """What stands before the table under a heading, its lines, and what stands after."""
    found = re.search(rf"(.*^## {re.escape(heading)}\n.*?)((?:^\|[^\n]*\n)+)(.*)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"{PAGE.name} has no table under {heading!r}"
    return found[1], found[2].splitlines(), found[3]
