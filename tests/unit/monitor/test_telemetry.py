"""Spans: what they say and what they never say, whose children they are, and a collector that is away."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.trace import SpanKind, StatusCode

from homeport.monitor import genai
from homeport.monitor.telemetry import MOST, Telemetry, Traced, Untraced, record, recorder, telemetry
from homeport.vocabulary import CHAT, EMBEDDINGS, Ask, Attempt, Caller, Receipt, Surface
from tests.gateway import soon
from tests.unit.monitor.collector import Collector, told
from tests.unit.monitor.receipts import receipt

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01".encode()


def spans(one: Receipt, operation: str = "chat", parent: bytes | None = None) -> list[ReadableSpan]:
    """Attempts in order, then the request."""
    tracer, made = recorder("1.2.3")
    record(tracer, one, operation, parent)
    return made


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_request_and_its_attempt() -> None:
    attempt, request = spans(receipt())
    assert (request.name, request.kind, request.parent) == ("chat assistant", SpanKind.SERVER, None)
    assert (request.start_time, request.end_time) == (1000_000_000_000, 1000_100_000_000)
    assert attributes(request) == {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "assistant", "gen_ai.response.model": "m",
        "gen_ai.request.stream": True, "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 50, "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 6, "gen_ai.response.time_to_first_chunk": 0.02, "homeport.request.id": "id", "homeport.dialect": "openai",
        "homeport.backend": "home", "homeport.location": "local", "homeport.outcome": "ok", "homeport.attempts": 1, "homeport.queue.wait": 0.0,
        "homeport.tokens_per_second": 50.0,
    }  # fmt: skip
    assert (attempt.name, attempt.kind, attempt.status.status_code) == ("chat m", SpanKind.CLIENT, StatusCode.UNSET)
    assert attempt.parent is not None and request.context is not None
    assert (attempt.parent.span_id, attempt.context and attempt.context.trace_id) == (request.context.span_id, request.context.trace_id)
    assert (attempt.start_time, attempt.end_time) == (1000_010_000_000, 1000_100_000_000)
    assert request.resource.attributes["service.name"] == "homeport"


def test_attempts_stand_end_to_end_and_say_how_they_ended() -> None:
    tries = [Attempt("home", "m", "stalled", "no token for 15 s", 60.0), Attempt("vm", None, "ok", "", 30.0)]
    first, second, request = spans(receipt(attempts=tries, backend="vm"))
    assert first.end_time == second.start_time == 1000_070_000_000
    assert second.end_time == request.end_time
    assert (attributes(first)["error.type"], first.status.status_code, second.name) == ("stalled", StatusCode.ERROR, "chat vm")
    assert "error.type" not in attributes(second)
    assert request.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize(
    ("outcome", "status"),
    [("ok", StatusCode.UNSET), ("client_left", StatusCode.UNSET), ("refused", StatusCode.UNSET), ("cut", StatusCode.ERROR), ("failed", StatusCode.ERROR)],
)
def test_whose_fault_a_status_says(outcome: str, status: StatusCode) -> None:
    request = spans(receipt(outcome=outcome))[-1]
    assert request.status.status_code is status
    assert attributes(request).get("error.type") == (None if outcome == "ok" else outcome)


def test_times_that_contradict_each_other_keep_their_order() -> None:
    attempt, request = spans(receipt(attempts=[Attempt("home", "m", "ok", "", 5000.0)]))
    assert (attempt.start_time, attempt.end_time) == (request.start_time, request.end_time)


def test_what_was_refused_before_a_backend_was_asked() -> None:
    [request] = spans(receipt(attempts=[], backend=None, provider=None, model=None, location=None, first_token_ms=None, tok_per_s=None), genai.UNKNOWN)
    assert request.name == "request assistant"
    assert "gen_ai.operation.name" not in attributes(request)
    assert None not in attributes(request).values()


def test_a_caller_with_a_trace_is_the_parent() -> None:
    attempt, request = spans(receipt(), parent=PARENT)
    assert request.context is not None and request.parent is not None and attempt.context is not None
    assert f"{request.context.trace_id:032x}" == f"{attempt.context.trace_id:032x}" == TRACE
    assert f"{request.parent.span_id:016x}" == "b7ad6b7169203331"


def test_a_trace_that_is_not_sampled_has_no_spans() -> None:
    assert spans(receipt(), parent=PARENT[:-1] + b"0") == []


@pytest.mark.parametrize("parent", [b"", b"rubbish", b"00-0-0-01", "00-ü".encode("latin-1")])
def test_a_parent_that_is_none(parent: bytes) -> None:
    assert spans(receipt(), parent=parent)[-1].parent is None


def test_no_key_no_app_and_no_reason_is_told() -> None:
    said = repr([(span.name, attributes(span)) for span in spans(receipt(("home", "broke"), ("vm", "ok"), key="bobs-key", app="bobs-app"))])
    assert not any(word in said for word in ("bobs", "prompt's"))


def test_names_are_those_of_the_conventions() -> None:
    known = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
    ours = {value for name, value in vars(genai).items() if name.isupper() and isinstance(value, str) and value.startswith("gen_ai.")}
    assert len(ours) > 8
    assert ours <= known
    assert set(genai.OPERATIONS) == set(Surface)
    operations = {value.value for value in gen_ai_attributes.GenAiOperationNameValues}
    assert set(genai.OPERATIONS.values()) - {"count_tokens"} <= operations


class Store:
    """Notes what it is told (port Store)."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def started(self, ask: Ask, ts: float, key: str | None) -> None:
        self.said.append(f"started {ask.id}")

    def settled(self, receipt: Receipt) -> None:
        self.said.append(f"settled {receipt.id}")

    def after(self, send: Callable[[bytes], object], data: bytes) -> None:
        send(data)


def ask(surface: Surface = CHAT, trace: bytes | None = None) -> Ask:
    return Ask("id", "openai", surface, "assistant", {}, True, False, 3, Caller(None), 0.0, trace)


def test_a_receipt_is_joined_with_what_its_ask_said() -> None:
    store, sent = Store(), Telemetry("http://127.0.0.1:1", "1.2.3")
    traced = sent.over(store)
    assert isinstance(traced, Traced)
    traced.started(ask(EMBEDDINGS, PARENT), 1.0, None)
    traced.settled(receipt())
    traced.settled(receipt(id="refused"))
    assert store.said == ["started id", "settled id", "settled refused"]
    assert [(one.id, operation, parent) for one, operation, parent in sent._waiting] == [("id", "embeddings", PARENT), ("refused", "request", None)]
    assert traced._under_way == {}


def test_off_is_the_store_itself() -> None:
    store, off = Store(), telemetry(None, "1.2.3")
    assert isinstance(off, Untraced)
    assert off.over(store) is store
    off.start()
    off.stop()
    assert isinstance(telemetry("http://127.0.0.1:4318", "1.2.3"), Telemetry)


def test_spans_reach_a_collector() -> None:
    with Collector() as collector:
        sent = Telemetry(collector.url, "1.2.3")
        sent.start()
        sent.add((receipt(), "chat", PARENT))
        sent._woken.set()
        assert collector.until(lambda: len(collector.spans) == 2)
        sent.add((receipt(id="second"), "chat", None))
        sent.stop()
        assert len(collector.spans) == 4  # what waited was sent at the stop
    assert set(collector.paths) == {"/v1/traces"}
    request = next(span for span in collector.spans if span.name == "chat assistant")
    assert request.trace_id.hex() == TRACE
    assert told(request.attributes)["gen_ai.usage.output_tokens"] == 50
    assert collector.resources[0]["service.name"] == "homeport"
    assert sent.dropped == 0


def test_a_whole_address_is_taken_as_it_is() -> None:
    with Collector() as collector:
        sent = Telemetry(f"{collector.url}/otlp/v1/traces", "1.2.3")
        sent.start()
        sent.add((receipt(), "chat", None))
        sent.stop()
    assert collector.paths == ["/otlp/v1/traces"]


def test_a_collector_that_refuses_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with Collector() as collector:
        sent = Telemetry(collector.url, "1.2.3")
        collector.status = 400
        sent.start()
        for number in range(3):
            sent.add((receipt(), "chat", None))
            sent._woken.set()
            assert collector.until(lambda number=number: len(collector.bodies) > number)  # type: ignore[misc]
            assert soon(lambda number=number: sent.dropped == number + 1)  # type: ignore[misc]
            sent._woken.clear()
        collector.status = 200
        sent.add((receipt(), "chat", None))
        sent.stop()
    words = [record.getMessage() for record in caplog.records]
    assert len(words) == 2
    assert "spans are not taken by" in words[0] and "again" in words[1]
    assert (sent.dropped, len(collector.spans)) == (3, 2)


class Stuck:
    """An exporter that waits until it is shut down, as one does whose collector is away."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.begun = threading.Event()

    def export(self, _: object) -> SpanExportResult:
        self.begun.set()
        self.ended.wait(30)
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self.ended.set()


def test_a_collector_that_is_away_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homeport.monitor.telemetry.GRACE_S", 0.2)
    stuck = Stuck()
    sent = Telemetry("http://127.0.0.1:1", "1.2.3", lambda _: stuck)  # type: ignore[arg-type, return-value]
    sent.start()
    sent.add((receipt(), "chat", None))
    sent._woken.set()
    assert stuck.begun.wait(20)
    for _ in range(MOST + 5):
        sent.add((receipt(), "chat", None))
    assert len(sent._waiting) == MOST
    assert sent.dropped == 5
    sent.stop()
    assert stuck.ended.is_set()
    assert soon(lambda: not sent._thread.is_alive(), 30)
