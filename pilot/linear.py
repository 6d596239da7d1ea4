"""A linear model on hashed n-grams for the four kinds of message: a fast second opinion beside the decoder, with a confidence."""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import sys
import zlib

import numpy as np

import intent
import prompts
from measure import HAND

SIZE = 1 << 15  # places of the hash; the file holds four numbers of 8 bits for each
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d+|[?!]+|…|\.\.\.")


def features(text: str) -> list[int]:
    """The places of a text's n-grams: words alone and in pairs, pieces of words, how it begins and ends. Plain Python: also for run time."""
    words = [("0" if word[0].isdigit() else word) for word in _WORD.findall(text.lower())][:400]
    found = [f"w {word}" for word in words]
    found += [f"p {a} {b}" for a, b in zip(["^", *words], [*words, "$"], strict=True)]
    found += [f"t {a} {b} {c}" for a, b, c in zip(words, words[1:], words[2:], strict=False)]
    for word in words:
        padded = f"<{word}>"
        found += [f"c {padded[at : at + size]}" for size in (3, 4) for at in range(len(padded) - size + 1)]
    found += [f"e {text.strip()[-1:]}", f"b {' '.join(words[:2])}", f"n {min(len(words) // 4, 8)}"]
    return sorted({zlib.crc32(one.encode()) % SIZE for one in found})


class Linear:
    """Weights (4, SIZE) and the temper of the confidence."""

    def __init__(self, weights: np.ndarray, bias: np.ndarray) -> None:
        self.weights, self.bias = weights, bias

    def guess(self, text: str) -> tuple[str, float]:
        """The likeliest label and how sure it is, from 0 to 1."""
        places = features(text)
        scores = [float(self.weights[row, places].sum()) / math.sqrt(len(places)) + float(self.bias[row]) for row in range(4)]
        top = max(scores)
        shares = [math.exp(score - top) for score in scores]
        best = scores.index(top)
        return prompts.LABELS[best], shares[best] / sum(shares)


def trained(count: int, seed: int, epochs: int = 4, rate: float = 0.5) -> Linear:
    """Logistic regression by stochastic steps with decaying rate, on `count` generated messages."""
    rng = random.Random(seed)
    cases = [(np.array(features(text)), prompts.LABELS.index(label)) for text, label in (intent.four(rng) for _ in range(count))]
    weights, bias, step, total = np.zeros((4, SIZE), np.float32), np.zeros(4, np.float32), 0, epochs * count
    summed = np.zeros_like(weights)
    for _ in range(epochs):
        rng.shuffle(cases)
        for places, label in cases:
            scale = 1 / math.sqrt(len(places))
            scores = weights[:, places].sum(axis=1) * scale + bias
            shares = np.exp(scores - scores.max())
            slope = shares / shares.sum()
            slope[label] -= 1
            speed = rate * (1 - step / total)
            weights[:, places] -= (speed * scale * slope)[:, None]
            bias -= 0.1 * speed * slope
            step += 1
            if step % 2000 == 0 and step > total // 2:
                summed += weights
    rounds = sum(1 for at in range(1, total + 1) if at % 2000 == 0 and at > total // 2)
    return Linear(summed / max(1, rounds), bias)


def main() -> int:
    """Train and say how often it is right on fields of life kept out, and on the hand-written set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40000)
    given = parser.parse_args()
    model = trained(given.count, 20261121)
    rng = random.Random(7)
    own = [intent.four(rng, own=True) for _ in range(1000)]
    print("own", sum(model.guess(text)[0] == label for text, label in own) / len(own))
    hand = [case for line in (HAND / "classify.jsonl").read_text(encoding="utf-8").splitlines() if "labels" not in (case := json.loads(line))]
    guessed = [(case, *model.guess(case["text"])) for case in hand]
    print("hand", sum(case["label"] == label for case, label, _ in guessed) / len(guessed))
    for case, label, sure in guessed:
        if case["label"] != label:
            print(f"  {case['label']:9} as {label:9} {sure:.2f} {case['text'][:100]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
