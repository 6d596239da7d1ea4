"""What `/metrics` counts, counted from receipts in plain Python on the event loop: no locks, and no library on the hot path."""

from __future__ import annotations

import os
import secrets
from bisect import bisect_left
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from homeport.monitor import series
from homeport.monitor.series import BY_NAME, NONE, OTHER, OUTCOMES, TOKENS, Family
from homeport.ports import Catalogue
from homeport.vocabulary import Attempt, Receipt

MOST = 200  # values of one label; further ones count as `other`
Labels = tuple[str, ...]
Figure = tuple[str, Labels, float]
"""The name of a family, the values of its labels, and the value."""


class Snapshot(Struct, array_like=True):
    """Everything one process has counted and reads at one moment. `id` is new at each start of a process."""

    id: str
    pid: int
    figures: list[Figure]
    histograms: list[tuple[str, Labels, list[int], float]]  # how many values fell into each bucket, not cumulative, +Inf last; their sum

    @classmethod
    def decode(cls, data: bytes) -> Snapshot:
        """What `encode` made. Raises msgspec.MsgspecError."""
        return msgspec.msgpack.decode(data, type=cls)

    def encode(self) -> bytes:
        """For siblings, and for the file of a worker that ends."""
        return msgspec.msgpack.encode(self)


class Merged(Struct):
    """Several snapshots as one."""

    figures: dict[tuple[str, Labels], float]
    histograms: dict[tuple[str, Labels], tuple[list[int], float]]


def merged(living: Iterable[Snapshot], ended: Iterable[Snapshot] = ()) -> Merged:
    """Add up what the workers counted; of those that have ended, counters and histograms only."""
    made = Merged({}, {})
    for snapshot in living:
        _add(made, snapshot, gauges=True)
    for snapshot in ended:
        _add(made, snapshot, gauges=False)
    return made


def _add(made: Merged, snapshot: Snapshot, *, gauges: bool) -> None:
    for name, labels, value in snapshot.figures:
        family = BY_NAME.get(name)
        if family is None or (family.kind != "counter" and not gauges):
            continue
        before = made.figures.get((name, labels))
        made.figures[name, labels] = value if before is None else _joined(family, before, value)
    for name, labels, counts, total in snapshot.histograms:
        if name in BY_NAME:
            sums, before_total = made.histograms.get((name, labels), ([0] * len(counts), 0.0))
            made.histograms[name, labels] = [a + b for a, b in zip(sums, counts, strict=True)], before_total + total


def _joined(family: Family, one: float, other: float) -> float:
    return max(one, other) if family.workers == "max" else min(one, other) if family.workers == "min" else one + other


class Histogram:
    """How many values fell into each bucket, and their sum. Values are milliseconds, as receipts have them; bounds are given in seconds."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = [bound * 1000 for bound in bounds]
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, ms: float) -> None:
        """Count a value; a bucket takes what is not above its bound."""
        self.counts[bisect_left(self.bounds, ms)] += 1
        self.total += ms


class Answers:
    """The answers of one model by one backend: their tokens and times."""

    __slots__ = ("cached", "completion", "duration", "first_token", "per_token", "prompt", "reasoning")

    def __init__(self) -> None:
        self.prompt = self.completion = self.cached = self.reasoning = 0
        self.first_token = Histogram(series.FIRST_TOKEN)
        self.per_token = Histogram(series.PER_TOKEN)
        self.duration = Histogram(series.DURATION)


class Cell:
    """One combination of labels of `homeport_requests_total`, and where its answers are counted."""

    __slots__ = ("answers", "at_once", "labels", "requests", "wait")

    def __init__(self, labels: Labels, answers: Answers, wait: Histogram | None) -> None:
        self.labels = labels
        self.requests = 0
        self.at_once = 0  # of them answered by the first try
        self.answers = answers
        self.wait = wait  # None where no backend was asked


class Measures:
    """One process's counts. `observe` is for `Tally.observers`: some dictionary look-ups and additions a receipt.

    A model's label is the name that is served, so only names of the catalogue become labels, and MOST at most.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.id = secrets.token_hex(6)
        self._catalogue = catalogue
        self._cells: dict[tuple[str, str, str | None, str], Cell] = {}  # by dialect, asked, backend and outcome as in a receipt
        self._counted: dict[Labels, Cell] = {}  # each once, by its labels
        self._answers: dict[Labels, Answers] = {}  # by model and backend
        self._waits: dict[str, Histogram] = {}
        self._known: dict[str, set[str]] = {"model": set(), "backend": set()}
        self._attempts: dict[Labels, int] = {}
        self._failovers: dict[Labels, int] = {}
        self._probes: dict[Labels, int] = {}

    def observe(self, receipt: Receipt) -> None:
        """Count what an Ask came to."""
        cell = self._cells.get((receipt.dialect, receipt.asked, receipt.backend, receipt.outcome)) or self._cell(receipt)
        cell.requests += 1
        answers = cell.answers
        answers.prompt += receipt.prompt_tokens
        tokens = receipt.completion_tokens
        answers.completion += tokens
        if receipt.cached_tokens:
            answers.cached += receipt.cached_tokens
        if receipt.reasoning_tokens:
            answers.reasoning += receipt.reasoning_tokens
        answers.duration.observe(receipt.total_ms)
        if (first := receipt.first_token_ms) is not None:
            answers.first_token.observe(first)
        if (speed := receipt.tok_per_s) and tokens > 1:
            answers.per_token.observe(1000 / speed)
        if cell.wait is not None:
            cell.wait.observe(receipt.queue_ms)
        attempts = receipt.attempts
        if len(attempts) == 1 and attempts[0].outcome == "ok":
            cell.at_once += 1
        else:
            self._tried(attempts)

    def probed(self, backend: str, good: bool | None) -> None:
        """A free probe of a backend found this; None where it is neither good nor bad."""
        _count(self._probes, (self._bounded("backend", backend), "unsure" if good is None else "good" if good else "bad"))

    def snapshot(self, readings: Iterable[Figure] = ()) -> Snapshot:
        """All that was counted so far, and what is read now."""
        figures: list[Figure] = [("homeport_requests", cell.labels, cell.requests) for cell in self._counted.values()]
        figures += [
            ("homeport_tokens", (*labels, kind), getattr(answers, kind)) for labels, answers in self._answers.items() for kind in TOKENS if labels[1] != NONE
        ]
        attempts = dict(self._attempts)
        for cell in self._counted.values():
            if cell.at_once:
                _count(attempts, (cell.labels[2], "ok"), cell.at_once)
        counted = (("homeport_attempts", attempts), ("homeport_failovers", self._failovers), ("homeport_probes", self._probes))
        figures += [(name, labels, count) for name, counts in counted for labels, count in counts.items()]
        figures += readings
        histograms = [
            (name, labels, list(found.counts), found.total / 1000)
            for labels, answers in self._answers.items()
            for name, found in (
                ("homeport_time_to_first_token_seconds", answers.first_token),
                ("homeport_time_per_output_token_seconds", answers.per_token),
                ("homeport_request_duration_seconds", answers.duration),
            )
            if any(found.counts)
        ]
        histograms += [("homeport_queue_wait_seconds", (backend,), list(wait.counts), wait.total / 1000) for backend, wait in self._waits.items()]
        return Snapshot(self.id, os.getpid(), figures, histograms)

    def _tried(self, attempts: list[Attempt]) -> None:
        for number, attempt in enumerate(attempts, 1):
            backend = self._bounded("backend", attempt.backend)
            outcome = attempt.outcome if attempt.outcome in OUTCOMES else OTHER
            _count(self._attempts, (backend, outcome))
            if number < len(attempts):
                _count(self._failovers, (backend, outcome))

    def _cell(self, receipt: Receipt) -> Cell:
        """The cell of a combination that was not seen yet. What is no served name is not remembered, so memory stays bounded."""
        name = self._served(receipt.asked)
        model = self._bounded("model", name) if name is not None else OTHER
        backend = NONE if receipt.backend is None else self._bounded("backend", receipt.backend)
        labels = (receipt.dialect, model, backend, receipt.outcome)
        cell = self._counted.get(labels)
        if cell is None:
            answers = self._answers.setdefault((model, backend), Answers())
            wait = None if receipt.backend is None else self._waits.setdefault(backend, Histogram(series.WAIT))
            cell = self._counted[labels] = Cell(labels, answers, wait)
        if name is not None:
            self._cells[receipt.dialect, receipt.asked, receipt.backend, receipt.outcome] = cell
        return cell

    def _served(self, asked: str) -> str | None:
        """The served name that an asked one stands for, or None."""
        if self._catalogue.find(asked) is None:
            return None
        names = self._catalogue.names()
        return next((name for name in (asked, f"{asked}:latest", asked.removesuffix(":latest")) if name in names), None)

    def _bounded(self, label: str, value: str) -> str:
        known = self._known[label]
        if value not in known:
            if len(known) >= MOST:
                return OTHER
            known.add(value)
        return value


def _count(counts: dict[Labels, int], labels: Labels, more: int = 1) -> None:
    counts[labels] = counts.get(labels, 0) + more
