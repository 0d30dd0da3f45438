"""A request that waits or runs, and the requests of one model that wait."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from quaver.serve.batching.sizes import batch_sizes, choices
from quaver.serve.batching.timing import Costs
from quaver.serve.models.served import ServedModel, Track
from quaver.serve.protocol.request import rows_of

Outcome = tuple[list[NDArray[Any]], int]
"""Outputs in the model's order, and the version that gave them."""

#: A request's priority where it names none; 1 is the most urgent.
DEFAULT_PRIORITY = 100
_LOOK_AHEAD = 256


class Job:
    """A run that was asked for.

    Parameters
    ----------
    track
        Where it is to run.
    arrays
        The model's inputs.
    priority
        1 is the most urgent.
    deadline
        When it is too late to begin, in seconds of the loop's clock.
    started
        When the request came, in nanoseconds of `time.perf_counter_ns`.
    """

    __slots__ = (
        "arrays", "batch", "computed", "deadline", "enqueued", "future", "gathered", "key",
        "number", "priority", "queued", "rows", "shapes", "started", "track", "waited",
    )  # fmt: skip

    def __init__(
        self,
        track: Track,
        arrays: Sequence[NDArray[Any]],
        priority: int = DEFAULT_PRIORITY,
        deadline: float | None = None,
        started: int = 0,
    ) -> None:
        self.track = track
        self.arrays = arrays
        self.priority = priority
        self.deadline = deadline
        self.started = started
        self.shapes = tuple([array.shape for array in arrays])
        self.rows = rows_of(self.shapes)
        self.key: Any = None
        self.number = 0
        self.queued = False
        self.enqueued = 0
        """When its inputs were ready."""
        self.waited = self.gathered = self.computed = 0
        """Nanoseconds until it ran, to put its inputs to those of others, and of the run."""
        self.batch = self.rows
        """The rows of the run; 0 where they are counted for another request of the same run."""
        self.future: asyncio.Future[Outcome]


class Lane:
    """A model's waiting requests, and what is known of how long it runs."""

    def __init__(self, model: ServedModel) -> None:
        self.model = model
        self.waiting = 0
        self.running = 0
        self.clock = 0.0
        """The workers' time it had, by its weight: who had least is next."""
        self.estimate = 0.0
        """Nanoseconds of its last run."""
        self.wake: asyncio.TimerHandle | None = None
        self.costs = Costs()
        self.sizes = batch_sizes(model.settings.max_batch)
        self._heap: list[tuple[int, int, Job]] = []
        self._count = 0

    def push(self, job: Job) -> None:
        """Let a request wait."""
        self._count += 1
        job.number = self._count
        job.queued = True
        job.key = self._key(job)
        self.waiting += 1
        self._put(job)

    def _put(self, job: Job) -> None:
        heapq.heappush(self._heap, (job.priority, job.number, job))

    def _key(self, job: Job) -> Any:
        """What requests that may run together have in common; None for one that runs alone."""
        if self.model.alone or self.sizes[-1] == 1 or not 0 < job.rows < self.sizes[-1]:
            return None
        if any(shape[0] != job.rows for shape in job.shapes):
            return None
        return id(job.track), *(shape[1:] for shape in job.shapes)

    def drop(self, job: Job) -> bool:
        """Let a request no longer wait; tell whether it did."""
        if not job.queued:
            return False
        job.queued = False
        job.arrays = ()
        self.waiting -= 1
        return True

    def _pop(self) -> Job | None:
        while self._heap:
            job = heapq.heappop(self._heap)[2]
            # Who is late is left out here, and told so by the loop's timer.
            if job.queued and (job.deadline is None or job.deadline > time.monotonic()):
                return job
        return None

    @property
    def oldest(self) -> int:
        """When the first in the queue began to wait, in nanoseconds."""
        while self._heap and not self._heap[0][2].queued:
            heapq.heappop(self._heap)
        return self._heap[0][2].enqueued if self._heap else 0

    def take(self) -> list[Job]:
        """The requests to run next, together."""
        first = self._pop()
        if first is None:
            return []
        jobs = [first]
        if first.key is not None:
            jobs = self._company(first)
        for job in jobs:
            job.queued = False
        self.waiting -= len(jobs)
        return jobs

    def _company(self, first: Job) -> list[Job]:
        jobs, rows = [first], first.rows
        others: list[Job] = []
        while rows < self.sizes[-1] and len(others) < _LOOK_AHEAD:
            job = self._pop()
            if job is None:
                break
            if job.key == first.key:
                jobs.append(job)
                rows += job.rows
            else:
                others.append(job)
        found = choices([job.rows for job in jobs], self.sizes)
        if len(found) > 1:
            keys = [(first.key, total) for _, total in found]
            count, _ = found[self.costs.cheapest(keys, [total for _, total in found])]
        else:
            count = 1
        for job in (*jobs[count:], *others):
            self._put(job)
        return jobs[:count]
