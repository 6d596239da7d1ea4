"""The mixture that the pilot is trained on: the tasks, chats, plain text and copying, and how much each token counts."""

from __future__ import annotations

import random
from collections.abc import Callable

import composing
import corpus
import extraction
import intent
import reading
from grammar import invented
from values import made

Weighted = tuple[list[corpus.Part], float]  # a document, and the weight of a token of its answer
_WORDS = corpus.WORDS


def _string(rng: random.Random) -> str:
    kinds = ("word", "num", "name", "email", "amount", "date", "code", "invoice", "town", "phone", "thing", "company", "time")
    parts = [
        rng.choice(_WORDS) if rng.random() < 0.4 else invented(rng) if rng.random() < 0.4 else made(rng.choice(kinds), rng) for _ in range(rng.randint(1, 7))
    ]
    return " ".join(parts)


def copied(rng: random.Random) -> tuple[str, str]:
    """A string said again, whole or from a named word on, in or out of quotes."""
    text = _string(rng)
    roll, frame = rng.random(), rng.choice(("Say: {x}", "Repeat: {x}", "{x}", "Copy the text.\nText: {x}", "Copy: {x}", 'Say "{x}"', "Repeat after me: {x}"))
    if roll < 0.5:
        return frame.replace("{x}", text), text
    if roll < 0.75:
        return f"Copy the text as a JSON string.\nText: {text}", f'"{text}"'
    words = text.split()
    at = rng.randrange(len(words))
    if words.count(words[at]) > 1:
        return frame.replace("{x}", text), text
    return f"Copy the text from {words[at]} on.\nText: {text}", " ".join(words[at:])


_TASKS: dict[str, tuple[Callable[[random.Random], tuple[str, str]], float, float]] = {
    # share of the documents, weight of a token of the answer
    "classify": (intent.classified, 0.18, 4.0),
    "extract": (extraction.extracted, 0.22, 1.0),
    "ask": (reading.asked, 0.30, 2.0),
    "scatter": (composing.scattered, 0.06, 0.3),
    "draft": (composing.drafted, 0.02, 0.3),
    "copy": (copied, 0.08, 1.0),
}
_NAMES = [*_TASKS, "chat", "data", "prose", "tools"]
_SHARES = [*(share for _, share, _ in _TASKS.values()), 0.08, 0.03, 0.02, 0.01]


def document(rng: random.Random) -> Weighted:
    """One document of the mixture."""
    name = rng.choices(_NAMES, _SHARES)[0]
    if name in _TASKS:
        make, _, weight = _TASKS[name]
        asked, answer = make(rng)
        return [("user", asked, "no"), ("assistant", answer, "all")], weight
    make_parts = {"chat": corpus.chat, "data": corpus.data, "prose": corpus.prose, "tools": corpus.tooled}[name]
    return make_parts(rng), 0.5


def long_document(rng: random.Random) -> Weighted:
    """One document of the last stage: a third of them longer than in the mixture."""
    roll = rng.random()
    if roll > 0.34:
        return document(rng)
    asked, answer = extraction.extracted(rng, long=True) if roll < 0.17 else reading.asked(rng, long=True)
    return [("user", asked, "no"), ("assistant", answer, "all")], 1.5


def copying(rng: random.Random) -> Weighted:
    """One document of text copying only: what follows the drills on random tokens."""
    asked, answer = copied(rng)
    return [("user", asked, "no"), ("assistant", answer, "all")], 1.0
