"""Messages of four kinds in a hundred fields of life, and texts for other label sets, with the label each should get."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field

import prompts
from grammar import lines, sentence_case, split, typo
from values import fill, held, made

_FILES = tuple(f"intent/{part}.txt" for part in "abcde")
_KIND = {"q": "question", "r": "request", "c": "complaint", "o": "other"}


@dataclass
class Domain:
    """A field of life: its names, its things, and messages under q, r, c and o."""

    names: list[str]
    said: dict[str, list[str]] = field(default_factory=dict)


def _domains() -> list[Domain]:
    found: list[Domain] = []
    for name in _FILES:
        for line in lines(name):
            if line.startswith("= "):
                first, *rest = split(line[2:])
                found.append(Domain([first, *split(", ".join(rest), ", ")]))
            else:
                found[-1].said[line[0]] = split(line[2:])
    return found


def _frames() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (*lines("intent/frames.txt"), *lines("intent/long.txt"), *lines("intent/more.txt")):
        head, rest = line.split(" ", 1)
        found.setdefault(head, []).extend(split(rest))
    return found


@dataclass
class LabelSet:
    """Labels with their other names and what people write under them."""

    name: str
    labels: list[tuple[list[str], list[str]]]


def _sets() -> list[LabelSet]:
    found: list[LabelSet] = []
    for line in lines("labels.txt"):
        if line.startswith("= "):
            found.append(LabelSet(line[2:], []))
            continue
        head, *said = split(line)
        label, _, more = head.partition(" ~ ")
        found[-1].labels.append(([label, *split(more, ", ")], said))
    return found


DOMAINS, FRAMES, SETS = _domains(), _frames(), _sets()
_TOLD = ("positive", "neutral", "sport", "business", "science", "culture", "politics", "weather", "technology", "joy", "sadness", "shipped", "delivered")
_LABELLED = {names[0]: [text for text in texts if not held(text, 8)] for chosen in SETS for names, texts in chosen.labels}
_STATEMENTS = [text for label in _TOLD for text in _LABELLED[label]]
_PASSAGES = [line.split(" || ")[0] for part in "abcdef" for line in lines(f"facts/{part}.txt")]
SEEN = [domain for domain in DOMAINS if not held(domain.names[0])]
HELD = [domain for domain in DOMAINS if held(domain.names[0])]
_OTHER_NAMES = {
    "question": ("question", "inquiry", "asking", "enquiry", "query"),
    "request": ("request", "order", "task", "action", "wish"),
    "complaint": ("complaint", "problem", "grievance", "dissatisfied", "issue"),
    "other": ("other", "none", "statement", "misc", "information", "neither"),
}


def said(text: str, rng: random.Random, kind: str = "o") -> str:
    """`text` as one of many people would type it."""
    if rng.random() < 0.12:
        text = typo(text, rng)
    roll = rng.random()
    if roll < 0.60:
        text = sentence_case(text)
        if kind == "q" and text[-1] == ".":
            text = text[:-1] + "?"
        elif kind in "cr" and text[-1] == "." and rng.random() < 0.15:
            text = text[:-1] + "!"
    elif roll < 0.75:
        text = text[:1].upper() + text[1:]
    elif roll < 0.80:
        text = text.lower() + rng.choice(("?", "?", "")) if kind == "q" else text.lower()
    elif roll < 0.82:
        text = text.upper()
    elif roll < 0.87:
        text += {"q": "??", "c": "!!!", "r": "!", "o": "..."}[kind]
    return text


def _told(rng: random.Random) -> str:
    """A sentence that only tells something: of the news, or of a passage that others ask about."""
    if rng.random() < 0.35:
        return rng.choice(_STATEMENTS)
    passage = rng.choice(_PASSAGES)
    if held(passage):
        return rng.choice(_STATEMENTS)
    sentences = re.split(r"(?<=[.]) (?=[A-Z{])", fill(passage, rng))
    return rng.choice(sentences).rstrip(".")


def _core(kind: str, domain: Domain, rng: random.Random) -> str:
    roll = rng.random()
    if kind == "o" and roll > 0.82:
        return _told(rng)
    if kind == "c" and roll > 0.97:
        return rng.choice(_LABELLED["negative"])
    if roll < 0.40:
        text = rng.choice(domain.said[kind])
    elif roll < 0.60:
        text = rng.choice(FRAMES[kind])
    elif roll < 0.87:
        text = rng.choice(FRAMES[kind + "l"])
    else:
        text = rng.choice(FRAMES[kind + "g"])
    things = rng.sample(domain.said["n"], 2)
    return fill(text, rng, {"n": things[0], "m": things[1]})


def message(kind: str, domain: Domain, rng: random.Random) -> str:
    """A message of a kind ("q", "r", "c" or "o"), with what people put around it."""
    parts: list[str] = []
    things = rng.sample(domain.said["n"], 2)

    def frame(name: str) -> str:
        return fill(rng.choice(FRAMES[name]), rng, {"n": things[0], "m": things[1]})

    if rng.random() < 0.16:
        parts.append(said(frame("setting"), rng))
    elif rng.random() < 0.06 and kind != "o":
        parts.append(said(_core("o", domain, rng), rng))
    core = said(_core(kind, domain, rng), rng, kind)
    parts.append(core)
    if kind == "c":
        if rng.random() < 0.22:
            parts.insert(rng.choice((0, len(parts))), said(frame("gripe"), rng))
        if rng.random() < 0.2:
            parts.append(said(frame("wish"), rng, "r"))
        if rng.random() < 0.08:
            parts.append(said(_core("q", domain, rng), rng, "q"))
    elif rng.random() < 0.08:
        parts.append(said(_core(kind, domain, rng), rng, kind))
    elif kind in "qr" and rng.random() < 0.16:
        parts.insert(rng.choice((0, len(parts), len(parts))), said(frame("reason") if rng.random() < 0.7 else _told(rng), rng))
    text = " ".join(part if part[-1] in ".?!" or at == len(parts) - 1 else part + "." for at, part in enumerate(parts))
    if rng.random() < 0.2:
        text = f"{said(frame('head'), rng).rstrip('.!?')}{rng.choice((', ', ',' + chr(10), '! ', ',' + chr(10) + chr(10), ' '))}{text}"
    if rng.random() < 0.2:
        end = "" if text[-1] in ".?!" else rng.choice((".", ","))
        text = f"{text}{end}{rng.choice((' ', ' ', chr(10), chr(10) + chr(10)))}{rng.choice((str.lower, str.capitalize))(frame('tail')) if rng.random() < 0.5 else frame('tail')}"
    return text


def four(rng: random.Random, *, own: bool = False) -> tuple[str, str]:
    """A message of a seen domain (`own`: of a domain kept out of training) and its kind."""
    kind = rng.choice("qrcco" if rng.random() < 0.15 else "qrco")
    domain = rng.choice(HELD if own else SEEN)
    return message(kind, domain, rng), _KIND[kind]


def _styled(labels: list[str], rng: random.Random) -> list[str]:
    roll = rng.random()
    style = str.upper if roll < 0.06 else str.capitalize if roll < 0.25 else str
    return [style(label) for label in labels]


def _renamed(rng: random.Random) -> tuple[str, list[str], str]:
    text, label = four(rng)
    kinds = list(prompts.LABELS)
    if rng.random() < 0.4:
        kinds = rng.sample(kinds, rng.choice((2, 3)))
        kinds = kinds if label in kinds else [label, *kinds[1:]]
    names = {kind: rng.choice(_OTHER_NAMES[kind]) if rng.random() < 0.5 else kind for kind in kinds}
    return text, [names[kind] for kind in kinds], names[label]


def _fields(rng: random.Random) -> tuple[str, list[str], str]:
    chosen = rng.sample(SEEN, rng.choice((2, 3, 3, 4, 5, 6)))
    names = [rng.choice(domain.names) for domain in chosen]
    return message(rng.choice("qrco"), chosen[0], rng), names, names[0]


def _other_set(rng: random.Random) -> tuple[str, list[str], str]:
    chosen = rng.choice(SETS)
    count = len(chosen.labels)
    picked = rng.sample(chosen.labels, count if count <= 3 and rng.random() < 0.75 else rng.randint(2, min(6, count)))
    names = [rng.choice(names) if rng.random() < 0.4 else names[0] for names, _ in picked]
    texts = picked[0][1]
    if texts[0].startswith("@"):
        return message(rng.choice(texts[0][1:]), rng.choice(SEEN), rng), names, names[0]
    texts = [text for text in texts if not held(text, 8)]
    text = said(rng.choice(texts), rng)
    if (rng.random() < 0.3 and count > 2) or rng.random() < 0.2:
        text = f"{text if text[-1] in '.?!' else text + '.'} {said(rng.choice(texts), rng)}"
    return text, names, names[0]


def classified(rng: random.Random) -> tuple[str, str]:
    """A prompt of the task `classify` and its answer."""
    roll = rng.random()
    if roll < 0.62:
        text, label = four(rng)
        return prompts.classify(text, prompts.LABELS), prompts.packed(label)
    text, labels, label = (_renamed if roll < 0.75 else _fields if roll < 0.85 else _other_set)(rng)
    places = rng.sample(range(len(labels)), len(labels))
    styled = _styled(labels, rng)
    return prompts.classify(text, [styled[place] for place in places]), prompts.packed(styled[labels.index(label)])


def aside(rng: random.Random) -> str:
    """A sentence that says nothing, to stand beside others."""
    domain = rng.choice(SEEN)
    return sentence_case(_core(rng.choice("oooqr"), domain, rng))


def thing(rng: random.Random) -> str:
    """Some noun."""
    return rng.choice(rng.choice(SEEN).said["n"]) if rng.random() < 0.7 else made("thing", rng)
