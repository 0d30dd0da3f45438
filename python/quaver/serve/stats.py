"""What is counted. Both the protocol's statistics and the metrics are made of it.

Counting happens for every request, so it is a few additions to plain numbers, all on the event
loop's thread.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from typing import Any

#: Upper ends of the histograms' buckets: seconds, and rows.
SECONDS = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    10,
)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Histogram:
    """Counts of values by bucket, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """As Prometheus has them: upper end and the count of all values up to it."""
        rows, count = [], 0
        for bound, more in zip((*self.bounds, "+Inf"), self.counts, strict=True):
            count += more
            rows.append((str(bound), float(count)))
        return rows


class VersionStats:
    """Of one version of a model."""

    def __init__(self) -> None:
        self.success = 0
        self.success_ns = 0
        self.queue_ns = 0
        self.compute_ns = 0
        self.failures = 0
        self.failure_ns = 0
        self.rows = 0
        self.executions = 0
        self.last = 0.0
        self.batches: dict[int, list[int]] = {}
        self.latency = Histogram(SECONDS)
        self.queue = Histogram(SECONDS)
        self.compute = Histogram(SECONDS)
        self.batch = Histogram(ROWS)

    def succeeded(self, rows: int, cost: tuple[int, int, int], total_ns: int) -> None:
        """Count a request that was answered.

        Parameters
        ----------
        rows
            Its own.
        cost
            As of `batching.job.Job`.
        total_ns
            From when it was there to when its answer was.
        """
        queue_ns, compute_ns, batch = cost
        self.success += 1
        self.success_ns += total_ns
        self.queue_ns += queue_ns
        self.compute_ns += compute_ns
        self.rows += rows
        self.last = time.time()
        self.latency.add(total_ns / 1e9)
        self.queue.add(queue_ns / 1e9)
        if batch:
            self.executions += 1
            self.compute.add(compute_ns / 1e9)
            self.batch.add(batch)
            entry = self.batches.setdefault(batch, [0, 0])
            entry[0] += 1
            entry[1] += compute_ns

    def failed(self, total_ns: int) -> None:
        """Count a request that was not."""
        self.failures += 1
        self.failure_ns += total_ns

    def record(self, model: str, version: int) -> dict[str, Any]:
        """As the protocol has them."""
        both = self.success

        def duration(count: int, ns: int) -> dict[str, int]:
            return {"count": count, "ns": ns}

        return {
            "name": model,
            "version": str(version),
            "last_inference": int(self.last * 1000),
            "inference_count": self.rows,
            "execution_count": self.executions,
            "inference_stats": {
                "success": duration(both, self.success_ns),
                "fail": duration(self.failures, self.failure_ns),
                "queue": duration(both, self.queue_ns),
                "compute_input": duration(both, 0),
                "compute_infer": duration(both, self.compute_ns),
                "compute_output": duration(both, 0),
                "cache_hit": duration(0, 0),
                "cache_miss": duration(0, 0),
            },
            "batch_stats": [
                {
                    "batch_size": size,
                    "compute_input": duration(count, 0),
                    "compute_infer": duration(count, ns),
                    "compute_output": duration(count, 0),
                }
                for size, (count, ns) in sorted(self.batches.items())
            ],
            "memory_usage": [],
        }


class Stats:
    """Of the whole server."""

    def __init__(self) -> None:
        self.versions: dict[tuple[str, int], VersionStats] = {}
        self.errors: dict[tuple[str, str], int] = {}
        """By protocol and status."""
        self.bytes_in: dict[str, int] = {"http": 0, "grpc": 0}
        self.bytes_out: dict[str, int] = {"http": 0, "grpc": 0}
        self.swaps: dict[tuple[str, str], int] = {}
        """By model and outcome; written by the loader's thread alone."""
        self.swap_seconds: dict[str, Histogram] = {}

    def of(self, model: str, version: int) -> VersionStats:
        """Of a version; made when it is first asked for."""
        found = self.versions.get((model, version))
        if found is None:
            found = self.versions[model, version] = VersionStats()
        return found

    def error(self, protocol: str, status: str) -> None:
        """Count an answer that is an error."""
        self.errors[protocol, status] = self.errors.get((protocol, status), 0) + 1

    def swapped(self, model: str, outcome: str, seconds: float) -> None:
        """Count an exchange of versions."""
        self.swaps[model, outcome] = self.swaps.get((model, outcome), 0) + 1
        self.swap_seconds.setdefault(model, Histogram(SECONDS)).add(seconds)
