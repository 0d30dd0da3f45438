"""What is counted, in Prometheus's form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest

if TYPE_CHECKING:
    from quaver.serve.service import Service


class Metrics:
    """The server's metrics; they are made when they are asked for."""

    TYPE = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self, service: Service) -> None:
        self._service = service
        self._registry = CollectorRegistry()
        self._registry.register(cast(Any, self))
        ProcessCollector(registry=self._registry)

    def render(self) -> bytes:
        """All of them, as text."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Give all metrics."""
        stats = self._service.stats
        yield from _by_version(list(stats.versions.items()))
        errors = CounterMetricFamily(
            "quaver_errors", "Errors answered", None, ["protocol", "status"]
        )
        for key, count in list(stats.errors.items()):
            errors.add_metric(list(key), count)
        yield errors
        for name, counts in (("received", stats.bytes_in), ("sent", stats.bytes_out)):
            moved = CounterMetricFamily(f"quaver_{name}_bytes", f"Bytes {name}", None, ["protocol"])
            for protocol, count in counts.items():
                moved.add_metric([protocol], count)
            yield moved
        yield from self._models()

    def _models(self) -> Iterator[Metric]:
        service = self._service
        swaps = CounterMetricFamily("quaver_swaps", "Versions brought", None, ["model", "outcome"])
        for key, count in list(service.stats.swaps.items()):
            swaps.add_metric(list(key), count)
        yield swaps
        seconds = HistogramMetricFamily(
            "quaver_swap_seconds", "Time to bring one", labels=["model"]
        )
        for model, histogram in list(service.stats.swap_seconds.items()):
            seconds.add_metric([model], histogram.buckets(), histogram.total)
        yield seconds
        current = GaugeMetricFamily("quaver_current_version", "Served by default", None, ["model"])
        live = GaugeMetricFamily("quaver_versions", "Versions that serve", None, ["model"])
        for served in list(service.repository.models.values()):
            current.add_metric([served.name], served.default)
            live.add_metric([served.name], len(served.versions))
        yield from (current, live)
        waiting = GaugeMetricFamily("quaver_waiting_requests", "Waiting requests", None, ["model"])
        for model, count in service.scheduler.waiting.items():
            waiting.add_metric([model], count)
        yield waiting
        yield GaugeMetricFamily("quaver_active_requests", "Requests under way", service.active)
        yield GaugeMetricFamily("quaver_ready", "Whether all models can answer", int(service.ready))


def _by_version(items: list[tuple[tuple[str, int], Any]]) -> Iterator[Metric]:
    labels = ["model", "version"]
    counters = {
        "success": CounterMetricFamily("quaver_requests", "Requests answered", None, labels),
        "failures": CounterMetricFamily("quaver_failed_requests", "Requests failed", None, labels),
        "rows": CounterMetricFamily("quaver_rows", "Rows inferred", None, labels),
        "executions": CounterMetricFamily("quaver_runs", "Runs of a model", None, labels),
    }
    histograms = {
        "latency": HistogramMetricFamily("quaver_request_seconds", "Whole time", labels=labels),
        "queue": HistogramMetricFamily("quaver_queue_seconds", "Time waited", labels=labels),
        "compute": HistogramMetricFamily("quaver_compute_seconds", "Time of runs", labels=labels),
        "batch": HistogramMetricFamily("quaver_batch_rows", "Rows of runs", labels=labels),
    }
    for (model, version), stats in items:
        stats.settle()
        values = [model, str(version)]
        for name, counter in counters.items():
            counter.add_metric(values, getattr(stats, name))
        for name, family in histograms.items():
            histogram = getattr(stats, name)
            family.add_metric(values, histogram.buckets(), histogram.total)
    yield from counters.values()
    yield from histograms.values()
