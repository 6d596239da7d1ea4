"""A linear model on hashed n-grams and on how sentences are built, for the four kinds of message: trained here, read by `homeport.skills.linear`."""

from __future__ import annotations

import argparse
import json
import math
import random
import struct
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "src"))

import checksums  # noqa: E402
import intent  # noqa: E402
import prompts  # noqa: E402
from grammar import lines, split  # noqa: E402
from homeport.skills import features as look  # noqa: E402

OUT = HERE.parent / "src" / "homeport" / "pilot" / "intent.bin"
KINDS = {"q": "question", "r": "request", "c": "complaint", "o": "other"}
BARE = 0.25  # of the texts only the build of the sentences is looked at, so that it is not left to the words


class Linear:
    """Weights (4, SIZE), one bias a label."""

    def __init__(self, weights: np.ndarray, bias: np.ndarray) -> None:
        self.weights, self.bias = weights, bias

    def guess(self, text: str) -> tuple[str, float]:
        """The likeliest label and how sure it is, from 0 to 1."""
        scores = self.scores(*places(text))
        shares = np.exp(scores - scores.max())
        best = int(shares.argmax())
        return prompts.LABELS[best], float(shares[best] / shares.sum())

    def scores(self, words: np.ndarray, built: np.ndarray) -> np.ndarray:
        return scored(self.weights, words) + scored(self.weights, built) + self.bias


def scored(weights: np.ndarray, found: np.ndarray) -> np.ndarray:
    return weights[:, found].sum(axis=1) / math.sqrt(len(found)) if len(found) else np.zeros(4, np.float32)


def places(text: str) -> tuple[np.ndarray, np.ndarray]:
    return np.array(look.features(text), np.int64), np.array(look.structure(text), np.int64)


def wide() -> list[tuple[str, str]]:
    """Whole messages that only this model is shown."""
    found = [
        (KINDS[line[0]], text)
        for name in ("wide", "wider")
        if (HERE / f"phrases/intent/{name}.txt").exists()
        for line in lines(f"intent/{name}.txt")
        for text in split(line[2:])
    ]
    return [(text, label) for label, text in found]


def cases(count: int, seed: int) -> list[tuple[np.ndarray, np.ndarray, int]]:
    rng = random.Random(seed)
    extra = wide()
    found = [intent.four(rng) for _ in range(count)]
    by_label = {kind: key for key, kind in KINDS.items()}
    for text, label in extra:
        found += [(intent.said(text, rng, by_label[label]), label) for _ in range(max(1, count // 3000))]
    return [(*places(text), prompts.LABELS.index(label)) for text, label in found]


def trained(count: int, seed: int, epochs: int = 5, rate: float = 0.5, decay: float = 1e-6) -> Linear:
    """Logistic regression by stochastic steps with decaying rate on `count` generated messages and those of `wide`; the mean of the second half's weights."""
    rng = random.Random(seed + 1)
    given = cases(count, seed)
    weights, bias = np.zeros((4, look.SIZE), np.float32), np.zeros(4, np.float32)
    step, total, rounds, summed = 0, epochs * len(given), 0, np.zeros((4, look.SIZE), np.float64)
    for _ in range(epochs):
        rng.shuffle(given)
        for words, built, label in given:
            roll = rng.random()
            used = [built] if roll < BARE else [words, built]
            scores = sum(scored(weights, one) for one in used) + bias
            slope = np.exp(scores - scores.max())
            slope /= slope.sum()
            slope[label] -= 1
            speed = rate * (1 - step / total)
            for one in used:
                if len(one):
                    weights[:, one] -= (speed / math.sqrt(len(one)) * slope)[:, None]
            bias -= 0.1 * speed * slope
            step += 1
            if step % 2000 == 0:
                weights *= 1 - 2000 * decay
                if step > total // 2:
                    summed += weights
                    rounds += 1
    return Linear((summed / max(1, rounds)).astype(np.float32), bias)


def packed(model: Linear) -> bytes:
    """The file: a magic word, the size, the scale and the biases as floats, then the weights in eight bits, the four of a place together."""
    scale = float(np.abs(model.weights).max()) / 127
    small = np.clip(np.rint(model.weights / scale), -127, 127).astype(np.int8)
    return b"HPL1" + struct.pack("<I5f", look.SIZE, scale, *map(float, model.bias)) + small.T.tobytes()


def dev() -> list[tuple[str, str]]:
    """The messages to develop with."""
    return [(line[2:], KINDS[line[0]]) for line in (HERE / "dev/intent.txt").read_text(encoding="utf-8").splitlines() if line[:2] in ("q ", "r ", "c ", "o ")]


def told(name: str, model: Linear, given: list[tuple[str, str]], *, show: bool) -> None:
    """How often it is right."""
    guessed = [(text, label, *model.guess(text)) for text, label in given]
    right = sum(label == found for _, label, found, _ in guessed)
    sure = [(label == found) for _, label, found, share in guessed if share > 0.85]
    print(f"{name}: {right}/{len(given)} = {right / len(given):.3f}; of the {len(sure)} it is sure of {sum(sure) / max(1, len(sure)):.3f}")
    for text, label, found, share in guessed if show else ():
        if label != found:
            print(f"  {label:9} as {found:9} {share:.2f} {text[:110]!r}")


def main() -> int:
    """Train, write the file, and say how often it is right on fields of life kept out and on the messages to develop with."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40000)
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--hand", action="store_true", help="also the total on the hand-written set")
    given = parser.parse_args()
    model = trained(given.count, 20261121)
    OUT.write_bytes(packed(model))
    checksums.main()
    rng = random.Random(7)
    told("own", model, [intent.four(rng, own=True) for _ in range(1000)], show=False)
    told("dev", model, dev(), show=given.show)
    if given.hand:
        rows = [json.loads(line) for line in (HERE / "eval" / "classify.jsonl").read_text(encoding="utf-8").splitlines()]
        told("hand", model, [(row["text"], row["label"]) for row in rows if "labels" not in row], show=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
