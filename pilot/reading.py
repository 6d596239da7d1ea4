"""Questions about a text: families of passages with facts in them, and single facts about many subjects."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

import intent
import prompts
from grammar import lines, split, typo
from values import WORDS, fill, held, made

_LEADING = re.compile(r"^(?:in|on|at|to|from|by|near) (?=the |a |an |\{)", re.I)  # a span is answered without the preposition before it


@dataclass
class Family:
    """A passage and its questions; a question without an answer asks what the passage does not say."""

    passage: str
    asked: list[tuple[str, str]]


@dataclass
class Relation:
    """One fact: the kind of its value, the kinds of its subjects, how it is stated and asked."""

    kind: str
    subjects: list[str]
    stated: list[str]
    asked: list[str]


def _families() -> list[Family]:
    found = []
    for part in "abcdef":
        for line in lines(f"facts/{part}.txt"):
            passage, rest = line.split(" || ")
            pairs = (question.partition("->") for question in split(rest, " | "))
            found.append(Family(passage, [(question.strip(), _LEADING.sub("", answer.strip())) for question, _, answer in pairs]))
    return found


def _relations() -> list[Relation]:
    rows = (split(line) for line in lines("relations.txt"))
    return [Relation(kind, subjects.split(), split(stated, " / "), split(asked, " / ")) for kind, subjects, stated, asked in rows]


FAMILIES, RELATIONS = _families(), _relations()
SEEN = [family for family in FAMILIES if not held(family.passage)]
HELD = [family for family in FAMILIES if held(family.passage)]
_ADJECTIVES = ("old", "small", "large", "red", "green", "wooden", "new", "broken", "second", "tall", "blue", "iron", "white", "heavy", "cheap")


def _subject(kind: str, rng: random.Random) -> str:
    if kind == "person":
        return made("name", rng) if rng.random() < 0.5 else made("first", rng)
    if kind == "thing":
        return (rng.choice(_ADJECTIVES) + " " if rng.random() < 0.5 else "") + (made("thing", rng) if rng.random() < 0.6 else intent.thing(rng))
    return rng.choice(WORDS["product"]) if kind == "product" else made(kind, rng)


def _put(text: str, **words: str) -> str:
    for name, value in words.items():
        text = text.replace("{" + name + "}", value)
    return text


def _facts(rng: random.Random) -> tuple[str, str, str | None]:
    count = rng.choice((1, 2, 3, 3, 4, 5, 6))
    chosen = [rng.choice(RELATIONS) for _ in range(count)]
    if rng.random() < 0.5:
        chosen = [rng.choice(chosen) for _ in range(count)]
    stated: list[tuple[Relation, str, str]] = []
    for relation in chosen:
        subject = rng.choice(stated)[1] if stated and rng.random() < 0.25 else _subject(rng.choice(relation.subjects), rng)
        if stated and subject in [s for r, s, _ in stated] and (relation in [r for r, s, _ in stated if s == subject] or not _fits(relation, subject, stated)):
            subject = _subject(rng.choice(relation.subjects), rng)
        if any(subject in other or other in subject for _, other, _ in stated if other != subject):
            continue
        if any(r is relation and s == subject for r, s, _ in stated):
            continue
        stated.append((relation, subject, made("name" if relation.kind == "person" else relation.kind, rng)))
    text = rng.choice((" ", " ", "\n")).join(_put(rng.choice(r.stated), s=s, v=v) for r, s, v in stated)
    relation, subject, value = rng.choice(stated)
    if rng.random() < 0.15:
        other = rng.choice(RELATIONS)
        asked = _subject(rng.choice(other.subjects), rng)
        if all(asked not in s and s not in asked for _, s, _ in stated):
            return text, _put(rng.choice(other.asked), s=asked), None
    return text, _put(rng.choice(relation.asked), s=subject), value


def _fits(relation: Relation, subject: str, stated: list[tuple[Relation, str, str]]) -> bool:
    return any(set(r.subjects) & set(relation.subjects) for r, s, _ in stated if s == subject)


def told(family: Family, rng: random.Random, *, absent: float = 0.14) -> tuple[str, str, str | None]:
    """A passage of the family, a question, and the answer or None."""
    bound: dict[str, str] = {}
    passage = fill(family.passage, rng, bound)
    wanted = [pair for pair in family.asked if pair[1]]
    unknown = [pair for pair in family.asked if not pair[1]]
    question, answer = rng.choice(unknown) if unknown and rng.random() < absent else rng.choice(wanted)
    return passage, fill(question, rng, bound), fill(answer, rng, bound) if answer else None


def _families_text(rng: random.Random, own: bool, long: bool) -> tuple[str, str, str | None]:
    pool = HELD if own else SEEN
    chosen = rng.sample(pool, 1 if own else rng.randint(4, 11) if long else rng.choice((1, 1, 1, 1, 2, 2, 3, 4)))
    passage, question, answer = told(chosen[0], rng)
    passages = [passage, *(told(family, rng)[0] for family in chosen[1:])]
    if not own and len(chosen) > 1 and rng.random() < 0.15:
        passages, answer = passages[1:], None
    if not own and rng.random() < 0.12:
        passages.append(" ".join(intent.aside(rng) for _ in range(rng.choice((1, 2)))))
    rng.shuffle(passages)
    return rng.choice((" ", " ", "\n", "\n\n")).join(passages), question, answer


def case(rng: random.Random, *, own: bool = False, long: bool = False) -> tuple[str, str, str | None]:
    """A text, a question about it, and the span that answers it or None; `own`: families kept out of training."""
    while True:
        text, question, answer = _facts(rng) if not (own or long) and rng.random() < 0.4 else _families_text(rng, own, long)
        if answer is None or answer in text:
            break
    if not own:
        roll = rng.random()
        if roll < 0.10:
            question = question.lower().rstrip("?")
        elif roll < 0.16:
            question = typo(question, rng)
        elif roll < 0.24:
            question = rng.choice(("Please tell me: ", "Question: ", "I want to know: ", "Hey, ", "Say, ", "Quickly: ")) + question[:1].lower() + question[1:]
    return text, question, answer


def asked(rng: random.Random, *, long: bool = False) -> tuple[str, str]:
    """A prompt of the task `ask` and its answer."""
    text, question, answer = case(rng, long=long)
    return prompts.ask(question, text), prompts.packed({"answer": answer})
