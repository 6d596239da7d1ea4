"""A portfolio one can ask: what the data says is answered by code, at once; an open question by a model, over that data."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct, to_builtins
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples import page

FOLDER = Path(__file__).parent
PROJECTS: dict[str, dict[str, str]] = {
    name: {field: str(value) for field, value in fields.items()} for name, fields in tomllib.loads((FOLDER / "portfolio.toml").read_text("utf-8")).items()
}
FIELDS = ("what", "language", "license", "since", "status")
VERBS = ("help", "list", "show", "explain", "clear")
SHEETS = 3  # so many projects are told to the model, those that fit the question best: small models read little
SENTENCES = {  # a field as a sentence, for the model
    "what": "{name} is {value}.",
    "language": "{name} is written in {value}.",
    "license": "The license of {name} is {value}.",
    "since": "{name} was first released in {value}.",
    "status": "The status of {name} is {value}.",
    "explain": "{value}",
}
HELP = (
    ("list", "all projects"),
    ("show NAME", "what there is to know of one"),
    ("show NAME FIELD", f"one field of it: {', '.join(FIELDS)}"),
    ("explain NAME", "how it works"),
    ("clear", "an empty screen"),
    ("…", "anything else is a question, and a model answers it from the same data"),
)


class Row(Struct, frozen=True):
    """A line of an answer: a term, what is said of it, and the command that tells more."""

    term: str
    text: str
    run: str | None = None


class Reply(Struct, frozen=True):
    """What the data says: a text, rows, or both."""

    text: str = ""
    rows: list[Row] = []


class Line(Struct, frozen=True):
    """What was typed."""

    line: str


def known(line: str) -> Reply | None:
    """The answer that needs no model: exact words, patterns, and the data; None where the line is an open question."""
    match line.lower().split():
        case ["help" | "?"]:
            return Reply(rows=[Row(term, text, term if term == "list" else None) for term, text in HELP])
        case ["list"]:
            return Reply(rows=[Row(name, fields["what"], f"show {name}") for name, fields in PROJECTS.items()])
        case ["show" | "explain"]:
            return Reply("Which one?", [Row(name, "", f"{line.lower().strip()} {name}") for name in PROJECTS])
        case [name] | ["show", name] if name in PROJECTS:
            return Reply(rows=[*(Row(field, PROJECTS[name][field]) for field in FIELDS), Row("more", f"explain {name}", f"explain {name}")])
        case ["show", name, field] if name in PROJECTS and field in PROJECTS[name]:
            return Reply(PROJECTS[name][field])
        case ["explain", name] if name in PROJECTS:
            return Reply(f"{name} is {PROJECTS[name]['what']}. {PROJECTS[name]['explain']}")
        case ["show", name, field] if name in PROJECTS:
            return meant(f"{name} has no field “{field}”", f"show {name}", field, FIELDS)
        case ["show", name, *_] if near(name, PROJECTS):
            return meant(f"There is no project “{name}”", "show", name, PROJECTS)
        case ["explain", name] if near(name, PROJECTS):
            return meant(f"There is no project “{name}”", "explain", name, PROJECTS)
        case [verb] if near(verb, VERBS):
            return meant(f"There is no command “{verb}”", "", verb, VERBS)
        case _:
            return None


def meant(what: str, before: str, word: str, words: Iterable[str]) -> Reply:
    """Says what there is none of, and offers what may have been meant."""
    offers = near(word, words) or list(words)
    return Reply(f"{what}. Did you mean …", [Row(offer, "", f"{before} {offer}".strip()) for offer in offers])


def near(word: str, words: Iterable[str]) -> list[str]:
    """The words that one is likely a slip of."""
    return difflib.get_close_matches(word, list(words), n=3, cutoff=0.75)


def facts() -> list[dict[str, str]]:
    """Every fact as a sentence, with the command that shows where it is from."""
    return [
        {"run": f"explain {name}" if field == "explain" else f"show {name} {field}", "text": SENTENCES[field].format(name=name, value=value)}
        for name, fields in PROJECTS.items()
        for field, value in fields.items()
    ]


def sheet(name: str) -> str:
    """All that is known of a project, in sentences."""
    return " ".join(SENTENCES[field].format(name=name, value=value) for field, value in PROJECTS[name].items())


def context(question: str) -> str:
    """The sheets that share most words with the question; a word that many of them have counts less."""
    sheets = {name: set(words(sheet(name))) for name in PROJECTS}
    rarity = {word: 1 / sum(word in found for found in sheets.values()) for found in sheets.values() for word in found}
    fit = {name: sum(rarity[word] for word in set(words(question)) & found) for name, found in sheets.items()}
    return "\n".join(sheet(name) for name in sorted(fit, key=lambda name: -fit[name])[:SHEETS])


def words(text: str) -> list[str]:
    """The words of a text, in small letters."""
    return re.findall(r"\w+", text.lower())


async def data(request: Request) -> Response:
    """GET /data: the facts, and all that Tab may complete."""
    commands = [*VERBS, *(f"{verb} {name}" for verb in ("show", "explain") for name in PROJECTS)]
    return JSONResponse({"facts": facts(), "commands": commands + [f"show {name} {field}" for name in PROJECTS for field in FIELDS]})


async def answer(request: Request) -> Response:
    """POST /answer: what the data says, or null."""
    return JSONResponse(to_builtins(known((await page.read(request, Line)).line)))


async def ask(request: Request) -> Response:
    """POST /ask: what the model finds in the data, as server-sent events; it can only quote, and null means that the data does not say."""
    question = (await page.read(request, Line)).line
    return page.passed("/tasks/ask", {"input": {"question": question, "context": context(question)}, "stream": True})


if __name__ == "__main__":
    routes = [Route("/data", data), Route("/answer", answer, methods=["POST"]), Route("/ask", ask, methods=["POST"])]
    page.serve(page.site(FOLDER, routes))
