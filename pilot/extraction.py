"""Texts with names, amounts, dates and numbers in them, and the object that extraction should answer."""

from __future__ import annotations

import random

import intent
import prompts
from grammar import invented, lines, split
from values import KINDS, fill, held, made, template

LAYOUTS = [line for part in "abc" for line in lines(f"layouts/{part}.txt")]
SEEN = [line for line in LAYOUTS if not held(line)]
HELD = [line for line in LAYOUTS if held(line)]
FIELD_NAMES = {head: split(rest, "|") for head, rest in (line.split(":", 1) for line in lines("layouts/fields.txt"))}
_WEIGHTS = [1.0 + 2.0 * sum("{" + kind + "}" in line for kind in prompts.FIELDS) / 3 for line in SEEN]


def _lowered(text: str, found: dict[str, str]) -> tuple[str, dict[str, str]]:
    return text.lower(), {kind: value.lower() for kind, value in found.items()}


def text_of(layout: str, rng: random.Random) -> tuple[str, dict[str, str]]:
    """A filled layout and its values by kind, each a run of the text."""
    bound: dict[str, str] = {}
    text = fill(layout, rng, bound)
    found = {kind: value for kind, value in bound.items() if kind in KINDS and kind in FIELD_NAMES}
    return (_lowered(text, found)) if rng.random() < 0.05 else (text, found)


def _surrounded(text: str, rng: random.Random) -> str:
    roll = rng.random()
    if roll < 0.10:
        return f"{intent.aside(rng)} {text}"
    if roll < 0.20:
        return f"{text}{'' if text[-1] in '.!?' else '.'} {intent.aside(rng)}"
    if roll < 0.24:
        return f"{text}\n\n{' '.join(intent.aside(rng) for _ in range(rng.randint(2, 5)))}"
    if roll < 0.28:
        return text.replace("\n", rng.choice((" ", " / ", "; ", "\n\n")))
    return text


def asked_of(found: dict[str, str], rng: random.Random) -> tuple[list[str], dict[str, str | None]]:
    """Names of fields, and for each its value or None."""
    if rng.random() < 0.55:
        return list(prompts.FIELDS), {kind: found.get(kind) for kind in prompts.FIELDS}
    there, absent = list(found), [kind for kind in FIELD_NAMES if kind not in found]
    kinds = rng.sample(there, min(len(there), rng.choice((1, 2, 2, 3, 4)))) + rng.sample(absent, rng.choice((0, 0, 1, 1, 2)))
    kinds = kinds or ["name"]
    rng.shuffle(kinds)
    names = [rng.choice(FIELD_NAMES[kind]) if rng.random() < 0.5 else kind for kind in kinds]
    if len(set(names)) < len(names):
        names = kinds
    return names, {name: found.get(kind) for name, kind in zip(names, kinds, strict=True)}


def _told(rng: random.Random) -> tuple[str, list[str], dict[str, str | None]]:
    """Keys that nobody has seen, each with a value beside it: what is copied is all there is to know."""
    keys = list(
        dict.fromkeys(
            rng.choice((invented(rng), invented(rng) + " " + rng.choice(("no", "code", "type")), intent.thing(rng))) for _ in range(rng.randint(2, 7))
        )
    )
    kinds = [rng.choice(("word", "num", "name", "code", "amount", "date", "town", "thing", "email", "time", "colour")) for _ in keys]
    values = {key: made(kind, rng) for key, kind in zip(keys, kinds, strict=True)}
    sign, end = rng.choice((": ", ": ", " = ", " is ", " - ", ":\t", "=")), rng.choice(("\n", "\n", ", ", "; ", " | ", ". "))
    case = rng.choice((str, str, str.capitalize))
    text = end.join(f"{case(key)}{sign}{value}" for key, value in values.items())
    asked = rng.sample(keys, rng.randint(1, min(4, len(keys))))
    answer: dict[str, str | None] = {key: values[key] for key in asked}
    if rng.random() < 0.25:
        asked.append(invented(rng))
        answer[asked[-1]] = None
    return text, asked, answer


def case(rng: random.Random, *, own: bool = False) -> tuple[str, list[str], dict[str, str | None]]:
    """A text, the fields to find in it, and the answer; `own`: layouts kept out of training, default fields."""
    while True:
        if not own and rng.random() < 0.10:
            text, fields, answer = _told(rng)
        elif not own and rng.random() < 0.05:
            text, fields, answer = intent.four(rng)[0], list(prompts.FIELDS), dict.fromkeys(prompts.FIELDS)
            if any(sign in text for sign in "0123456789@") or "{name}" in text:
                continue
            if any(len(word) > 1 and word[0].isupper() for word in text.split()[1:]):
                continue
        else:
            text, found = text_of(rng.choice(HELD) if own else rng.choices(SEEN, _WEIGHTS)[0], rng)
            fields, answer = (list(prompts.FIELDS), {kind: found.get(kind) for kind in prompts.FIELDS}) if own else asked_of(found, rng)
            text = _surrounded(text, rng)
        if all(value is None or value in text for value in answer.values()):
            return text, fields, answer


def extracted(rng: random.Random, *, long: bool = False) -> tuple[str, str]:
    """A prompt of the task `extract` and its answer; `long`: with many sentences around what is asked for."""
    text, fields, answer = case(rng)
    if long:
        before, after = (" ".join(intent.aside(rng) for _ in range(rng.randint(0, 25))) for _ in range(2))
        text = f"{before}\n\n{text}\n\n{after}".strip()
    return prompts.extract(text, fields), prompts.packed(answer)


def checked() -> None:
    """Fails on a layout with an unknown slot."""
    for line in LAYOUTS:
        for part in template(line):
            if isinstance(part, tuple):
                kind = part[0].rstrip("_0123456789")
                if kind not in KINDS and kind != "first_name":
                    raise ValueError(f"layout names an unknown slot {part[0]!r}: {line}")
