"""How many answers a model gets exactly right while it trains: held-out cases of each task, and the hand-written set."""

from __future__ import annotations

import json
import random
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tokenizers import Tokenizer

import composing
import extraction
import intent
import model
import prompts
import reading
import tokens

HAND = Path(__file__).parent / "eval"
_LENGTH, _ROWS = 640, 64
Case = tuple[str, str, str]  # group, prompt, right answer


def own(count: int = 192) -> list[Case]:
    """Cases of domains, layouts and families that training never sees."""
    rng = random.Random(7)
    found: list[Case] = []
    for _ in range(count):
        text, label = intent.four(rng, own=True)
        found.append(("own classify", prompts.classify(text), prompts.packed(label)))
        text, fields, answer = extraction.case(rng, own=True)
        found.append(("own extract", prompts.extract(text, fields), prompts.packed(answer)))
        text, question, span = reading.case(rng, own=True)
        found.append(("own ask", prompts.ask(question, text), prompts.packed({"answer": span})))
    return [*found, *(("own scatter TASK", *_scatter(rng)) for _ in range(count // 4))]


def _scatter(rng: random.Random) -> tuple[str, str]:
    raw, bands = composing.scatter(rng, own=True)
    return prompts.scatter(raw), prompts.packed(bands)


def hand(folder: Path = HAND) -> list[Case]:
    """The hand-written cases that have one right answer."""
    found: list[Case] = []
    for task in ("classify", "extract", "ask"):
        path = folder / f"{task}.jsonl"
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            case = json.loads(line)
            if task == "classify":
                labels = case.get("labels", prompts.LABELS)
                group = "hand classify" if "labels" not in case else "hand other labels"
                found.append((group, prompts.classify(case["text"], labels), prompts.packed(case["label"])))
            elif task == "extract":
                group = "hand extract" if tuple(case["values"]) == prompts.FIELDS else "hand other fields"
                found.append((group, prompts.extract(case["text"], list(case["values"])), prompts.packed(case["values"])))
            else:
                found.append(("hand ask", prompts.ask(case["question"], case["context"]), prompts.packed({"answer": case["answer"]})))
    return found


@partial(jax.jit, static_argnames=("shape", "kind"))
def _best(weights: Any, rows: Any, shape: model.Shape, kind: Any) -> Any:
    return jnp.argmax(model.logits(weights, model.states(weights, rows[:, :-1], shape, None, kind)), axis=-1)


def exact(weights: Any, cases: list[Case], tokenizer: Tokenizer, shape: model.Shape, kind: Any) -> dict[str, tuple[int, int, int, int]]:
    """By group: answers that greedy decoding gets exactly right, all answers, right tokens, all tokens."""
    documents = [(group, tokens.encoded([("user", asked, "no"), ("assistant", answer, "all")], tokenizer)) for group, asked, answer in cases]
    table: dict[str, tuple[int, int, int, int]] = {}
    for at in range(0, len(documents), _ROWS):
        part = documents[at : at + _ROWS]
        rows, counted = np.full((_ROWS, _LENGTH + 1), tokens.END, np.int32), np.zeros((_ROWS, _LENGTH + 1), bool)
        for row, (_, (ids, weights_of)) in enumerate(part):
            room = min(len(ids), _LENGTH + 1)
            rows[row, :room], counted[row, :room] = ids[:room], np.array(weights_of[:room]) > 0
        right = np.asarray(_best(weights, jnp.asarray(rows), shape, kind)) == rows[:, 1:]
        wanted = counted[:, 1:]
        for row, (group, _) in enumerate(part):
            hits, all_, good, every = table.get(group, (0, 0, 0, 0))
            good, every = good + int((right[row] & wanted[row]).sum()), every + int(wanted[row].sum())
            table[group] = (hits + bool((right[row] | ~wanted[row]).all()), all_ + 1, good, every)
    return table


def line(table: dict[str, tuple[int, int, int, int]]) -> str:
    """The table in one line."""
    return "  ".join(f"{group} {hits}/{all_} ({good / max(1, every):.2f})" for group, (hits, all_, good, every) in table.items())
