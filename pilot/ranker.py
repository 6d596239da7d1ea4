"""Learns the weights of `homeport.skills.spans` on generated passages, questions and answers, and writes `spans.bin`."""

from __future__ import annotations

import argparse
import random
import struct
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "src"))

import checksums  # noqa: E402
import reading  # noqa: E402
from homeport.skills import spans  # noqa: E402

OUT = HERE.parent / "src" / "homeport" / "pilot" / "spans.bin"
WIDTH = 46  # features of a candidate, at most
Case = tuple[np.ndarray, np.ndarray]  # features of the candidates (places, 0 for none), and which of them are right


def made(question: str, text: str, answer: str | None, rng: random.Random, most: int = 140) -> Case | None:
    """The candidates of one case; None where the right one is not among them."""
    looked = spans.look(question, text)
    rows: list[list[int]] = [[spans._place(name) for name in looked.nothing]]
    right = [answer is None]
    for ground in looked.grounds:
        fit = [spans._place(name) for name in ground.fit]
        for begin, end in ground.runs():
            said = text[ground.tokens[begin].start : ground.tokens[end].end]
            good = said == answer
            if not good and len(right) > most and rng.random() < 0.7:
                continue
            names = [*ground.first[begin], *ground.last[end], *ground.between(looked.question, begin, end)]
            rows.append([*fit, *map(spans._place, names)])
            right.append(good)
    if not any(right):
        return None
    table = np.zeros((len(rows), WIDTH), np.uint16)
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    return table, np.array(right)


def trained(count: int, seed: int, epochs: int = 6, rate: float = 0.12) -> np.ndarray:
    """Softmax over the candidates of each case, by stochastic steps; the mean of the second half's weights."""
    rng = random.Random(seed)
    cases, missed = [], 0
    while len(cases) < count:
        text, question, answer = reading.case(rng)
        found = made(question, text, answer, rng)
        if found is None:
            missed += 1
        else:
            cases.append(found)
    print(f"{missed} of {count + missed} answers are no candidate")
    weights, summed, rounds, step, total = np.zeros(spans.SIZE, np.float32), np.zeros(spans.SIZE, np.float64), 0, 0, epochs * count
    for _ in range(epochs):
        rng.shuffle(cases)
        for table, right in cases:
            scores = weights[table].sum(axis=1)
            shares = np.exp(scores - scores.max())
            shares /= shares.sum()
            aim = np.where(right, shares, 0)
            aim /= max(aim.sum(), 1e-9)
            slope = (rate * (1 - step / total)) * (shares - aim)
            hot = np.abs(slope) > 1e-5
            np.subtract.at(weights, table[hot].astype(np.int64).ravel(), np.repeat(slope[hot], WIDTH).astype(np.float32))
            weights[0] = 0
            step += 1
            if step % 500 == 0:
                weights *= 1 - 500 * 2e-6
                if step > total // 2:
                    summed += weights
                    rounds += 1
    return (summed / max(1, rounds)).astype(np.float32)


def main() -> int:
    """Train, write, and say how often it is right on families kept out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--show", type=int, default=0)
    parser.add_argument("--only", action="store_true", help="measure what is there")
    given = parser.parse_args()
    if not given.only:
        weights = trained(given.count, 20261121)
        scale = float(np.abs(weights).max()) / 127
        OUT.write_bytes(struct.pack("<4sIf", b"HPS1", spans.SIZE, scale) + np.clip(np.rint(weights / scale), -127, 127).astype(np.int8).tobytes())
        checksums.main()
    rng = random.Random(7)
    shown = hits = sure = surely = 0
    nulls = [0, 0]
    for _ in range(500):
        text, question, answer = reading.case(rng, own=True)
        best = spans.ranked(question, text)[0]
        hits += best.text == answer
        if answer is None:
            nulls[0] += 1
            nulls[1] += best.text is None
        if best.share > 0.55:
            sure += 1
            surely += best.text == answer
        if best.text != answer and shown < given.show:
            shown += 1
            print(f"WANT {answer!r} GOT {best.text!r} {best.share:.2f}\n   Q {question}\n   T {text[:300]!r}")
    print(f"own: {hits / 500:.3f}; sure of {sure / 500:.2f}, right {surely / max(1, sure):.3f}; null {nulls}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
