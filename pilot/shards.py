"""Shards of training rows: whole documents packed into rows of one length, the same for a stage and a number wherever they are made."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from functools import lru_cache
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

import mix
import tokens

SEED = 20261121
TOKENS = 131072  # in a shard
Shard = tuple[np.ndarray, np.ndarray, np.ndarray]  # ids, weights, segments: each (rows, length + 1)
Document = tuple[list[int], list[float]]


def _copy(rng: random.Random, size: int, *, find: bool) -> Document:
    """A short string of random tokens said twice; with `find`, a token of it is named and what followed it is repeated."""
    text = [rng.randrange(len(tokens.SPECIAL), size) for _ in range(rng.randint(4, 14))]
    start = rng.randrange(len(text) - 2) if find and rng.random() < 0.6 else 0
    named = [text[start], tokens.END] if start else []
    ids = [tokens.BEGIN, tokens.ROLE["user"], *text, tokens.END, *named, tokens.ROLE["assistant"], *text[start:], tokens.END]
    answer = len(text) - start + 1
    return ids, [0.0] * (len(ids) - answer) + [1.0] * answer


def _drawn(stage: str, rng: random.Random, spelling: Tokenizer) -> Callable[[], Document]:
    size = spelling.get_vocab_size()

    def task() -> Document:
        if rng.random() < 0.05:
            return _copy(rng, size, find=True)
        parts, weight = mix.long_document(rng) if stage == "long" else mix.document(rng)
        return tokens.encoded(parts, spelling, weight, tokens.READ)

    def say() -> Document:
        if rng.random() < 0.4:
            return _copy(rng, size, find=True)
        return tokens.encoded(mix.copying(rng)[0], spelling)

    makers: dict[str, Callable[[], Document]] = {
        "copy": lambda: _copy(rng, size, find=False),
        "find": lambda: _copy(rng, size, find=rng.random() < 0.7),
        "say": say,
        "mix": task,
        "long": task,
    }
    return makers[stage]


def packed(draw: Callable[[], Document], shorter: int, length: int, rows: int) -> Shard:
    """Whole documents in `rows` rows of `length` + 1; one longer than a row, or that a row of `shorter` + 1 has room for, is passed over."""
    ids = np.full((rows, length + 1), tokens.END, np.int32)
    counted = np.zeros((rows, length + 1), np.float16)
    segments = np.full((rows, length + 1), -1, np.int16)
    waiting: deque[Document] = deque()
    for row in range(rows):
        at, number, passed = 0, 0, 0
        while passed < 3:
            document = waiting.popleft() if waiting and passed == 0 else draw()
            room = len(document[0])
            if room > length + 1 or (shorter and room <= shorter + 1):
                continue
            if at + room > length + 1:
                passed += 1
                if len(waiting) < 64:
                    waiting.append(document)
                continue
            ids[row, at : at + room], counted[row, at : at + room], segments[row, at : at + room] = *document, number
            at, number = at + room, number + 1
    return ids, counted, segments


@lru_cache(maxsize=1)
def _spelling(path: str) -> Tokenizer:
    return tokens.loaded(Path(path))


def made(stage: str, number: int, shorter: int, length: int, path: str) -> Shard:
    """Shard `number` of a stage, of the documents between two lengths."""
    rng = random.Random(f"{SEED}:{stage}:{length}:{number}")
    return packed(_drawn(stage, rng, _spelling(path)), shorter, length, TOKENS // length)


def stream(stage: str, shorter: int, length: int, path: str, pool: Executor | None, start: int = 0) -> Iterator[Shard]:
    """Endless shards, in the order of their numbers; with a pool of processes, a few are made ahead."""
    number = start
    if pool is None:
        while True:
            yield made(stage, number, shorter, length, path)
            number += 1
    ahead: deque[Future[Shard]] = deque()
    try:
        while True:
            while len(ahead) < 48:
                ahead.append(pool.submit(made, stage, number, shorter, length, path))
                number += 1
            yield ahead.popleft().result()
    finally:
        for waiting in ahead:
            waiting.cancel()


def batches(shards: Iterator[Shard], rows: int, seed: int) -> Iterator[Shard]:
    """Batches of `rows` rows, the rows of each shard shuffled anew."""
    rng = np.random.default_rng(seed)
    for shard in shards:
        order = rng.permutation(len(shard[0]))
        for at in range(0, len(order) - rows + 1, rows):
            chosen = order[at : at + rows]
            yield shard[0][chosen], shard[1][chosen], shard[2][chosen]


def predicted(counted: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Which tokens of a batch (rows, length + 1) are to be predicted, as places in the flattened (rows, length), and their weights: seven in sixteen.

    Those of the answers all, of the prompts' as many as there is room for, each with the weight of those left out.
    """
    flat = counted[:, 1:].astype(np.float32).reshape(-1)
    room = len(flat) * 7 // 16
    answers, read = np.flatnonzero(flat > tokens.READ * 1.5), np.flatnonzero((flat > 0) & (flat <= tokens.READ * 1.5))
    answers = rng.permutation(answers)[:room]
    kept = rng.permutation(read)[: room - len(answers)]
    places, weights = np.zeros(room, np.int32), np.zeros(room, np.float32)
    places[: len(answers)], weights[: len(answers)] = answers, flat[answers]
    end = len(answers) + len(kept)
    places[len(answers) : end], weights[len(answers) : end] = kept, flat[kept] * (len(read) / max(1, len(kept)))
    return places, weights
