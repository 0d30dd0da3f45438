"""What runs when, on which thread.

All decisions are taken on the event loop's thread; workers only run what they are given. A worker
that is free takes the model that had least of the workers' time, by its weight, and of its
requests the most urgent and those that can run with it. So nothing waits while a worker is free,
and company is what came while all were busy. A run that is shorter than the way to a worker is
done at once, on the loop's own thread.
"""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Sequence
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaver.serve.batching.job import Job, Lane, Outcome
from quaver.serve.batching.timing import Runs, Timing
from quaver.serve.errors import ServeError
from quaver.serve.models.served import ServedModel

_now = time.perf_counter_ns


class Scheduler:
    """Runs requests.

    Parameters
    ----------
    workers
        Runs at a time.
    """

    def __init__(self, workers: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._lanes: dict[str, Lane] = {}
        self._timings: dict[str, Timing] = {}
        self._tasks: SimpleQueue[tuple[Lane, list[Job]] | None] = SimpleQueue()
        self._idle = workers
        self._clock = 0.0
        self._threads = [
            threading.Thread(target=self._work, name=f"worker-{i}", daemon=True)
            for i in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> dict[str, int]:
        """How many requests wait, by model."""
        return {name: lane.waiting for name, lane in self._lanes.items()}

    def stop(self) -> None:
        """End the workers after what they are at."""
        for _ in self._threads:
            self._tasks.put(None)

    def brief(self, model: str, shapes: Any) -> Runs | None:
        """The runs of a model on such shapes, if they may be done at once, on this thread.

        They are known to be short, and nobody waits for the model; who runs one, records it.
        """
        timing = self._timings.get(model)
        if timing is None:
            return None
        runs = timing.of(shapes)
        lane = self._lanes.get(model)
        return runs if runs.brief and (lane is None or not lane.waiting) else None

    def run_now(self, model: ServedModel, job: Job) -> Outcome | None:
        """Run a short request on this thread; None if it is not known to be short."""
        runs = self.brief(model.name, job.shapes)
        if runs is None:
            return None
        job.enqueued = _now()
        outcome = job.track.run(job.arrays)
        job.computed = _now() - job.enqueued
        runs.record(job.computed)
        return outcome

    async def run(self, model: ServedModel, job: Job) -> Outcome:
        """Run a request when its turn comes.

        Raises
        ------
        ServeError
            429, if too many wait; 504, if its deadline passes before it runs.
        Error
            As the run.
        """
        lane = self._lane(model)
        if lane.waiting >= model.settings.queue:
            raise ServeError(
                429, f"model {model.name!r} has {lane.waiting} requests waiting: try again later"
            )
        job.future = self._loop.create_future()
        job.enqueued = _now()
        if not lane.waiting and not lane.running:
            lane.clock = max(lane.clock, self._clock)
        lane.push(job)
        timer = self._watch_deadline(lane, job)
        self._dispatch()
        try:
            outcome = await job.future
        finally:
            lane.drop(job)
            if timer is not None:
                timer.cancel()
        self._timings.setdefault(model.name, Timing()).of(job.shapes).record(job.computed)
        return outcome

    def _lane(self, model: ServedModel) -> Lane:
        lane = self._lanes.get(model.name)
        if lane is None or lane.model is not model:
            lane = self._lanes[model.name] = Lane(model)
        return lane

    def _watch_deadline(self, lane: Lane, job: Job) -> asyncio.TimerHandle | None:
        if job.deadline is None:
            return None

        def late() -> None:
            if job.queued and not job.future.done():
                lane.drop(job)
                job.future.set_exception(ServeError(504, "the deadline passed before it could run"))

        return self._loop.call_at(job.deadline, late)

    def _dispatch(self) -> None:
        while self._idle:
            ready = [lane for lane in self._lanes.values() if lane.waiting and self._may_run(lane)]
            if not ready:
                return
            lane = min(ready, key=lambda lane: lane.clock)
            jobs = lane.take()
            if not jobs:
                return
            self._idle -= 1
            self._clock = max(self._clock, lane.clock)
            lane.running += 1
            lane.clock += lane.estimate / lane.model.settings.weight
            self._tasks.put((lane, jobs))

    def _may_run(self, lane: Lane) -> bool:
        """Whether to run now; a busy model may let requests wait for company for a while."""
        delay = lane.model.settings.max_delay_us * 1000
        if not (delay and lane.running) or lane.waiting >= lane.sizes[-1]:
            return True
        left = lane.oldest + delay - _now()
        if left <= 0:
            return True
        if lane.wake is None:
            lane.wake = self._loop.call_later(left / 1e9, self._wake, lane)
        return False

    def _wake(self, lane: Lane) -> None:
        lane.wake = None
        self._dispatch()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            lane, jobs = task
            start = _now()
            outcomes: list[Outcome] | None = None
            error: BaseException | None = None
            try:
                outcomes = _run(jobs, start)
            except BaseException as raised:
                error = raised
            took = _now() - start
            try:
                finish = functools.partial(self._finish, took=took)
                self._loop.call_soon_threadsafe(finish, lane, jobs, outcomes, error)
            except RuntimeError:  # the loop is closed
                return
            del task, lane, jobs, outcomes, error  # nothing is held while waiting

    def _finish(
        self,
        lane: Lane,
        jobs: list[Job],
        outcomes: list[Outcome] | None,
        error: BaseException | None,
        *,
        took: int,
    ) -> None:
        self._idle += 1
        lane.running -= 1
        lane.clock += (took - lane.estimate) / lane.model.settings.weight
        lane.estimate = took
        self._dispatch()
        if error is not None and len(jobs) > 1:
            self._again(lane, jobs)
            return
        for at, job in enumerate(jobs):
            job.arrays = ()
            if not job.future.done():
                if error is not None:
                    job.future.set_exception(error)
                elif outcomes is not None:
                    job.future.set_result(outcomes[at])

    def _again(self, lane: Lane, jobs: list[Job]) -> None:
        """One of several failed: each runs alone, so that the others don't suffer for it."""
        for job in jobs:
            if not job.future.done():
                lane.push(job)
                job.key = None
        self._dispatch()


def _run(jobs: Sequence[Job], start: int) -> list[Outcome]:
    """Run requests of the same shapes together; give each its rows."""
    first = jobs[0]
    if len(jobs) == 1:
        outcome = first.track.run(first.arrays)
        _note(jobs, start, start)
        return [outcome]
    arrays = [np.concatenate(parts) for parts in zip(*(job.arrays for job in jobs), strict=True)]
    gathered = _now()
    outputs, version = first.track.run(arrays)
    _note(jobs, start, gathered)
    results: list[Outcome] = []
    row = 0
    for job in jobs:
        rows: list[NDArray[Any]] = [output[row : row + job.rows] for output in outputs]
        results.append((rows, version))
        row += job.rows
    return results


def _note(jobs: Sequence[Job], start: int, gathered: int) -> None:
    """Write down of each what its run took, which has ended just now."""
    computed = _now() - gathered
    for job in jobs:
        job.waited, job.gathered, job.computed = start - job.enqueued, gathered - start, computed
        job.batch = 0
    jobs[0].batch = sum(job.rows for job in jobs)
