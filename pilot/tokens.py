"""The tokenizer: byte-level BPE with single digits and glued spaces, trained on the corpus; and documents as token ids."""

from __future__ import annotations

import random
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

import corpus
import mix

SPECIAL = ("<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
BEGIN, END = 0, 1
ROLE = {"system": 2, "user": 3, "assistant": 4}
READ = 0.02  # the weight of a token of the prompt, beside 1 for one of an answer


def spelled(vocabulary: dict[str, int] | None = None, merges: list[tuple[str, str]] | None = None) -> Tokenizer:
    """A tokenizer of these words and merges, or an empty one. llama.cpp knows its way of splitting as "smollm"."""
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def trained(size: int, seed: int, documents: int = 60000) -> Tokenizer:
    """A tokenizer of `size` tokens, special ones first."""
    rng = random.Random(seed)
    tokenizer = spelled()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(SPECIAL), initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    texts = (text for _ in range(documents) for _, text, _ in mix.document(rng)[0])
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def loaded(path: Path) -> Tokenizer:
    """The tokenizer written by an earlier run."""
    return Tokenizer.from_file(str(path))


def prompted(text: str, tokenizer: Tokenizer) -> list[int]:
    """One user message as the chat template writes it, up to the answer."""
    return [BEGIN, ROLE["user"], *tokenizer.encode(text.strip(), add_special_tokens=False).ids, END, ROLE["assistant"]]


def encoded(parts: list[corpus.Part], tokenizer: Tokenizer, weight: float = 1.0, read: float = 0.0) -> tuple[list[int], list[float]]:
    """A document as token ids, and how much each is to be learned: `weight` in an answer, `read` in a prompt."""
    ids, counted = [BEGIN], [0.0]
    for role, text, learn in parts:
        found = tokenizer.encode(text, add_special_tokens=False).ids
        if role in ROLE:
            ids.append(ROLE[role])
            counted.append(0.0)
        ids += [*found, END]
        weights = [read if learn == "no" else weight] * len(found) + [0.0 if learn == "no" else weight]
        if learn == "rest" and len(weights) > 1:
            weights[0] = 0.0
        counted += weights
    return ids, counted
