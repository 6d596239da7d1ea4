"""The tokenizer: byte-level BPE with single digits and glued spaces, trained on the corpus; and documents as token rows."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

import corpus

SPECIAL = ("<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
BEGIN, END = 0, 1
ROLE = {"system": 2, "user": 3, "assistant": 4}


def spelled(vocabulary: dict[str, int] | None = None, merges: list[tuple[str, str]] | None = None) -> Tokenizer:
    """A tokenizer of these words and merges, or an empty one. llama.cpp knows its way of splitting as "smollm"."""
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def trained(size: int, seed: int, documents: int = 40000) -> Tokenizer:
    """A tokenizer of `size` tokens, special ones first."""
    rng = random.Random(seed)
    tokenizer = spelled()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(SPECIAL), initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    texts = (text for _ in range(documents) for _, text, _ in corpus.document(rng))
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def loaded(path: Path) -> Tokenizer:
    """The tokenizer written by an earlier run."""
    return Tokenizer.from_file(str(path))


def encoded(parts: list[corpus.Part], tokenizer: Tokenizer) -> tuple[list[int], list[float]]:
    """A document as token ids, and 1.0 where a token is to be learned."""
    ids, counted = [BEGIN], [0.0]
    for role, text, learn in parts:
        found = tokenizer.encode(text, add_special_tokens=False).ids
        if role in ROLE:
            ids.append(ROLE[role])
            counted.append(0.0)
        ids += [*found, END]
        weights = [0.0 if learn == "no" else 1.0] * (len(found) + 1)
        if learn == "rest" and len(weights) > 1:
            weights[0] = 0.0
        counted += weights
    return ids, counted


def rows(
    tokenizer: Tokenizer, rng: random.Random, length: int, batch: int, draw: Callable[[random.Random], list[corpus.Part]] = corpus.document
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Endless batches of packed documents: ids and weights, each (batch, length + 1)."""
    ids: list[int] = []
    counted: list[float] = []
    need = batch * (length + 1)
    while True:
        while len(ids) < need:
            more, weights = encoded(draw(rng), tokenizer)
            ids += more
            counted += weights
        yield np.array(ids[:need], np.int32).reshape(batch, -1), np.array(counted[:need], np.float32).reshape(batch, -1)
        ids, counted = ids[need:], counted[need:]


def copies(rng: np.random.Generator, vocabulary: int, length: int, batch: int, *, find: bool) -> tuple[np.ndarray, np.ndarray]:
    """The warm-up: short random strings said twice; with `find`, a token of the string is named and what followed it is repeated."""
    ids = np.zeros((batch, length + 1), np.int32)
    counted = np.zeros((batch, length + 1), np.float32)
    for row in range(batch):
        at = 0
        while at < length:
            size = int(rng.integers(4, 15))
            said = rng.integers(len(SPECIAL), vocabulary, size)
            start = int(rng.integers(0, size - 2)) if find and rng.random() < 0.5 else 0
            whole = np.concatenate([[BEGIN, 3], said, [END, 4], said[start:], [END]])
            learn = np.concatenate([np.zeros(size + 4 + (1 if start else 0)), np.ones(len(said) - start + (0 if start else 1))])[: len(whole)]
            room = min(len(whole), length + 1 - at)
            ids[row, at : at + room], counted[row, at : at + room] = whole[:room], learn[:room]
            at += room
    return ids, counted
