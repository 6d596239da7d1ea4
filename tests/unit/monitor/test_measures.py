"""What is counted of a receipt, under which labels, and what several workers' counts make."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import homeport
from homeport.monitor.measures import MOST, Histogram, Measures, Snapshot, merged
from homeport.monitor.series import BY_NAME, FAMILIES, OUTCOMES
from homeport.vocabulary import STATES
from tests.unit.monitor.receipts import Names, receipt


def counted(*receipts: object, names: tuple[str, ...] = ("assistant",)) -> Measures:
    measures = Measures(Names(*names))
    for one in receipts:
        measures.observe(one)  # type: ignore[arg-type]
    return measures


def figures(measures: Measures, name: str) -> dict[tuple[str, ...], float]:
    return {labels: value for found, labels, value in measures.snapshot().figures if found == name}


def test_a_request_and_its_tokens() -> None:
    measures = counted(receipt(), receipt(), receipt(outcome="cut"))
    assert figures(measures, "homeport_requests") == {
        ("openai", "assistant", "home", "ok"): 2,
        ("openai", "assistant", "home", "cut"): 1,
    }
    assert figures(measures, "homeport_tokens") == {
        ("assistant", "home", kind): value * 3 for kind, value in (("prompt", 10), ("completion", 50), ("cached", 4), ("reasoning", 6))
    }


def test_times_in_seconds() -> None:
    [snapshot] = [counted(receipt(queue_ms=300.0)).snapshot()]
    found = {name: (counts, total) for name, _, counts, total in snapshot.histograms}
    for name, seconds in (
        ("homeport_time_to_first_token_seconds", 0.02),
        ("homeport_time_per_output_token_seconds", 0.02),
        ("homeport_request_duration_seconds", 0.1),
        ("homeport_queue_wait_seconds", 0.3),
    ):
        counts, total = found[name]
        assert total == pytest.approx(seconds)
        [place] = [place for place, count in enumerate(counts) if count]
        assert BY_NAME[name].buckets[place - 1] < seconds <= BY_NAME[name].buckets[place]


def test_a_bucket_takes_its_bound_and_the_last_takes_the_rest() -> None:
    histogram = Histogram((0.1, 1.0))
    for ms in (0.0, 100.0, 100.1, 1000.0, 1000.1, 1e9):
        histogram.observe(ms)
    assert histogram.counts == [2, 2, 2]


@pytest.mark.parametrize(
    ("asked", "model"),
    [("assistant", "assistant"), ("assistant:latest", "assistant"), ("tagged", "tagged:latest"), ("tagged:latest", "tagged:latest"), ("a prompt", "other")],
)
def test_a_model_is_a_served_name(asked: str, model: str) -> None:
    assert list(figures(counted(receipt(asked=asked), names=("assistant", "tagged:latest")), "homeport_requests")) == [("openai", model, "home", "ok")]


def test_names_that_nobody_serves_take_no_memory() -> None:
    measures = counted(*(receipt(asked=f"name {number}", backend=None, attempts=[]) for number in range(5000)))
    assert figures(measures, "homeport_requests") == {("openai", "other", "none", "ok"): 5000}
    assert len(measures._cells) == 0
    assert figures(measures, "homeport_tokens") == {}


def test_labels_are_bounded() -> None:
    names = [f"model-{number}" for number in range(MOST + 50)]
    measures = counted(*(receipt((f"b{name}", "ok"), asked=name, backend=f"b{name}") for name in names), names=tuple(names))
    found = figures(measures, "homeport_requests")
    assert len(found) == MOST + 1
    assert found["openai", "other", "other", "ok"] == 50


def test_a_name_that_is_served_later_is_counted_under_it_from_then_on() -> None:
    names = Names()
    measures = Measures(names)
    measures.observe(receipt())
    names.listed.append("assistant")
    measures.observe(receipt())
    assert figures(measures, "homeport_requests") == {("openai", "other", "home", "ok"): 1, ("openai", "assistant", "home", "ok"): 1}


def test_attempts_and_failovers() -> None:
    measures = counted(
        receipt(),
        receipt(("home", "unreachable"), ("vm", "ok"), backend="vm"),
        receipt(("home", "stalled"), ("vm", "broke"), backend="vm", outcome="failed"),
        receipt(("home", "client_left"), outcome="client_left"),
        receipt(("home", "invented"), ("vm", "ok"), backend="vm"),
        receipt(attempts=[], backend=None, outcome="refused"),
    )
    assert figures(measures, "homeport_attempts") == {
        ("home", "ok"): 1, ("home", "unreachable"): 1, ("home", "stalled"): 1, ("home", "client_left"): 1, ("home", "other"): 1,
        ("vm", "ok"): 2, ("vm", "broke"): 1,
    }  # fmt: skip
    assert figures(measures, "homeport_failovers") == {("home", "unreachable"): 1, ("home", "stalled"): 1, ("home", "other"): 1}


def test_probes() -> None:
    measures = counted()
    for good in (True, True, False, None):
        measures.probed("home", good)
    assert figures(measures, "homeport_probes") == {("home", "good"): 2, ("home", "bad"): 1, ("home", "unsure"): 1}


def test_no_speed_is_made_of_one_token_or_none() -> None:
    measures = counted(
        receipt(completion_tokens=1, tok_per_s=1000.0), receipt(completion_tokens=0, tok_per_s=0.0), receipt(tok_per_s=None, first_token_ms=None)
    )
    found = {name: sum(counts) for name, _, counts, _ in measures.snapshot().histograms}
    assert "homeport_time_per_output_token_seconds" not in found
    assert found["homeport_time_to_first_token_seconds"] == 2


def test_snapshots_travel() -> None:
    snapshot = counted(receipt()).snapshot([("homeport_workers", (), 1)])
    assert Snapshot.decode(snapshot.encode()) == snapshot


def test_workers_are_added_up_gauges_by_their_rule() -> None:
    ok, failed = STATES.index("healthy"), STATES.index("open")
    one = counted(receipt()).snapshot(
        [
            ("homeport_leases_in_flight", ("home",), 3),
            ("homeport_queue_length", ("home",), 2),
            ("homeport_backend_state", ("home",), ok),
            ("process_start_time_seconds", (), 9),
        ]
    )
    other = counted(receipt(), receipt(outcome="cut")).snapshot(
        [
            ("homeport_leases_in_flight", ("home",), 3),
            ("homeport_queue_length", ("home",), 3),
            ("homeport_backend_state", ("home",), failed),
            ("process_start_time_seconds", (), 7),
            ("unknown", (), 1),
        ]
    )
    found = merged([one, other])
    assert found.figures["homeport_requests", ("openai", "assistant", "home", "ok")] == 2
    assert found.figures["homeport_leases_in_flight", ("home",)] == 3
    assert found.figures["homeport_queue_length", ("home",)] == 5
    assert found.figures["homeport_backend_state", ("home",)] == failed
    assert found.figures["process_start_time_seconds", ()] == 7
    assert sum(found.histograms["homeport_request_duration_seconds", ("assistant", "home")][0]) == 3
    assert ("unknown", ()) not in found.figures


def test_of_the_departed_only_what_was_counted_stays() -> None:
    gone = counted(receipt()).snapshot([("homeport_leases_in_flight", ("home",), 2), ("process_cpu_seconds", (), 3.0)])
    here = counted().snapshot([("homeport_leases_in_flight", ("home",), 1), ("process_cpu_seconds", (), 1.0)])
    found = merged([here], [gone])
    assert found.figures["homeport_leases_in_flight", ("home",)] == 1
    assert found.figures["homeport_requests", ("openai", "assistant", "home", "ok")] == 1
    assert found.figures["process_cpu_seconds", ()] == 4.0


def test_no_label_can_name_a_person_or_a_prompt() -> None:
    assert {label for family in FAMILIES for label in family.labels} == {
        "dialect", "model", "backend", "outcome", "kind", "reason", "result", "state", "version", "python",
    }  # fmt: skip
    assert len(BY_NAME) == len(FAMILIES)


def test_every_outcome_that_an_error_gives_an_attempt_has_its_name() -> None:
    source = Path(homeport.__file__).parent
    texts = [path.read_text(encoding="utf-8") for path in source.rglob("*.py") if "testing" not in path.parts]
    said = {word for text in texts for word in re.findall(r'^    outcome = "(\w+)"', text, re.MULTILINE)}
    assert {"unreachable", "stalled", "full"} <= said <= OUTCOMES
    assert {"ok", "rejected", "revoked", "client_left", "cut"} <= OUTCOMES
