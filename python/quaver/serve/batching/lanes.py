"""The waiting requests of all models, and which of them run next."""

from __future__ import annotations

import threading
import time

from quaver.serve.batching.job import Job, Lane
from quaver.serve.errors import ServeError
from quaver.serve.models.served import ServedModel

_now = time.perf_counter_ns

Task = tuple[Lane, list[Job]]


class Lanes:
    """A lane for each model. All methods may be called from any thread.

    Parameters
    ----------
    workers
        That take requests.
    """

    def __init__(self, workers: int) -> None:
        self.by_model: dict[str, Lane] = {}
        self._idle = workers
        self._clock = 0.0
        self._lock = threading.Lock()

    @property
    def waiting(self) -> dict[str, int]:
        """How many requests wait, by model."""
        with self._lock:
            return {name: lane.waiting for name, lane in self.by_model.items()}

    def push(self, model: ServedModel, job: Job) -> Lane:
        """Let a request wait; give its lane.

        Raises
        ------
        ServeError
            429, if too many wait for the model.
        """
        with self._lock:
            lane = self.by_model.get(model.name)
            if lane is None or lane.model is not model:
                lane = self.by_model[model.name] = Lane(model)
            if lane.waiting >= model.settings.queue:
                raise ServeError(
                    429,
                    f"model {model.name!r} has {lane.waiting} requests waiting: try again later",
                )
            job.enqueued = _now()
            if not lane.waiting and not lane.running:
                lane.clock = max(lane.clock, self._clock)
            lane.push(job)
            return lane

    def push_alone(self, lane: Lane, jobs: list[Job]) -> None:
        """Let requests wait again, each to run by itself."""
        with self._lock:
            for job in jobs:
                lane.push(job)
                job.key = None

    def drop(self, lane: Lane, job: Job) -> bool:
        """Let a request no longer wait; tell whether it did."""
        with self._lock:
            return lane.drop(job)

    def take(self) -> Task | None:
        """What a worker that has nothing to do is to run next; None for nothing."""
        with self._lock:
            return self._take()

    def next(self, lane: Lane, jobs: list[Job], took: int) -> Task | None:
        """As `take`, of a worker that was busy with requests for so many nanoseconds."""
        with self._lock:
            if jobs[0].key is not None:
                lane.costs.record((jobs[0].key, sum(job.rows for job in jobs)), took)
            self._idle += 1
            lane.running -= 1
            lane.clock += (took - lane.estimate) / lane.model.settings.weight
            lane.estimate = took
            return self._take()

    def _take(self) -> Task | None:
        if not self._idle:
            return None
        ready = [lane for lane in self.by_model.values() if lane.waiting and not _delay(lane)]
        for lane in sorted(ready, key=lambda lane: lane.clock):
            jobs = lane.take()
            if jobs:  # all of them may be late
                self._idle -= 1
                self._clock = max(self._clock, lane.clock)
                lane.running += 1
                lane.clock += lane.estimate / lane.model.settings.weight
                return lane, jobs
        return None

    def delays(self) -> list[tuple[Lane, float]]:
        """Lanes whose requests wait for company though a worker is free, and seconds until when."""
        with self._lock:
            if not self._idle:
                return []
            lanes = [lane for lane in self.by_model.values() if lane.waiting]
            return [(lane, left / 1e9) for lane in lanes if (left := _delay(lane)) > 0]


def _delay(lane: Lane) -> int:
    """Nanoseconds for which a busy model lets its requests wait for company."""
    delay = lane.model.settings.max_delay_us * 1000
    if not (delay and lane.running) or lane.waiting >= lane.sizes[-1]:
        return 0
    return max(0, lane.oldest + delay - _now())
