"""Trains the pilot from scratch on one thread: first copying, then the corpus; resumable, with fixed seeds."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import corpus
import model
import tokens

SEED = 20261120
_BETAS = (0.9, 0.98)
_DECAY = 0.05


@dataclass(frozen=True)
class Stage:
    """One part of the training: which rows, how many steps, of what size."""

    name: str  # "copy" "find" "mix" "talk"
    steps: int
    length: int
    batch: int


STAGES = (
    Stage("copy", 350, 64, 32),
    Stage("find", 200, 64, 32),
    Stage("mix", 2600, 128, 16),
    Stage("mix", 60, 768, 4),
    Stage("talk", 200, 128, 16),
)
PEAK, FLOOR, WARM = 3e-3, 1e-4, 60


def rate(step: int, total: int) -> float:
    """The learning rate: up in WARM steps, level, then straight down over the last 60 %."""
    if step < WARM:
        return PEAK * (step + 1) / WARM
    level = 0.4 * total
    return PEAK if step < level else FLOOR + (PEAK - FLOOR) * (total - step) / (total - level)


@partial(jax.jit, static_argnames=("shape",), donate_argnames=("weights", "first", "second"))
def update(weights: Any, first: Any, second: Any, step: Any, speed: Any, rows: Any, counted: Any, shape: model.Shape) -> Any:
    """One AdamW step with the gradient's norm held to 1; returns the new state and the loss."""
    value, slope = jax.value_and_grad(model.loss)(weights, rows, counted, shape)
    norm = jnp.sqrt(sum(jnp.sum(g * g) for g in slope.values()))
    slope = {name: g * jnp.minimum(1.0, 1.0 / (norm + 1e-6)) for name, g in slope.items()}
    first = {name: _BETAS[0] * first[name] + (1 - _BETAS[0]) * g for name, g in slope.items()}
    second = {name: _BETAS[1] * second[name] + (1 - _BETAS[1]) * g * g for name, g in slope.items()}

    def moved(name: str) -> jax.Array:
        mean, square = first[name] / (1 - _BETAS[0] ** step), second[name] / (1 - _BETAS[1] ** step)
        decay = 0.0 if "norm" in name or name == "embed" else _DECAY
        return weights[name] - speed * (mean / (jnp.sqrt(square) + 1e-8) + decay * weights[name])

    return {name: moved(name) for name in weights}, first, second, value


@partial(jax.jit, static_argnames=("shape",))
def measured(weights: Any, rows: Any, counted: Any, shape: model.Shape) -> Any:
    """The loss without learning."""
    return model.loss(weights, rows, counted, shape)


def _rows(stage: Stage, number: int, skip: int, tokenizer: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    size = tokenizer.get_vocab_size()
    if stage.name in ("mix", "talk"):
        draw = corpus.document if stage.name == "mix" else corpus.everyday
        found = tokens.rows(tokenizer, random.Random(SEED + number + 1000 * skip), stage.length, stage.batch, draw)
        while True:
            yield next(found)
    rng = np.random.default_rng(SEED + number + 1000 * skip)
    while True:
        yield tokens.copies(rng, size, stage.length, stage.batch, find=stage.name == "find")


def held_rows(tokenizer: Any, batch: int = 64, length: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """Single exchanges whose phrasing training never sees, one a row."""
    rng = random.Random(7)
    ids, counted = np.full((batch, length + 1), tokens.END, np.int32), np.zeros((batch, length + 1), np.float32)
    for row in range(batch):
        found, weights = tokens.encoded(corpus.held_out(rng), tokenizer)
        room = min(len(found), length + 1)
        ids[row, :room], counted[row, :room] = found[:room], weights[:room]
    return ids, counted


class Progress:
    """Prints how far the training is, every so many steps."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.began = time.monotonic()
        self.seen = 0
        self.mean = 0.0

    def note(self, step: int, stage: Stage, value: float, every: int = 50) -> None:
        """Take in one step's loss; print now and then."""
        self.seen += stage.batch * stage.length
        self.mean = value if self.mean == 0.0 else 0.95 * self.mean + 0.05 * value
        if (step + 1) % every == 0:
            gone = time.monotonic() - self.began
            done = (step + 1) / self.total
            bar = "#" * int(20 * done) + "." * (20 - int(20 * done))
            print(f"[{bar}] {step + 1}/{self.total} {stage.name:4} loss {self.mean:.3f}  {self.seen / gone:,.0f} tokens/s  {gone / 60:.1f} min", flush=True)


def _saved(path: Path, state: tuple[Any, Any, Any], step: int) -> None:
    flat = {f"{part}.{name}": np.asarray(value) for part, held in zip("wfs", state, strict=True) for name, value in held.items()}
    spare = path.with_suffix(".new.npz")
    np.savez(spare, step=step, **flat)
    spare.replace(path)


def _resumed(path: Path, shape: model.Shape) -> tuple[Any, Any, Any, int]:
    if path.exists():
        held = np.load(path)
        first, second, third = ({key[2:]: jnp.asarray(held[key]) for key in held.files if key.startswith(part + ".")} for part in "wfs")
        print(f"resumed at step {int(held['step'])}")
        return first, second, third, int(held["step"])
    weights = model.initial(shape, SEED)
    return weights, {n: jnp.zeros_like(v) for n, v in weights.items()}, {n: jnp.zeros_like(v) for n, v in weights.items()}, 0


def run(build: Path, share: float) -> None:
    """Train into the folder `build`: tokenizer.json, weights.npz, and a checkpoint until it is done. `share` scales the steps."""
    build.mkdir(parents=True, exist_ok=True)
    spelling, checkpoint = build / "tokenizer.json", build / "checkpoint.npz"
    if not checkpoint.exists():
        tokens.trained(2048, SEED).save(str(spelling))
    tokenizer = tokens.loaded(spelling)
    shape = model.Shape(vocabulary=tokenizer.get_vocab_size())
    weights, first, second, start = _resumed(checkpoint, shape)
    plan = [Stage(s.name, max(1, int(s.steps * share)), s.length, s.batch) for s in STAGES]
    total = sum(stage.steps for stage in plan)
    print(f"{model.parameters(weights):,} parameters, {total} steps", flush=True)
    progress, step, held = Progress(total), 0, held_rows(tokenizer)
    for number, stage in enumerate(plan):
        source = _rows(stage, number, start, tokenizer)
        for _ in range(stage.steps):
            if step >= start:
                ids, counted = next(source)
                weights, first, second, value = update(weights, first, second, jnp.float32(step + 1), jnp.float32(rate(step, total)), ids, counted, shape)
                progress.note(step, stage, float(value))
                if (step + 1) % 500 == 0:
                    print(f"  held out: {float(measured(weights, *held, shape)):.3f}", flush=True)
                    _saved(checkpoint, (weights, first, second), step + 1)
            step += 1
    np.savez(build / "weights.npz", **{name: np.asarray(value) for name, value in weights.items()})
    checkpoint.unlink(missing_ok=True)
    print(f"held out: {float(measured(weights, *held, shape)):.3f} nats a token; wrote {build / 'weights.npz'}")


def main() -> int:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=Path, help="folder for the tokenizer, checkpoints and weights")
    parser.add_argument("--share", type=float, default=1.0, help="scale the number of steps, as 0.01 for a trial")
    given = parser.parse_args()
    run(given.build, given.share)
    return 0


if __name__ == "__main__":
    sys.exit(main())
