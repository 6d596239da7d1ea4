"""Reads the hand-written phrase files and multiplies them: choices `(a/b/)`, slots `{name}`, typing habits."""

from __future__ import annotations

import random
import re
import zlib
from pathlib import Path

PHRASES = Path(__file__).parent / "phrases"
_CHOICE = re.compile(r"\(([^()]*/[^()]*)\)")
_SLOT = re.compile(r"\{(\w+?)(2?)\}")
_QUESTION = re.compile(r"^(what|where|when|who|why|how|which|is|are|do|does|did|can|could|will|would|should|was|were|has|have|may)\b", re.I)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")


def lines(name: str) -> list[str]:
    """The lines of a phrase file that hold phrases; `#` begins a comment line."""
    text = (PHRASES / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def split(text: str, mark: str = " | ") -> list[str]:
    """The parts of a line, without blanks around them."""
    return [part.strip() for part in text.split(mark) if part.strip()]


SLOTS: dict[str, list[str]] = {head: split(rest, "|") for head, rest in (line.split(":", 1) for line in lines("slots.txt"))}


def _pairs(text: str) -> list[tuple[str, str]]:
    return [(left.strip(), right.strip()) for left, right in (part.split(" = ") for part in split(text))]


TABLES: dict[str, list[tuple[str, str]]] = {head: _pairs(rest) for head, rest in (line.split(":", 1) for line in lines("tables.txt"))}


class Family:
    """What people write to one end, and the replies that fit; a few phrasings are held out for the evaluation."""

    def __init__(self, asked: list[str], replies: list[str]) -> None:
        held = [phrase for phrase in asked if len(asked) >= 8 and zlib.crc32(phrase.encode()) % 16 == 0]
        self.asked = [phrase for phrase in asked if phrase not in held]
        self.held = held
        self.replies = replies


def families() -> list[Family]:
    """All families of talk.txt, in the order of the file."""
    found, asked = [], []
    for line in lines("talk.txt"):
        if line.startswith("? "):
            asked = split(line[2:])
        else:
            found.append(Family(asked, split(line[2:])))
    return found


def filled(text: str, rng: random.Random, bound: dict[str, str] | None = None) -> str:
    """`text` with its choices made and its slots filled; `bound` keeps the words, so that an answer can repeat them."""
    while choice := _CHOICE.search(text):
        text = text[: choice.start()] + rng.choice(choice[1].split("/")) + text[choice.end() :]
    free = bound is None
    words: dict[str, str] = {} if bound is None else bound

    def fill(slot: re.Match[str]) -> str:
        name = slot[1]
        if name in ("country", "capital"):
            if "country" + slot[2] not in words:
                words["country" + slot[2]], words["capital" + slot[2]] = rng.choice(TABLES["capital"])
            return words[slot[0][1:-1]]
        if free:
            return rng.choice(SLOTS[name])
        return words.setdefault(slot[0], rng.choice(SLOTS[name]))

    text = _SLOT.sub(fill, text).replace("\\n", "\n")
    return re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)


def sentence_case(text: str) -> str:
    """`text` as a careful person types it: a capital at the start, `I`, and an end mark."""
    text = re.sub(r"\bi\b", "I", text)
    text = text[:1].upper() + text[1:]
    if text[-1:].isalnum() or text[-1:] in "%)\"'":
        text += "?" if _QUESTION.match(text) else "."
    return text


def typo(text: str, rng: random.Random) -> str:
    """`text` with one slip of the fingers."""
    places = [i for i in range(1, len(text) - 1) if text[i].isalpha() and text[i + 1].isalpha()]
    if len(places) < 4:
        return text
    i = rng.choice(places)
    kind = rng.randrange(4)
    if kind == 0:
        return text[:i] + text[i + 1] + text[i] + text[i + 2 :]
    if kind == 1:
        return text[:i] + text[i + 1 :]
    if kind == 2:
        return text[:i] + text[i] + text[i:]
    return text[:i] + rng.choice(_LETTERS) + text[i + 1 :]


_BEFORE = ("please ", "hey, ", "hi, ", "hello, ", "ok, ", "so, ", "pilot, ", "hi pilot, ", "hello! ", "now ", "well, ", "dear pilot, ", "quick question: ")
_AFTER = (" please", ", please", ", thanks", " now", ", pilot", " for me", "? thanks", " today", " in one sentence", " briefly", " in short")


def typed(text: str, rng: random.Random, *, exact: bool = False) -> str:
    """`text` as one of many people would type it. `exact` leaves the words alone, as where they must be copied."""
    if not exact and len(text) > 8:
        if rng.random() < 0.12:
            text = rng.choice(_BEFORE) + text
        if rng.random() < 0.08 and text[-1].isalnum():
            text = text + rng.choice(_AFTER)
        if rng.random() < 0.10:
            text = typo(text, rng)
    roll = rng.random()
    if roll < 0.55:
        return sentence_case(text)
    if exact or roll < 0.75:
        return text
    if roll < 0.83:
        return text + ("?" if _QUESTION.match(text) else "") if text[-1:].isalnum() else text
    if roll < 0.90:
        return text.lower()
    if roll < 0.93:
        return text.upper()
    return sentence_case(text).rstrip(".?")


_ONSET = (
    "b",
    "br",
    "c",
    "ch",
    "d",
    "dr",
    "f",
    "fl",
    "g",
    "gr",
    "h",
    "j",
    "k",
    "kl",
    "l",
    "m",
    "n",
    "p",
    "pr",
    "qu",
    "r",
    "s",
    "sh",
    "st",
    "t",
    "tr",
    "v",
    "w",
    "z",
)
_CORE = ("a", "e", "i", "o", "u", "ai", "ea", "ou", "io", "y")
_CODA = ("", "", "n", "r", "l", "s", "t", "x", "m", "nd", "ck", "st", "ng", "tion", "ment", "ism", "ology", "able", "er", "ic")


def invented(rng: random.Random) -> str:
    """A word that does not exist, so that unknown words look familiar."""
    return "".join(rng.choice(_ONSET) + rng.choice(_CORE) for _ in range(rng.randint(1, 3))) + rng.choice(_CODA)


def words_of(*names: str) -> list[str]:
    """The different lower-case words of some phrase files, sorted."""
    found: set[str] = set()
    for name in names:
        for line in lines(name):
            found.update(word for word in re.findall(r"[a-z]{3,}", line))
    return sorted(found)
