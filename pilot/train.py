"""Trains a pilot from scratch: copying first, then the tasks; on a GPU in 16-bit arithmetic where JAX finds one, else on the CPU in 32."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import cycle, pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import measure
import model
import shards
import tokens

SEED = 20261121
VOCABULARY = 4096
_BETAS = (0.9, 0.98)
_DECAY = 0.05


@dataclass(frozen=True)
class Stage:
    """One part of the training: which documents, what share of the whole, how long the rows of one step and the next are.

    Rows of two lengths in turn: each takes the documents that the shorter ones have no room for, and attention costs by the square.
    """

    name: str
    share: float
    lengths: tuple[int, ...] = (128,)
    depth: float = 1.0  # of the layers: half of them learn in half the time, and are then put on top of themselves


_MIXED = (128, 256, 128, 256, 128)
STAGES = (
    Stage("copy", 0.05, depth=0.5),
    Stage("find", 0.05, depth=0.5),
    Stage("say", 0.03, depth=0.5),
    Stage("mix", 0.32, _MIXED, depth=0.5),
    Stage("mix", 0.50, _MIXED),
    Stage("long", 0.05, (1024,)),
)
PEAK = {"pilot": 1.2e-3, "pilot-mini": 2.5e-3}
FLOOR, WARM, LEVEL = 0.02, 100, 0.4  # of the peak; steps; share of the whole before the rate goes down


@dataclass(frozen=True)
class Machine:
    """What the arithmetic runs on, and the sizes that suit it."""

    gpu: bool
    tokens: int  # in a step
    workers: int  # processes that make shards, beside this one

    @property
    def kind(self) -> Any:
        """The type computed in."""
        return jnp.bfloat16 if self.gpu else jnp.float32


def machine(workers: int | None = None) -> Machine:
    """The machine this runs on."""
    gpu = jax.default_backend() == "gpu"
    spare = max(1, (os.cpu_count() or 2) - 2)
    return Machine(gpu, 65536 if gpu else 2048, (spare if gpu else 0) if workers is None else workers)


# Steps where no time is given: those that what ships had; one busy core took 110 minutes (pilot) and 70 (pilot-mini).
STEPS = {"pilot": 3600, "pilot-mini": 6000}


@dataclass
class Course:
    """How far the training is, from 0 to 1: by steps, or by minutes of training where a time was given."""

    total: int
    minutes: float | None
    step: int = 0
    spent: float = 0.0  # seconds
    began: float = field(default_factory=time.monotonic)

    @property
    def done(self) -> float:
        """The share of the whole that is behind."""
        return self.step / self.total if self.minutes is None else (self.spent + time.monotonic() - self.began) / (60 * self.minutes)

    def stage(self) -> int:
        """The number of the stage that is due."""
        done, passed = self.done, 0.0
        for number, stage in enumerate(STAGES):
            passed += stage.share
            if done < passed:
                return number
        return len(STAGES) - 1

    def rate(self, peak: float) -> float:
        """The learning rate: up in WARM steps, level, then straight down."""
        if self.step < WARM:
            return peak * (self.step + 1) / WARM
        return peak if self.done < LEVEL else peak * max(FLOOR, FLOOR + (1 - FLOOR) * (1 - self.done) / (1 - LEVEL))


@partial(jax.jit, static_argnames=("shape", "kind"), donate_argnames=("weights", "first", "second"))
def update(weights: Any, first: Any, second: Any, step: Any, speed: Any, batch: Any, shape: model.Shape, kind: Any) -> Any:
    """One AdamW step with the gradient's norm held to 1; returns the new state and the loss."""
    value, slope = jax.value_and_grad(model.loss)(weights, *batch, shape, kind)
    norm = jnp.sqrt(sum(jnp.sum(g * g) for g in slope.values()))
    slope = {name: g * jnp.minimum(1.0, 1.0 / (norm + 1e-6)) for name, g in slope.items()}
    first = {name: _BETAS[0] * first[name] + (1 - _BETAS[0]) * g for name, g in slope.items()}
    second = {name: _BETAS[1] * second[name] + (1 - _BETAS[1]) * g * g for name, g in slope.items()}

    def moved(name: str) -> jax.Array:
        mean, square = first[name] / (1 - _BETAS[0] ** step), second[name] / (1 - _BETAS[1] ** step)
        decay = 0.0 if "norm" in name or name == "embed" else _DECAY
        return weights[name] - speed * (mean / (jnp.sqrt(square) + 1e-8) + decay * weights[name])

    return {name: moved(name) for name in weights}, first, second, value


class Progress:
    """Prints how far the training is, every so many seconds."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self.began, self.last = time.monotonic(), 0.0
        self.seen, self.values = 0, list[Any]()

    def note(self, stage: Stage, value: Any, count: int, every: float = 10.0) -> None:
        """Take in one step's loss and tokens; print now and then."""
        self.seen += count
        self.values.append(value)
        now = time.monotonic()
        if now - self.last >= every:
            mean = float(np.mean([float(one) for one in self.values[-50:]]))
            self.values.clear()
            self.last, done = now, min(1.0, self.course.done)
            bar = "#" * int(20 * done) + "." * (20 - int(20 * done))
            rate = self.seen / (now - self.began)
            print(
                f"[{bar}] {100 * done:3.0f} % step {self.course.step} {stage.name:4} loss {mean:.3f}  {rate:,.0f} tokens/s  {(now - self.began) / 60:.1f} min",
                flush=True,
            )


State = tuple[Any, Any, Any]


def _saved(path: Path, state: State, course: Course) -> None:
    flat = {f"{part}.{name}": np.asarray(value) for part, held in zip("wfs", state, strict=True) for name, value in held.items()}
    spare = path.with_suffix(".new.npz")
    np.savez(spare, step=course.step, spent=course.spent + time.monotonic() - course.began, **flat)
    spare.replace(path)


def _zeros(weights: Any) -> Any:
    return {name: jnp.zeros_like(value) for name, value in weights.items()}


def _begun(checkpoint: Path, first: Path | None, shape: model.Shape, course: Course) -> State:
    if checkpoint.exists():
        held = np.load(checkpoint)
        course.step, course.spent = int(held["step"]), float(held["spent"])
        print(f"resumed at step {course.step}")
        state = tuple({key[2:]: jnp.asarray(held[key]) for key in held.files if key.startswith(part + ".")} for part in "wfs")
        return state[0], state[1], state[2]
    weights = model.initial(replace(shape, layers=int(shape.layers * STAGES[0].depth)), SEED)
    if first is not None:
        weights = {name: jnp.asarray(value, jnp.float32) for name, value in np.load(first).items()}
    return weights, _zeros(weights), _zeros(weights)


def _rows(number: int, course: Course, host: Machine, spelling: Path, pool: Executor | None) -> Iterator[shards.Shard]:
    stage, begun = STAGES[number], course.step * host.tokens // shards.TOKENS
    rows = {}
    for shorter, length in pairwise((0, *sorted(set(stage.lengths)))):
        found = shards.stream(stage.name, shorter, length, str(spelling), pool, begun)
        rows[length] = shards.batches(found, max(1, host.tokens // length), SEED + number + course.step)
    for length in cycle(stage.lengths):
        yield next(rows[length])


def written(path: Path, weights: Any) -> None:
    """Write the weights in 16 bits, finer than what the GGUF keeps."""
    np.savez(path, **{name: np.asarray(value, np.float16) for name, value in weights.items()})


def run(name: str, build: Path, course: Course, host: Machine, first: Path | None = None, skip: int = 0) -> None:
    """Train `name` into `build`: tokenizer.json, NAME.npz, and a checkpoint until it is done. `skip` leaves out the first stages."""
    build.mkdir(parents=True, exist_ok=True)
    spelling, checkpoint, out = build / "tokenizer.json", build / f"{name}.checkpoint.npz", build / f"{name}.npz"
    if not spelling.exists():
        tokens.trained(VOCABULARY, SEED).save(str(spelling))
    shape = model.SIZES[name]
    state = _begun(checkpoint, first, shape, course)
    print(f"{name}: {model.parameters(state[0]):,} parameters, {'GPU' if host.gpu else 'CPU'}, {host.tokens} tokens a step, {host.workers} workers", flush=True)
    cases, tokenizer = measure.own(192 if host.gpu else 48), tokens.loaded(spelling)
    progress, saved, current = Progress(course), time.monotonic(), -1
    source: Iterator[shards.Shard] = iter(())
    pool = ProcessPoolExecutor(host.workers, mp_context=get_context("spawn")) if host.workers else None
    queued: deque[Any] = deque()
    while course.done < 1.0:
        number = max(skip, course.stage())
        layers = int(shape.layers * STAGES[number].depth)
        if len(state[0]["q"]) < layers:
            state = tuple(model.deepened(part, layers) for part in state)
        if number != current:
            current, source = number, _rows(number, course, host, spelling, pool)
        ids, counted, segments = next(source)
        batch = tuple(jnp.asarray(part) for part in (ids, segments, *shards.predicted(counted, np.random.default_rng(course.step))))
        *state, value = update(*state, jnp.float32(course.step + 1), jnp.float32(course.rate(PEAK[name])), batch, shape, host.kind)
        course.step += 1
        queued.append(value)
        if len(queued) > 4:
            queued.popleft().block_until_ready()
        progress.note(STAGES[number], value, host.tokens)
        if time.monotonic() - saved > (60 if host.gpu else 600):
            _saved(checkpoint, tuple(state), course)
            written(out, state[0])
            print(measure.line(measure.exact(state[0], cases, tokenizer, shape, host.kind)), flush=True)
            saved = time.monotonic()
    if pool is not None:
        pool.shutdown(wait=False, cancel_futures=True)
    written(out, state[0])
    checkpoint.unlink(missing_ok=True)
    print(measure.line(measure.exact(state[0], [*measure.own(), *measure.hand()], tokenizer, shape, host.kind)))
    print(f"{name}: {course.step} steps; wrote {out}", flush=True)


def main() -> int:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(model.SIZES))
    parser.add_argument("build", type=Path, help="folder for the tokenizer, checkpoints and weights")
    parser.add_argument("--minutes", type=float, help="train for so long, instead of for so many steps")
    parser.add_argument("--steps", type=int, help="train for so many steps")
    parser.add_argument("--workers", type=int, help="processes that make training rows")
    parser.add_argument("--first", type=Path, help="weights to go on from, a NAME.npz")
    parser.add_argument("--skip", type=int, default=0, help="how many of the first stages to leave out")
    given = parser.parse_args()
    course = Course(given.steps or STEPS[given.name], given.minutes)
    run(given.name, given.build, course, machine(given.workers), given.first, given.skip)
    return 0


if __name__ == "__main__":
    sys.exit(main())
