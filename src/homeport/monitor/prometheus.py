"""The page `/metrics`: what this process and its siblings counted, as Prometheus text, or OpenMetrics where that is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from homeport.monitor.departed import Departed
from homeport.monitor.measures import Figure, Measures, Merged, Snapshot, merged
from homeport.monitor.readings import of_outbox, of_tunnel
from homeport.monitor.series import FAMILIES, Family
from homeport.ports import Siblings
from homeport.vocabulary import STATES

if TYPE_CHECKING:  # loaded with the first page, in its thread
    from prometheus_client.metrics_core import Metric

TOPIC = "metrics"
REQUESTS = "homeport_requests"  # its last label is the outcome
PROCESS = {  # of the library's collector, whose name for a sample is the key
    "process_virtual_memory_bytes": "process_virtual_memory_bytes",
    "process_resident_memory_bytes": "process_resident_memory_bytes",
    "process_start_time_seconds": "process_start_time_seconds",
    "process_cpu_seconds_total": "process_cpu_seconds",
    "process_open_fds": "process_open_fds",
    "process_max_fds": "process_max_fds",
}


class Exporter:
    """Makes the page. `readings` are this process's gauges; they and the counts are taken on the event loop, the text is made in a thread.

    `outbox` is the file of notifications, which may not be there. `tunnel` says whether the tunnel is up, None where there is none; called in the thread.
    """

    def __init__(
        self,
        measures: Measures,
        readings: Callable[[], Iterable[Figure]],
        siblings: Siblings,
        outbox: Path,
        tunnel: Callable[[], bool | None] = lambda: None,
    ) -> None:
        self._measures = measures
        self._readings = readings
        self._siblings = siblings
        self._outbox = outbox
        self._tunnel = tunnel
        self._departed = Departed(siblings.folder)
        siblings.answer(TOPIC, lambda: self._snapshot().encode())

    async def page(self, accept: str = "", names: Sequence[str] = ()) -> tuple[bytes, str]:
        """The page and its content type, by an Accept header; of series with these names only, where there are any."""
        own = self._snapshot()
        others = await self._siblings.gather(TOPIC)
        return await asyncio.get_running_loop().run_in_executor(None, self._page, own, others, accept, names)

    async def outcomes(self) -> dict[str, int]:
        """Settled Asks by outcome, of all workers."""
        living = [self._snapshot(), *decoded(await self._siblings.gather(TOPIC))]

        def counted() -> dict[str, int]:
            self._departed.keep(living)
            counts: dict[str, int] = {}
            for (name, labels), value in merged(living, self._departed.others({snapshot.id for snapshot in living})).figures.items():
                if name == REQUESTS:
                    counts[labels[-1]] = counts.get(labels[-1], 0) + int(value)
            return counts

        return await asyncio.get_running_loop().run_in_executor(None, counted)

    def leave(self) -> None:
        """This worker ends: its last counts stay for the pages of the others. Not for the event loop."""
        if self._siblings.folder is not None:
            self._departed.keep([with_process(self._snapshot())])

    def _snapshot(self) -> Snapshot:
        return self._measures.snapshot(self._readings())

    def _page(self, own: Snapshot, others: list[bytes], accept: str, names: Sequence[str]) -> tuple[bytes, str]:
        living = [with_process(snapshot) for snapshot in (own, *decoded(others))]
        living[0].figures += [*of_outbox(self._outbox), *of_tunnel(self._tunnel())]
        self._departed.keep(living)
        return text(merged(living, self._departed.others({snapshot.id for snapshot in living})), accept, names)


def decoded(answers: Iterable[bytes]) -> Iterator[Snapshot]:
    """The snapshots among what siblings answered; one of another version of Homeport, amid an update, is left out."""
    for answer in answers:
        try:
            yield Snapshot.decode(answer)
        except msgspec.MsgspecError:
            continue


def with_process(snapshot: Snapshot) -> Snapshot:
    """The same, with what the system says of its process; as it is where the system has no /proc."""
    from prometheus_client.process_collector import ProcessCollector

    found = ProcessCollector(pid=lambda: snapshot.pid, registry=None).collect()
    snapshot.figures += [(PROCESS[sample.name], (), sample.value) for metric in found for sample in metric.samples if sample.name in PROCESS]
    return snapshot


def text(counted: Merged, accept: str, names: Sequence[str] = ()) -> tuple[bytes, str]:
    """The page and its content type, as the library negotiates it."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Page(counted))
    try:
        encode, kind = choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is none
        encode, kind = choose_encoder("")
    return encode(registry.restricted_registry(names) if names else registry), kind


class Page:
    """A collector of prometheus-client over what was counted."""

    def __init__(self, counted: Merged) -> None:
        self._figures: dict[str, list[tuple[tuple[str, ...], float]]] = {}
        for (name, labels), value in counted.figures.items():
            self._figures.setdefault(name, []).append((labels, value))
        self._histograms: dict[str, list[tuple[tuple[str, ...], list[int], float]]] = {}
        for (name, labels), (counts, total) in counted.histograms.items():
            self._histograms.setdefault(name, []).append((labels, counts, total))

    def collect(self) -> Iterator[Metric]:
        """Every family, those without a value too."""
        for family in FAMILIES:
            yield self._histogram(family) if family.kind == "histogram" else self._plain(family)

    describe = collect

    def _histogram(self, family: Family) -> Metric:
        from prometheus_client.metrics_core import HistogramMetricFamily
        from prometheus_client.utils import floatToGoString

        metric = HistogramMetricFamily(family.name, family.help, labels=family.labels)
        bounds = [*map(floatToGoString, family.buckets), "+Inf"]
        for labels, counts, total in sorted(self._histograms.get(family.name, ())):
            below, buckets = 0, []
            for bound, count in zip(bounds, counts, strict=True):
                below += count
                buckets.append((bound, below))
            metric.add_metric(labels, buckets, total)
        return metric

    def _plain(self, family: Family) -> Metric:
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

        found = sorted(self._figures.get(family.name, ()))
        if family.kind == "info":
            info = InfoMetricFamily(family.name, family.help)
            for labels, _ in found:
                info.add_metric((), dict(zip(family.labels, labels, strict=True)))
            return info
        if family.kind == "counter":
            counter = CounterMetricFamily(family.name, family.help, labels=family.labels)
            for labels, value in found:
                counter.add_metric(labels, value)
            return counter
        gauge = GaugeMetricFamily(family.name, family.help, labels=family.labels)
        for labels, value in found:
            if family.labels[-1:] == ("state",):
                for place, state in enumerate(STATES):
                    gauge.add_metric((*labels, state), float(place == int(value)))
            else:
                gauge.add_metric(labels, value)
        return gauge
