"""`/metrics` of a whole gateway: it agrees with the journal, needs a key where others can connect, and tells nobody's secrets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from homeport.storage.keys import Keys
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Fault, Point, Refuse
from tests.caller import Heard, asked, chat
from tests.gateway import Running, config, soon
from tests.unit.monitor.collector import Collector, told

CANARY = "canary-7d1f"


def scraped(gateway: Running, **headers: str) -> Heard:
    return asked(gateway.url, method="GET", path="/metrics", headers=headers)


def values(gateway: Running, **headers: str) -> dict[str, dict[tuple[str, ...], float]]:
    """By name, then by the values of the labels in the order of their names."""
    heard = scraped(gateway, **headers)
    assert heard.status == 200, heard.body
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(heard.body.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels[name] for name in sorted(sample.labels))] = sample.value
    return found


@pytest.fixture
def backends() -> Iterator[tuple[ScriptedBackend, ScriptedBackend]]:
    with ScriptedBackend("one two three") as home, ScriptedBackend("four five") as vm:
        yield home, vm


def test_the_page_agrees_with_the_journal(tmp_path: Path, backends: tuple[ScriptedBackend, ScriptedBackend]) -> None:
    home, vm = backends
    with Running(config(tmp_path, {"home": home.url, "vm": vm.url})) as gateway:
        assert asked(gateway.url, chat()).status == 200
        assert asked(gateway.url, {**chat(stream=True), "model": "assistant"}, path="/api/chat").status == 200
        home.default = Refuse(status=500)
        assert asked(gateway.url, chat()).text == "four five"
        home.default = vm.default = Fault(Point.REQUEST, "close")
        assert asked(gateway.url, chat()).status == 503
        assert asked(gateway.url, chat(model="nobody's")).status == 404
        receipts = gateway.journal.settled(5)
        page = values(gateway)
    counted = page["homeport_requests_total"]
    for one in receipts:
        labels = (one["backend"] or "none", one["dialect"], "assistant" if one["asked"] == "assistant" else "other", one["outcome"])
        counted[labels] -= 1
    assert set(counted.values()) == {0}
    for kind in ("prompt", "completion", "cached", "reasoning"):
        tokens = sum(value for labels, value in page["homeport_tokens_total"].items() if labels[1] == kind)
        assert tokens == sum(one[f"{kind}_tokens"] for one in receipts), kind
    tries = [(attempt["backend"], attempt["outcome"]) for one in receipts for attempt in one["attempts"]]
    assert page["homeport_attempts_total"] == {each: tries.count(each) for each in set(tries)}
    failed = [(attempt["backend"], attempt["outcome"]) for one in receipts for attempt in one["attempts"][:-1]]
    assert failed
    assert page["homeport_failovers_total"] == {each: failed.count(each) for each in set(failed)}
    total = sum(page["homeport_request_duration_seconds_sum"].values())
    assert total == pytest.approx(sum(one["total_ms"] for one in receipts) / 1000)
    assert sum(page["homeport_request_duration_seconds_count"].values()) == 5


def test_gauges_follow_the_backends(tmp_path: Path) -> None:
    with ScriptedBackend() as home, Running(config(tmp_path, {"home": {"url": home.url, "max_in_flight": 3}}, monitor={"probe_interval_s": 0.05})) as gateway:
        assert soon(lambda: values(gateway).get("homeport_probes_total", {}).get(("home", "good"), 0) > 1)
        page = values(gateway)
        assert page["homeport_leases_limit"] == {("home",): 3}
        assert page["homeport_backend_state"]["home", "healthy"] == 1
        assert sum(page["homeport_backend_state"].values()) == 1
        assert page["homeport_workers"] == {(): 1}


def test_no_key_is_needed_where_only_this_machine_can_connect(tmp_path: Path) -> None:
    with ScriptedBackend() as home, Running(config(tmp_path, {"home": home.url})) as gateway:
        assert scraped(gateway).status == 200
        assert scraped(gateway, host="evil.example").status == 403
        assert scraped(gateway, origin="https://evil.example").status == 403
        key = Keys(tmp_path / "data").add("bob")
        assert soon(lambda: asked(gateway.url, chat()).status == 401)
        assert scraped(gateway).status == 200
        assert scraped(gateway, host="gateway.example").status == 401  # by a proxy that says whom it was asked for
        assert scraped(gateway, host="gateway.example", authorization=f"Bearer {key}").status == 200


def test_others_need_a_key(tmp_path: Path) -> None:
    key = Keys(tmp_path / "data").add("bob")
    with ScriptedBackend() as home, Running(config(tmp_path, {"home": home.url}, listen="0.0.0.0:0")) as gateway:
        gateway.url = gateway.url.replace("0.0.0.0", "127.0.0.1")
        assert scraped(gateway).status == 401
        assert scraped(gateway, authorization=f"Bearer {key}").status == 200


def test_no_prompt_answer_key_or_caller_is_on_the_page(tmp_path: Path) -> None:
    Keys(tmp_path / "data").add(f"{CANARY}-name")
    with ScriptedBackend(f"{CANARY}-answer") as home, Running(config(tmp_path, {"home": home.url})) as gateway:
        key = Keys(tmp_path / "data").add("bob")
        headers = {"authorization": f"Bearer {key}", "user-agent": f"{CANARY}-app/1"}
        assert soon(lambda: asked(gateway.url, chat(f"{CANARY}-prompt"), headers=headers).status == 200)
        assert asked(gateway.url, chat(model=f"{CANARY}-model"), headers=headers).status == 404
        gateway.journal.settled(2)
        page = scraped(gateway).body.decode()
    assert CANARY not in page and "bob" not in page and key not in page
    assert 'model="other"' in page


def test_openmetrics_and_names(tmp_path: Path) -> None:
    with ScriptedBackend() as home, Running(config(tmp_path, {"home": home.url})) as gateway:
        heard = scraped(gateway, accept="application/openmetrics-text;version=1.0.0")
        assert heard.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        assert heard.body.endswith(b"# EOF\n")
        few = asked(gateway.url, method="GET", path="/metrics?name[]=homeport_workers", headers={})
        assert [row for row in few.body.decode().splitlines() if row[0] != "#"] == ["homeport_workers 1.0"]
        assert asked(gateway.url, b"", path="/metrics").status == 405


def test_spans_of_a_request_and_its_failover(tmp_path: Path, backends: tuple[ScriptedBackend, ScriptedBackend]) -> None:
    home, vm = backends
    home.default = Refuse(status=500)
    trace = "0af7651916cd43dd8448eb211c80319c"
    with Collector() as collector:
        path = config(tmp_path, {"home": home.url, "vm": vm.url})
        path.write_text(path.read_text(encoding="utf-8") + f'[telemetry]\notlp_url = "{collector.url}"\n', encoding="utf-8")
        with Running(path) as gateway:
            heard = asked(gateway.url, chat(f"{CANARY}-prompt"), headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01", "user-agent": CANARY})
            assert heard.status == 200
        assert len(collector.spans) == 3  # sent before the gateway ended
        spans: list[Any] = sorted(collector.spans, key=lambda span: int(span.start_time_unix_nano))
    [request] = [span for span in spans if span.parent_span_id.hex() == "b7ad6b7169203331"]
    tries = [span for span in spans if span.parent_span_id == request.span_id]
    assert {span.trace_id.hex() for span in spans} == {trace}
    assert told(request.attributes)["homeport.request.id"] == heard.headers["x-request-id"]
    assert told(request.attributes)["homeport.backend"] == "vm"
    assert [told(span.attributes)["homeport.outcome"] for span in tries] == ["refused", "ok"]
    assert not any(CANARY.encode() in body for body in collector.bodies)
