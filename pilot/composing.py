"""The two tasks that write: payment follow-ups with placeholders in three tones, and prompts spread over six bands."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

import intent
import prompts
from grammar import invented, lines, sentence_case, split, typo
from values import fill, held

_DRAFTS = {head: split(rest) for head, rest in (line.split(": ", 1) for line in lines("drafts.txt"))}
_FILLERS = {head: split(rest) for head, rest in (line.split(": ", 1) for line in lines("bands.txt"))}
_MARK = "\x00"


def _kept(text: str, rng: random.Random) -> str:
    """`text` with its choices made and the placeholders left alone."""
    guarded = re.sub(r"\{(clientName|dueDate|amount|daysOverdue)\}", rf"{_MARK}\1{_MARK}", text)
    return re.sub(rf"{_MARK}(\w+){_MARK}", r"{\1}", fill(guarded, rng))


def draft(tone: str, rng: random.Random) -> dict[str, str]:
    """Subject and body of one follow-up; every placeholder stands in the body."""

    def part(name: str) -> str:
        return _kept(rng.choice(_DRAFTS[f"{tone}.{name}"]), rng)

    opening = [part("opening")] if rng.random() < 0.8 else []
    extra = [part("extra")] if tone != "friendly" or rng.random() < 0.8 else []
    body = [part("greeting"), " ".join([*opening, part("fact")]), " ".join([part("wish"), *extra]), part("close")]
    return {"subject": part("subject"), "body": "\n\n".join(body)}


def drafted(rng: random.Random) -> tuple[str, str]:
    """A prompt of the task `draft` and its answer."""
    tone = rng.choice(prompts.TONES)
    return prompts.draft(tone), prompts.packed(draft(tone, rng))


@dataclass
class Field:
    """What the scatter of one field of work needs: persona, context, format, rules, and raw prompts."""

    name: str
    persona: str
    context: str
    shape: str
    rules: list[str]
    raw: list[str]


def _fields() -> list[Field]:
    found: list[Field] = []
    for line in lines("raw.txt"):
        if line.startswith("= "):
            name, persona, context, shape, *rules = split(line[2:])
            found.append(Field(name, persona, context, shape, rules, []))
        else:
            found[-1].raw.extend(split(line))
    return found


FIELDS = _fields()


def _bands(field: Field, task: str, given: list[str], rng: random.Random) -> dict[str, str]:
    data = "Given: " + "; ".join(given) + "." if given else rng.choice(_FILLERS["data"])
    persona = f"You are {field.persona}."
    rest = len(" ".join((persona, field.context, data, field.shape, task)).split())
    rules = rng.sample(field.rules, len(field.rules))
    spare = rng.sample(_FILLERS["rule"], len(_FILLERS["rule"]))
    while (len(rules) < 5 or len(" ".join(rules).split()) < 0.85 * rest) and spare:
        rules.append(spare.pop())
    return dict(zip(prompts.BANDS, (persona, field.context, data, " ".join(rules), field.shape, task), strict=True))


def _free(field: Field, rng: random.Random) -> str:
    """A wish for something that no phrase file names: what matters is that its words are kept."""
    words = {"x": intent.thing(rng) if rng.random() < 0.75 else invented(rng), "y": intent.thing(rng), "a": rng.choice(_FILLERS["adjective"])}
    return f"{rng.choice(_FILLERS[f'verbs.{field.name}'])} {fill(rng.choice(_FILLERS['object']), rng, words)}"


def _told(rng: random.Random, *, own: bool) -> tuple[Field, str, list[str], str]:
    field = rng.choice(FIELDS)
    if rng.random() < 0.2:
        core = fill(rng.choice([text for text in _FILLERS["question"] if own == held(text, 6)]), rng)
        lead = "Answer the question: "
        field = next(one for one in FIELDS if one.name == "teaching")
        return field, core + rng.choice(("?", "?", "")), [], lead + core
    if not own and rng.random() < 0.4:
        core = _free(field, rng)
    else:
        core = fill(rng.choice([text for text in field.raw if own == held(text, 8)] or field.raw), rng)
    for name, share in (("audience", 0.12), ("limit", 0.25)):
        if rng.random() < share:
            core += " " + fill(rng.choice(_FILLERS[name]), rng)
    given = [fill(rng.choice(_FILLERS["after"]), rng)] if rng.random() < 0.25 else []
    raw = core
    if rng.random() < 0.4:
        raw = rng.choice(_FILLERS["before"]) + " " + raw
    kept = [text for text in given if any(sign in text for sign in ("it is for", "budget", "people", "name is", "I am"))]
    return field, raw + "".join(f"{rng.choice(('. ', ', ', '. '))}{text}" for text in given), kept, core


def scatter(rng: random.Random, *, own: bool = False) -> tuple[str, dict[str, str]]:
    """A raw prompt and its six bands; the TASK keeps its words."""
    field, raw, given, core = _told(rng, own=own)
    bands = _bands(field, sentence_case(core), given, rng)
    if rng.random() < 0.08 and not own:
        raw = typo(raw, rng)
    return (sentence_case(raw) if rng.random() < 0.6 else raw), bands


def scattered(rng: random.Random) -> tuple[str, str]:
    """A prompt of the task `scatter` and its answer."""
    raw, bands = scatter(rng)
    return prompts.scatter(raw), prompts.packed(bands)
