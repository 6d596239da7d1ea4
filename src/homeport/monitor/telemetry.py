"""OpenTelemetry: a span a request and one for each of its attempts, made from the receipt after the fact, in a thread of their own."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from homeport.monitor import genai
from homeport.ports import Store
from homeport.vocabulary import Ask, Receipt

if TYPE_CHECKING:  # the extra homeport[otel]; loaded in the thread
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Tracer
    from opentelemetry.sdk.trace.export import SpanExporter

log = logging.getLogger("homeport")

MOST = 10_000  # receipts that wait to be sent; beyond it the oldest go
BATCH = 512  # receipts sent at once
PERIOD_S = 2.0
GRACE_S = 3.0  # when stopping, for what is under way
NS = 1_000_000_000
Settled = tuple[Receipt, str, bytes | None]
"""A receipt, the operation that was asked for, and the traceparent its request came with."""


class Untraced:
    """Nothing is sent anywhere."""

    def over(self, store: Store) -> Store:
        """The store as it is."""
        return store

    def start(self) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""


def telemetry(otlp_url: str | None, version: str) -> Telemetry | Untraced:
    """What sends spans to this address, or nowhere."""
    return Telemetry(otlp_url, version) if otlp_url else Untraced()


class Traced:
    """A Store (port) that also hands receipts to `Telemetry`, each with what it does not carry: the trace that its Ask was part of, and the operation.

    These are noted when the Ask is dispatched; one that was refused before has a trace of its own.
    """

    def __init__(self, store: Store, telemetry: Telemetry) -> None:
        self._store = store
        self._telemetry = telemetry
        self._under_way: dict[str, tuple[str, bytes | None]] = {}  # by the Ask's id
        self.after = store.after

    def started(self, ask: Ask, ts: float, key: str | None) -> None:
        self._store.started(ask, ts, key)
        self._under_way[ask.id] = genai.OPERATIONS[ask.surface], ask.trace

    def settled(self, receipt: Receipt) -> None:
        self._store.settled(receipt)
        self._telemetry.add((receipt, *self._under_way.pop(receipt.id, (genai.UNKNOWN, None))))


class Telemetry:
    """Sends spans to an OTLP address over HTTP, from `start` to `stop`; the event loop only puts receipts into a queue.

    Needs `homeport[otel]`. A collector that does not answer costs spans, never requests.
    """

    def __init__(self, url: str, version: str, exporter: Callable[[str], SpanExporter] | None = None) -> None:
        self.dropped = 0  # receipts whose spans were not sent
        self._url = url
        self._version = version  # of Homeport
        self._make = exporter or _otlp
        self._exporter: SpanExporter | None = None
        self._waiting: deque[Settled] = deque()
        self._woken = threading.Event()
        self._ended = False
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)

    def over(self, store: Store) -> Store:
        """The store, with its receipts on their way here too."""
        return Traced(store, self)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def add(self, settled: Settled) -> None:
        """A request is over. From the event loop; never waits."""
        if len(self._waiting) >= MOST:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(settled)

    def stop(self) -> None:
        """Send what waits, if that goes within some seconds, and end."""
        self._ended = True
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join(GRACE_S)
            if self._thread.is_alive() and self._exporter is not None:
                self._exporter.shutdown()  # ends its wait between two tries
                self._thread.join(GRACE_S)

    def _run(self) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # what goes wrong is said once, below
        exporter = self._exporter = self._make(self._url)
        tracer, made = recorder(self._version)
        ended = False
        while not ended:
            self._woken.wait(PERIOD_S)
            ended = self._ended
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                for settled in batch:
                    record(tracer, *settled)
                spans, made[:] = list(made), []
                if spans and not self._sent(exporter, spans):
                    self.dropped += len(batch)
                    if self._ended:
                        break
        exporter.shutdown()

    def _sent(self, exporter: SpanExporter, spans: list[ReadableSpan]) -> bool:
        good = exporter.export(spans).name == "SUCCESS"
        if good == self._failing:
            self._failing = not good
            if good:
                log.warning("spans are taken again by %s", self._url)
            else:
                log.warning("spans are not taken by %s: those of %d requests are lost so far", self._url, self.dropped + 1)
        return good


def _otlp(url: str) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=url if url.endswith(genai.TRACES_PATH) else url + genai.TRACES_PATH)


def recorder(version: str) -> tuple[Tracer, list[ReadableSpan]]:
    """A tracer, and the list to which each of its spans is added when it ends."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor, Tracer, TracerProvider

    made: list[ReadableSpan] = []

    class Keeping(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            made.append(span)

    resource = Resource.create({genai.SERVICE_VERSION: version})
    if str(resource.attributes.get(genai.SERVICE, "unknown_service")).startswith("unknown_service"):  # OTEL_SERVICE_NAME would name it
        resource = resource.merge(Resource({genai.SERVICE: "homeport"}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(Keeping())
    tracer = provider.get_tracer(genai.SCOPE, version)
    assert isinstance(tracer, Tracer)
    return tracer, made


def record(tracer: Tracer, receipt: Receipt, operation: str, parent: bytes | None) -> None:
    """The spans of one request: its own, and one an attempt.

    A receipt says how long each attempt took, not when it began: they are laid end to end, up to the end of the request. A parent that is not
    sampled has no spans. No prompt, answer, key or reason is in them.
    """
    from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

    begun = int(receipt.ts * NS)
    ended = begun + int(receipt.total_ms * 1e6)
    span = tracer.start_span(f"{operation} {receipt.asked}", _context(parent), SpanKind.SERVER, attributes(receipt, operation), start_time=begun)
    at = max(begun, ended - int(sum(attempt.ms for attempt in receipt.attempts) * 1e6))
    for attempt in receipt.attempts:
        told: dict[str, str] = {genai.OPERATION: operation, genai.BACKEND: attempt.backend, genai.OUTCOME: attempt.outcome}
        if attempt.model is not None:
            told[genai.REQUEST_MODEL] = attempt.model
        if attempt.outcome != "ok":
            told[genai.ERROR] = attempt.outcome
        name = f"{operation} {attempt.model or attempt.backend}"
        child = tracer.start_span(name, set_span_in_context(span), SpanKind.CLIENT, told, start_time=at)
        at = min(ended, at + int(attempt.ms * 1e6))
        if attempt.outcome not in ("ok", "client_left"):
            child.set_status(Status(StatusCode.ERROR))
        child.end(at)
    if receipt.outcome in ("cut", "failed"):
        span.set_status(Status(StatusCode.ERROR))
    span.end(ended)


def attributes(receipt: Receipt, operation: str) -> dict[str, str | int | float | bool]:
    """What a span says of its request; what is not known is left out."""
    told: dict[str, str | int | float | bool | None] = {
        genai.OPERATION: operation if operation != genai.UNKNOWN else None,
        genai.PROVIDER: receipt.provider,
        genai.REQUEST_MODEL: receipt.asked,
        genai.RESPONSE_MODEL: receipt.model,
        genai.STREAM: receipt.stream,
        genai.INPUT_TOKENS: receipt.prompt_tokens or None,
        genai.OUTPUT_TOKENS: receipt.completion_tokens or None,
        genai.CACHED_TOKENS: receipt.cached_tokens or None,
        genai.REASONING_TOKENS: receipt.reasoning_tokens or None,
        genai.FIRST_CHUNK: receipt.first_token_ms / 1000 if receipt.first_token_ms is not None else None,
        genai.ERROR: receipt.outcome if receipt.outcome != "ok" else None,
        genai.REQUEST_ID: receipt.id,
        genai.DIALECT: receipt.dialect,
        genai.BACKEND: receipt.backend,
        genai.LOCATION: receipt.location,
        genai.OUTCOME: receipt.outcome,
        genai.ATTEMPTS: len(receipt.attempts),
        genai.QUEUE: receipt.queue_ms / 1000,
        genai.SPEED: receipt.tok_per_s or None,
    }
    return {name: value for name, value in told.items() if value is not None}


def _context(parent: bytes | None) -> Context | None:
    """The context of a traceparent, or none where it says nothing."""
    if parent is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": parent.decode("latin-1")})
