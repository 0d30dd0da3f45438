"""What is counted. Both the protocol's statistics and the metrics are made of it.

All of it happens on the event loop's thread. A request is only noted; notes are counted when there
are many, and when somebody asks.
"""

from __future__ import annotations

import time
from array import array
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

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
        self.bounds = np.array(bounds)
        self.counts = np.zeros(len(bounds) + 1, np.int64)
        self.total = 0.0

    def add(self, values: NDArray[Any]) -> None:
        """Count values."""
        places = np.searchsorted(self.bounds, values)
        self.counts += np.bincount(places, minlength=len(self.counts))
        self.total += float(values.sum())

    def buckets(self) -> list[tuple[str, float]]:
        """As Prometheus has them: upper end and the count of all values up to it."""
        ends = [*(f"{bound:g}" for bound in self.bounds), "+Inf"]
        return list(zip(ends, np.cumsum(self.counts, dtype=float).tolist(), strict=True))


class Note(NamedTuple):
    """A request that was answered: nanoseconds by stage, and rows."""

    total: int
    """From when it was there to when its answer was."""
    input: int
    queue: int
    compute: int
    rows: int
    """Its own."""
    batch: int
    """Those of its run; 0 where they are counted for another request of the same run."""


_FIELDS = len(Note._fields)
_MOST = 1024 * _FIELDS  # numbers, before they are counted


class Stages:
    """Nanoseconds by stage of so many requests."""

    __slots__ = ("compute", "count", "input", "output", "queue", "total")

    def __init__(self) -> None:
        self.count = self.total = self.input = self.queue = self.compute = self.output = 0

    def add(self, notes: NDArray[np.int64]) -> None:
        """Count notes, one a row."""
        total, ready, queue, compute, *_ = notes.sum(0).tolist()
        self.count += len(notes)
        self.total += total
        self.input += ready
        self.queue += queue
        self.compute += compute
        self.output += total - ready - queue - compute

    def record(self) -> dict[str, Any]:
        """The stages of computing, as the protocol has them."""
        return {
            "compute_input": _duration(self.count, self.input),
            "compute_infer": _duration(self.count, self.compute),
            "compute_output": _duration(self.count, self.output),
        }


class VersionStats:
    """Of one version of a model."""

    def __init__(self) -> None:
        self.stages = Stages()
        self.failures = 0
        self.failure_ns = 0
        self.rows = 0
        self.executions = 0
        self.last = 0.0
        self.batches: dict[int, Stages] = {}
        self.latency = Histogram(SECONDS)
        self.queue = Histogram(SECONDS)
        self.compute = Histogram(SECONDS)
        self.batch = Histogram(ROWS)
        self._notes = array("q")
        """One after another."""

    @property
    def success(self) -> int:
        """Requests that were answered."""
        return self.stages.count

    def succeeded(self, note: tuple[int, ...]) -> None:
        """Count a request that was answered: a `Note`, or a plain tuple of the same."""
        self.last = time.time()
        self._notes.extend(note)
        if len(self._notes) >= _MOST:
            self.settle()

    def settle(self) -> None:
        """Count what was only noted so far."""
        if not self._notes:
            return
        notes = np.frombuffer(self._notes, np.int64).reshape(-1, _FIELDS)
        self._notes = array("q")
        self.stages.add(notes)
        total, _, queue, _, rows, batch = notes.T
        self.rows += int(rows.sum())
        self.latency.add(total / 1e9)
        self.queue.add(queue / 1e9)
        runs = notes[batch > 0]
        self.executions += len(runs)
        self.compute.add(runs[:, 3] / 1e9)
        self.batch.add(runs[:, 5])
        for size in np.unique(runs[:, 5]).tolist():
            self.batches.setdefault(size, Stages()).add(runs[runs[:, 5] == size])

    def failed(self, total_ns: int) -> None:
        """Count a request that was not."""
        self.failures += 1
        self.failure_ns += total_ns

    def record(self, model: str, version: int, memory: int) -> dict[str, Any]:
        """As the protocol has them; `memory` is the version's, in bytes."""
        self.settle()
        return {
            "name": model,
            "version": str(version),
            "last_inference": int(self.last * 1000),
            "inference_count": self.rows,
            "execution_count": self.executions,
            "inference_stats": {
                "success": _duration(self.success, self.stages.total),
                "fail": _duration(self.failures, self.failure_ns),
                "queue": _duration(self.success, self.stages.queue),
                **self.stages.record(),
                "cache_hit": _duration(0, 0),
                "cache_miss": _duration(0, 0),
            },
            "batch_stats": [
                {"batch_size": size, **stages.record()}
                for size, stages in sorted(self.batches.items())
            ],
            "memory_usage": [{"type": "CPU", "id": 0, "byte_size": memory}],
        }


def _duration(count: int, ns: int) -> dict[str, int]:
    return {"count": count, "ns": ns}


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
        self.swap_seconds.setdefault(model, Histogram(SECONDS)).add(np.array([seconds]))
