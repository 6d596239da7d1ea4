"""However receipts fall on workers, and whichever of them end: their sums are those of one process, and no counter on a page ever falls."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from homeport.monitor.departed import Departed
from homeport.monitor.measures import Measures, Merged, merged
from homeport.monitor.series import BY_NAME
from homeport.vocabulary import Receipt
from tests.unit.monitor.receipts import Names, receipt

NAMES = Names("assistant", "small:latest")
TRIES = st.lists(st.tuples(st.sampled_from(["home", "vm"]), st.sampled_from(["ok", "full", "broke", "odd"])), max_size=3)
MS = st.one_of(st.sampled_from([0.0, 10.0, 100.0, 1000.0, 600_000.0]), st.floats(0, 1e7))
RECEIPTS = st.builds(
    lambda tries, **fields: receipt(*tries, **fields) if tries else receipt(attempts=[], **fields),
    TRIES,
    dialect=st.sampled_from(["openai", "ollama", "anthropic", "responses"]),
    asked=st.one_of(st.sampled_from(["assistant", "assistant:latest", "small"]), st.text(max_size=5)),
    backend=st.sampled_from(["home", "vm", None]),
    outcome=st.sampled_from(["ok", "cut", "failed", "refused", "client_left"]),
    completion_tokens=st.integers(0, 5000),
    first_token_ms=st.one_of(st.none(), MS),
    total_ms=MS,
    queue_ms=MS,
    tok_per_s=st.one_of(st.none(), st.floats(0, 1e5)),
)


@given(st.lists(st.tuples(st.integers(0, 3), RECEIPTS), max_size=40))
def test_the_sum_over_workers_is_what_one_process_counts(fallen: list[tuple[int, Receipt]]) -> None:
    alone, workers = Measures(NAMES), [Measures(NAMES) for _ in range(4)]
    for number, one in fallen:
        alone.observe(one)
        workers[number].observe(one)
    whole, parts = merged([alone.snapshot()]), merged([worker.snapshot() for worker in workers])
    assert parts.figures == whole.figures
    assert {key: counts for key, (counts, _) in parts.histograms.items()} == {key: counts for key, (counts, _) in whole.histograms.items()}
    requests = sum(value for (name, _), value in whole.figures.items() if name == "homeport_requests")
    assert requests == len(fallen)
    assert sum(sum(counts) for (name, _), (counts, _) in whole.histograms.items() if name == "homeport_request_duration_seconds") == len(fallen)
    assert sum(value for (name, _), value in whole.figures.items() if name == "homeport_attempts") == sum(len(one.attempts) for _, one in fallen)
    assert all(len(labels) == len(BY_NAME[name].labels) for name, labels in [*whole.figures, *whole.histograms])


class Workers(RuleBasedStateMachine):
    """Up to four workers, of which some do not answer, some end in order and some are killed; pages are made by any of them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="workers-"))
        self.departed = Departed(self.folder)
        self.workers = [Measures(NAMES)]
        self.lost = 0  # killed with counts that no page has shown
        self.unseen: dict[str, int] = {}
        self.settled = 0
        self.before = Merged({}, {})

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    @rule(one=RECEIPTS, at=st.integers(0, 3))
    def settle(self, one: Receipt, at: int) -> None:
        worker = self.workers[at % len(self.workers)]
        worker.observe(one)
        self.settled += 1
        self.unseen[worker.id] = self.unseen.get(worker.id, 0) + 1

    @precondition(lambda self: len(self.workers) < 4)
    @rule()
    def begin(self) -> None:
        self.workers.append(Measures(NAMES))

    @precondition(lambda self: len(self.workers) > 1)
    @rule(at=st.integers(0, 3), killed=st.booleans())
    def end(self, at: int, killed: bool) -> None:
        worker = self.workers.pop(at % len(self.workers))
        if killed:
            self.lost += self.unseen.get(worker.id, 0)
        else:
            self.departed.keep([worker.snapshot()])

    @rule(silent=st.integers(0, 3))
    def page(self, silent: int) -> None:
        quiet = self.workers[silent % len(self.workers)] if len(self.workers) > 1 else None
        living = [worker.snapshot() for worker in self.workers if worker is not quiet]
        self.departed.keep(living)
        for snapshot in living:
            self.unseen.pop(snapshot.id, None)
        page = merged(living, self.departed.others({snapshot.id for snapshot in living}))
        for key, value in self.before.figures.items():
            assert page.figures[key] >= value, key
        for key, (counts, total) in self.before.histograms.items():
            assert all(now >= then for now, then in zip(page.histograms[key][0], counts, strict=True)), key
            assert page.histograms[key][1] >= total - 1e-6
        shown = sum(value for (name, _), value in page.figures.items() if name == "homeport_requests")
        assert shown == self.settled - self.lost - sum(count for id, count in self.unseen.items() if quiet is not None and id == quiet.id)
        self.before = page


TestWorkers = Workers.TestCase
TestWorkers.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
