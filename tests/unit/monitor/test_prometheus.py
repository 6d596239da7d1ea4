"""The page: its text as Prometheus reads it, its other form, several workers, and what it does not load."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parsed_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parsed

from homeport.monitor.departed import Departed
from homeport.monitor.measures import Measures
from homeport.monitor.outbox import FILE, Outbox
from homeport.monitor.prometheus import TOPIC, Exporter
from homeport.monitor.readings import of_gateway
from homeport.monitor.series import FAMILIES
from homeport.monitor.siblings import NoSiblings
from homeport.settings import load
from homeport.storage import locks
from homeport.tunnel import state as states
from homeport.tunnel.state import TunnelState
from homeport.vocabulary import STATES, Event, Standing
from tests.unit.monitor.receipts import Names, receipt

HOME = Standing("home", "ollama", "local", "degraded", "slow", 1.0, 2, 4, 3, ["m"], 250.0, 40.0, None, 12.5, 1)
VM = Standing("vm", "openai", "cloud", "healthy", "", 1.0, 0, 8, 0, [])


class Journal:
    trouble: str | None = None
    waiting = 0
    lost = 0


class Relatives:
    """Workers of one process each in name only (port Siblings)."""

    def __init__(self, folder: Path | None, answers: list[bytes] | None = None) -> None:
        self.folder = folder
        self.answers = answers or []
        self.gives: dict[str, Callable[[], bytes]] = {}

    async def gather(self, topic: str) -> list[bytes]:
        assert topic == TOPIC
        return self.answers

    def answer(self, topic: str, give: Callable[[], bytes]) -> None:
        self.gives[topic] = give


def exporter(folder: Path, *, siblings: Relatives | None = None, journal: Journal | None = None) -> tuple[Measures, Exporter]:
    measures = Measures(Names("assistant"))
    readings = lambda: of_gateway("1.2.3", [HOME, VM], 1.0, journal or Journal(), 3)  # noqa: E731
    return measures, Exporter(measures, readings, siblings or NoSiblings(), folder / FILE)


def page(of: Exporter, accept: str = "", *names: str) -> tuple[str, str]:
    body, kind = asyncio.run(of.page(accept, names))
    return body.decode(), kind


def values(text: str) -> dict[tuple[str, str], float]:
    """By name and labels, as `name` and `a=1,b=2`."""
    return {
        (sample.name, ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))): sample.value
        for family in parsed(text)
        for sample in family.samples
    }


def test_the_page_as_prometheus_reads_it(tmp_path: Path) -> None:
    measures, made = exporter(tmp_path)
    measures.observe(receipt(("vm", "full"), ("home", "ok")))
    text, kind = page(made)
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    found = values(text)
    assert found["homeport_requests_total", "backend=home,dialect=openai,model=assistant,outcome=ok"] == 1
    assert found["homeport_tokens_total", "backend=home,kind=completion,model=assistant"] == 50
    assert found["homeport_time_to_first_token_seconds_bucket", "backend=home,le=0.01,model=assistant"] == 0
    assert found["homeport_time_to_first_token_seconds_bucket", "backend=home,le=0.025,model=assistant"] == 1
    assert found["homeport_time_to_first_token_seconds_bucket", "backend=home,le=+Inf,model=assistant"] == 1
    assert found["homeport_time_to_first_token_seconds_sum", "backend=home,model=assistant"] == pytest.approx(0.02)
    assert found["homeport_failovers_total", "backend=vm,reason=full"] == 1
    assert found["homeport_leases_limit", "backend=vm"] == 8
    assert found["homeport_queue_length", "backend=home"] == 3
    assert found["homeport_leases_zombies", "backend=home"] == 1
    assert found["homeport_backend_first_token_seconds", "backend=home"] == 0.25
    assert ("homeport_backend_first_token_seconds", "backend=vm") not in found
    assert found["homeport_backend_cold_start_seconds", "backend=home"] == 12.5
    assert {state: found["homeport_backend_state", f"backend=home,state={state}"] for state in STATES} == dict.fromkeys(STATES, 0) | {"degraded": 1}
    assert found["homeport_workers", ""] == 1
    assert found["homeport_retries_refused_total", ""] == 3
    assert found["homeport_build_info", f"python={sys.version.split()[0]},version=1.2.3"] == 1
    assert found["process_resident_memory_bytes", ""] > 1e6
    assert found["process_open_fds", ""] > 2


def test_every_family_is_there_before_the_first_request(tmp_path: Path) -> None:
    text, _ = page(exporter(tmp_path)[1])
    for family in FAMILIES:
        shown = f"{family.name}{'_total' if family.kind == 'counter' else '_info' if family.kind == 'info' else ''}"
        assert f"# TYPE {shown} {'gauge' if family.kind == 'info' else family.kind}\n" in text


def test_buckets_rise(tmp_path: Path) -> None:
    measures, made = exporter(tmp_path)
    for ms in (1.0, 60.0, 3000.0, 1e7):
        measures.observe(receipt(total_ms=ms))
    [duration] = [family for family in parsed(page(made)[0]) if family.name == "homeport_request_duration_seconds"]
    counts = [sample.value for sample in duration.samples if sample.name.endswith("_bucket")]
    assert counts == sorted(counts)
    assert counts[-1] == 4
    assert counts[-2] == 3


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "application/openmetrics-text; version=1.0.0"),
        ("application/openmetrics-text", "application/openmetrics-text; version=1.0.0"),
        ("text/plain;version=0.0.4", "text/plain; version=0.0.4"),
        ("text/html", "text/plain; version=0.0.4"),
        ("application/openmetrics-text;version=rubbish", "text/plain; version=0.0.4"),
        ("text/plain;version=.", "text/plain; version=0.0.4"),
    ],
)
def test_negotiation(tmp_path: Path, accept: str, kind: str) -> None:
    measures, made = exporter(tmp_path)
    measures.observe(receipt())
    text, found = page(made, accept)
    assert found.startswith(kind)
    if "openmetrics" in found:
        assert "homeport_requests" in {family.name for family in parsed_openmetrics(text)}
    else:
        assert "homeport_requests" in {family.name for family in parsed(text)}


def test_some_names_only(tmp_path: Path) -> None:
    text, _ = page(exporter(tmp_path)[1], "", "homeport_workers", "homeport_nothing")
    assert [row for row in text.splitlines() if not row.startswith("#")] == ["homeport_workers 1.0"]


def test_siblings_are_added_up_and_rubbish_is_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    other = Relatives(folder)
    theirs, _ = exporter(tmp_path, siblings=other)
    theirs.observe(receipt())
    measures, made = exporter(tmp_path, siblings=Relatives(folder, [other.gives[TOPIC](), b"rubbish", b""]))
    measures.observe(receipt())
    found = values(page(made)[0])
    assert found["homeport_requests_total", "backend=home,dialect=openai,model=assistant,outcome=ok"] == 2
    assert found["homeport_leases_in_flight", "backend=home"] == 2
    assert found["homeport_queue_length", "backend=home"] == 6
    assert found["homeport_workers", ""] == 2
    assert found["homeport_backend_state", "backend=home,state=degraded"] == 1


def test_what_a_worker_counted_stays_when_it_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    killed, leaving = Relatives(folder), Relatives(folder)
    one, _ = exporter(tmp_path, siblings=killed)
    two, orderly = exporter(tmp_path, siblings=leaving)
    one.observe(receipt())
    here = Relatives(folder, [killed.gives[TOPIC](), leaving.gives[TOPIC]()])
    _, made = exporter(tmp_path, siblings=here)
    before = values(page(made)[0])
    two.observe(receipt())
    orderly.leave()
    here.answers = []
    after = values(page(made)[0])
    name = ("homeport_requests_total", "backend=home,dialect=openai,model=assistant,outcome=ok")
    assert (before[name], after[name]) == (1, 2)
    assert (before["homeport_workers", ""], after["homeport_workers", ""]) == (3, 1)
    assert after["process_cpu_seconds_total", ""] >= before["process_cpu_seconds_total", ""]


def test_a_folder_that_is_away_costs_no_page(tmp_path: Path) -> None:
    _, made = exporter(tmp_path, siblings=Relatives(tmp_path / "nowhere"))
    assert values(page(made)[0])["homeport_workers", ""] == 1
    made.leave()
    (tmp_path / "metrics-x").write_bytes(b"rubbish")
    assert Departed(tmp_path).others(set()) == []


def test_one_process_keeps_no_file(tmp_path: Path) -> None:
    _, made = exporter(tmp_path)
    page(made)
    made.leave()
    assert list(tmp_path.iterdir()) == []
    siblings = NoSiblings()
    siblings.answer(TOPIC, bytes)
    assert asyncio.run(siblings.gather(TOPIC)) == []


def test_notifications_that_wait(data_dir: Path) -> None:
    _, made = exporter(data_dir)
    assert "homeport_notifications_waiting" not in {name for name, _ in values(page(made)[0])}
    with closing(Outbox(data_dir)) as outbox:
        outbox.record(Event("e1", "down", "home", 1.0, "gone", None, None), ["one", "two"], 1.0)
        assert values(page(made)[0])["homeport_notifications_waiting", ""] == 2
        outbox.acknowledge("e1", "one")
        assert values(page(made)[0])["homeport_notifications_waiting", ""] == 1
    (data_dir / FILE).write_bytes(b"no database" * 100)
    assert "homeport_notifications_waiting" not in {name for name, _ in values(page(made)[0])}


def test_a_journal_in_trouble(tmp_path: Path) -> None:
    journal = Journal()
    journal.trouble, journal.waiting, journal.lost = "the disk is full", 7, 2
    text, _ = page(exporter(tmp_path, journal=journal)[1])
    found = values(text)
    assert (found["homeport_journal_trouble", ""], found["homeport_journal_waiting_lines", ""], found["homeport_receipts_lost_total", ""]) == (1, 7, 2)
    assert "disk is full" not in text


def test_the_library_is_loaded_by_the_first_page_only() -> None:
    heavy = "{'prometheus_client', 'opentelemetry', 'sqlite3'}"
    code = f"import sys, homeport.app, homeport.front.handover; print(sorted({{name.partition('.')[0] for name in sys.modules}} & {heavy}))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60).stdout.strip() == "[]"


def test_a_tunnel_is_on_the_page_where_there_is_one(tmp_path: Path) -> None:
    def shown(up: bool | None) -> list[str]:
        text, _ = page(Exporter(Measures(Names("assistant")), lambda: (), NoSiblings(), tmp_path / FILE, lambda: up))
        return [line for line in text.splitlines() if line.startswith("homeport_tunnel_up")]

    assert shown(None) == []
    assert shown(True) == ["homeport_tunnel_up 1.0"]
    assert shown(False) == ["homeport_tunnel_up 0.0"]


def test_the_gateway_reads_the_state_of_the_tunnel_beside_it(tmp_path: Path) -> None:
    def up(text: str) -> bool | None:
        (tmp_path / "homeport.toml").write_text(f'[server]\ndata = "data"\n{text}', encoding="utf-8")
        return states.is_up(load(config=tmp_path / "homeport.toml", environ={"HOME": str(tmp_path)}), locks.held)

    assert up("") is None
    assert up("[tunnel]\n") is False
    (tmp_path / "data/tunnel").mkdir(parents=True)
    with locks.alone(tmp_path / "data/tunnel" / states.LOCK):
        states.write(tmp_path / "data/tunnel", TunnelState(state="up"))
        assert up("[tunnel]\n") is True
    assert up("[tunnel]\n") is False
