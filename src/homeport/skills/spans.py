"""Answers in a text: each run of words that may answer a question, and how likely it is, by a linear model on how question, sentence and run fit.

What is looked at is the kind of the question, the words around a run's two ends (small words as they are, others by their looks), and where the question's
words stand. `pilot/ranker.py` learns the weights and writes them; this file reads them with the standard library alone.
"""

from __future__ import annotations

import functools
import math
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from homeport.pilot import FIX, SPANS, Spoilt, read
from homeport.skills.patterns import FINDERS, bare
from homeport.skills.questions import WORD, Question, sentences, stem, tokens
from homeport.skills.words import STOP

SIZE = 1 << 14
LONGEST = 11  # tokens of an answer
MOST_TOKENS = 250  # of a sentence that are looked at
SENTENCES = 5  # the fitting ones that are looked into


class Candidate(NamedTuple):
    """A run that may be the answer, None for "the text does not say"."""

    start: int
    end: int
    text: str | None
    share: float  # of all candidates


def _place(name: str) -> int:
    return zlib.crc32(name.encode("utf-8", "replace")) % (SIZE - 1) + 1


class Ground:
    """One sentence, made ready: what each token says as the beginning and as the end of an answer."""

    def __init__(self, text: str, question: Question, at: tuple[int, int], fit: list[str], before: bool) -> None:
        self.tokens = tokens(text, *at)[:MOST_TOKENS]
        self.met = [question.meets(token) for token in self.tokens]
        self.fit = fit
        self.kinds = self._kinds(text, (at[0], self.tokens[-1].end if self.tokens else at[0]))
        q, wanted = question.coarse, question.wanted
        self.first: list[list[str]] = []
        self.last: list[list[str]] = []
        count = len(self.tokens)
        nearest = [min((abs(other - number) for other, met in enumerate(self.met) if met), default=9) for number in range(count)]
        side_left = [next((number - other for other in range(number - 1, -1, -1) if self.met[other]), 9) for number in range(count)]
        side_right = [next((other - number for other in range(number + 1, count) if self.met[other]), 9) for number in range(count)]
        for number, token in enumerate(self.tokens):
            prior = self.tokens[number - 1] if number else None
            after = self.tokens[number + 1] if number + 1 < count else None
            left, right = prior.look if prior else "^", after.look if after else "$"
            low = token.text.lower()
            self.first.append(
                [
                    f"f {q} {left} {token.look}", f"f {left} {token.look}", f"f {q} {token.look}", f"f {wanted} {token.look}", f"f {q} <{left}", f"f {question.fine} {left}", f"f {wanted} {left}",
                    f"f met {self.met[number]} {bool(prior and self.met[number - 1])} {q}", f"f near {min(side_left[number], 6)} {q}", f"f near {min(side_left[number], 6)} {wanted}",
                    f"f said {low in question.words} {token.look in STOP}", f"f pos {min(number, 3)} {q}", f"f gap {min(nearest[number], 5)}",
                    f"f head {bool(question.head) and token.stem == question.head} {q}", f"f after head {bool(question.head) and prior is not None and prior.stem == question.head} {token.look} {q}",
                ]
            )  # fmt: skip
            self.last.append(
                [
                    f"l {q} {token.look} {right}", f"l {token.look} {right}", f"l {q} {token.look}", f"l {wanted} {token.look}", f"l {q} {right}>", f"l {wanted} {right}>",
                    f"l met {self.met[number]} {bool(after and self.met[number + 1])} {q}", f"l near {min(side_right[number], 6)} {q}", f"l near {min(side_right[number], 6)} {wanted}", f"l end {number + 1 >= count - 1} {q}",
                    f"l head {bool(question.head) and token.stem == question.head} {q}",
                ]
            )  # fmt: skip

    def _kinds(self, text: str, at: tuple[int, int]) -> dict[tuple[int, int], str]:
        part = text[at[0] : at[1]]
        if not any(sign.isdigit() or sign == "@" for sign in part):
            return {}
        found = {}
        for kind in ("number", "phone", "time", "date", "amount", "email"):
            for span in FINDERS[kind](part):
                if span.looks >= 0.4:
                    found[at[0] + span.start, at[0] + span.end] = kind
        return found

    def runs(self) -> Iterator[tuple[int, int]]:
        """Each run of tokens that may be an answer."""
        count = len(self.tokens)
        for begin in range(count):
            one = self.tokens[begin]
            if not (one.text[0].isalnum() or one.text[0] in "$€£¥₹+#") or (
                begin and self.tokens[begin - 1].end == one.start and self.tokens[begin - 1].text in "$€£¥₹+-"
            ):
                continue
            for end in range(begin, min(count, begin + LONGEST)):
                last = self.tokens[end]
                if last.text in (";", ":", "(", ")", '"', "“", "”", "?", "!", "–", "—", "|") or (
                    last.text in ".," and end > begin and self.tokens[end - 1].end == last.start and end == count - 1
                ):
                    break
                if last.text[0].isalnum() or last.text[0] in "€%£$¥" or (last.text == "." and self.tokens[end - 1].text in ("Co", "Ltd", "Inc", "a.m", "p.m")):
                    yield begin, end

    def between(self, question: Question, begin: int, end: int) -> list[str]:
        """What a run says as a whole."""
        q, wanted, size = question.coarse, question.wanted, end - begin + 1
        kind = self.kinds.get((self.tokens[begin].start, self.tokens[end].end), "none")
        inside = [token.look for token in self.tokens[begin : end + 1]]
        met = sum(self.met[begin : end + 1])
        return [
            f"n {q} {min(size, 8)}", f"n {wanted} {min(size, 8)}", f"k {wanted} {kind}", f"k {q} {kind} {min(size, 4)}", f"m {min(met, 3)} {q}", f"m {min(met, 3)} {min(size, 5)}",
            f"comma {',' in inside} {wanted}", f"and {'and' in inside} {q}", f"verb {any(look in ('is', 'was', 'are', 'were', 'has', 'had', 'will', 'can', '-ed') for look in inside[1:-1] if size > 2)} {q}",
            f"caps {all(look in ('Cap', 'NAME', 'Cap0') for look in inside)} {q}", f"num {any(look in ('NUM', 'NUMBER', 'COUNT') for look in inside)} {wanted}", f"unit {inside[-1] == 'UNIT'} {q}",
            f"cut {self._cut(begin, end)}",
        ]  # fmt: skip

    def _cut(self, begin: int, end: int) -> str:
        """Whether a run cuts a name, a date or an amount in two."""
        start, stop = self.tokens[begin].start, self.tokens[end].end
        cut = any(a < start < b or a < stop < b for a, b in self.kinds)
        big = ("Cap", "NAME")
        split = (begin > 0 and self.tokens[begin - 1].look in (*big, "Cap0") and self.tokens[begin].look in big) or (
            end + 1 < len(self.tokens) and self.tokens[end].look in (*big, "Cap0") and self.tokens[end + 1].look in big
        )
        return f"{cut} {split}"


class Looked(NamedTuple):
    """A question and a text, ready to be ranked."""

    question: Question
    grounds: list[Ground]
    nothing: list[str]  # what speaks for "the text does not say"


def look(question: str, text: str) -> Looked:
    """Choose the sentences that may hold the answer."""
    asked, text = Question(bare(question)[:2000]), bare(text)
    places = sentences(text)[:400]
    bags = [{stem(word) for word in WORD.findall(text[a:b])} for a, b in places]
    weight = {one: 1.0 / (1 + sum(one in bag for bag in bags)) for one in asked.stems}
    whole = sum(weight.values()) or 1.0
    scored = []
    for number, bag in enumerate(bags):
        own = sum(weight[one] for one in asked.stems & bag) / whole
        near = 0.25 * sum(weight[one] for one in asked.stems & (bags[number - 1] if number else set()) - bag) / whole
        scored.append((own + near, own, number))
    ranked = sorted(scored, key=lambda one: (-one[0], one[2]))[:SENTENCES]
    top = ranked[0][1] if ranked else 0.0
    grounds = []
    for rank, (_, own, number) in enumerate(ranked):
        named = bool(asked.names) and asked.names <= bags[number]
        fit = [
            f"s rank {rank}",
            f"s own {round(5 * own)}",
            f"s below {round(5 * (top - own))}",
            f"s named {named} {bool(asked.names & bags[number])}",
            f"s rank {rank} {asked.coarse}",
        ]
        grounds.append(Ground(text, asked, places[number], fit, before=False))
    missing = sum(not any(one in bag for bag in bags) for one in asked.stems)
    lost = sum(not any(one in bag for bag in bags) for one in asked.names)
    kinds = {kind for ground in grounds[:2] for kind in ground.kinds.values()}
    nothing = [
        "z", f"z {asked.coarse}", f"z {asked.fine}", f"z top {round(5 * top)}", f"z missing {min(missing, 4)}", f"z lost {min(lost, 2)}", f"z share {round(4 * missing / max(1, len(asked.stems)))}",
        f"z {asked.wanted} {asked.wanted in kinds}", f"z count {min(len(places), 4)}", f"z stems {min(len(asked.stems), 5)} {min(missing, 3)}",
    ]  # fmt: skip
    return Looked(asked, grounds, nothing)


class Weights(NamedTuple):
    """One number in eight bits for each place."""

    scale: float
    bits: memoryview

    def of(self, names: list[str]) -> float:
        """What some features are worth together."""
        return self.scale * sum(self.bits[_place(name)] for name in names)


@functools.lru_cache(maxsize=1)
def weights() -> Weights:
    """Those that ship. Raises Spoilt where their file is not as it was made."""
    data = read(SPANS)
    if len(data) != 12 + SIZE or data[:4] != b"HPS1":
        raise Spoilt(f"{SPANS.name} holds no weights of answers. {FIX}")
    _, _, scale = struct.unpack_from("<4sIf", data)
    return Weights(scale, memoryview(data)[12:].cast("b"))


def ranked(question: str, text: str, most: int = 8) -> list[Candidate]:
    """The likeliest answers, the best first; one of them may be None."""
    known, looked = weights(), look(question, text)
    found: list[tuple[float, int, int, str | None]] = [(known.of(looked.nothing), -1, -1, None)]
    for ground in looked.grounds:
        base = known.of(ground.fit)
        first = [known.of(names) for names in ground.first]
        last = [known.of(names) for names in ground.last]
        runs = sorted(((base + first[begin] + last[end], begin, end) for begin, end in ground.runs()), reverse=True)[:60]
        for score, begin, end in runs:
            start, stop = ground.tokens[begin].start, ground.tokens[end].end
            found.append((score + known.of(ground.between(looked.question, begin, end)), start, stop, text[start:stop]))
    top = max(one[0] for one in found)
    whole = sum(math.exp(one[0] - top) for one in found)
    by_text: dict[str | None, Candidate] = {}
    for score, start, stop, said in sorted(found, key=lambda one: -one[0]):
        share = math.exp(score - top) / whole
        before = by_text.get(said)
        by_text[said] = Candidate(start, stop, said, share) if before is None else before._replace(share=before.share + share)
    best = sorted(by_text.values(), key=lambda one: -one.share)[:most]
    return [_trimmed(best[0], looked.question.wanted, text), *best[1:]]


def _trimmed(best: Candidate, wanted: str, text: str) -> Candidate:
    """An answer that holds the one value that was asked for, and more, is that value."""
    if best.text is None or wanted not in ("email", "phone", "amount", "date", "time"):
        return best
    inside = [span for span in FINDERS[wanted](best.text) if span.looks >= 0.8]
    if len(inside) != 1 or best.end - best.start - (inside[0].end - inside[0].start) > 24:
        return best
    start, end = best.start + inside[0].start, best.start + inside[0].end
    return best._replace(start=start, end=end, text=text[start:end])
