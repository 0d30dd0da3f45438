"""What runs when, on which thread.

A worker that is free takes the model that had least of the workers' time, by its weight, and of its
requests the most urgent and those that can run with it. So nothing waits while a worker is free,
and company is what came while all were busy. A worker that has run takes on by itself: it does not
wait for the loop's thread, which only learns the outcome. A run that is shorter than the way to a
worker is done at once, on the loop's own thread; a longer one too where nobody else asks, for the
way there and back is felt.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaver.serve.batching.job import Job, Lane, Outcome
from quaver.serve.batching.lanes import Lanes, Task
from quaver.serve.batching.timing import Runs, Timing
from quaver.serve.errors import ServeError
from quaver.serve.models.served import ServedModel

_now = time.perf_counter_ns
#: Nanoseconds until a thread that is told wakes up and answers.
_HOP = 150_000
#: Nanoseconds for which whoever comes meanwhile may be kept waiting: as Python's own threads do.
_HELD = 5_000_000


class Scheduler:
    """Runs requests.

    Parameters
    ----------
    workers
        Runs at a time.
    """

    def __init__(self, workers: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._lanes = Lanes(workers)
        self._timings: dict[str, Timing] = {}
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"worker-{i}", daemon=True)
            for i in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> dict[str, int]:
        """How many requests wait, by model."""
        return self._lanes.waiting

    def stop(self) -> None:
        """End the workers after what they are at."""
        for _ in self._threads:
            self._tasks.put(None)

    def runs(self, model: str, shapes: Any) -> Runs:
        """What is known of a model's runs on inputs of such shapes; who runs one, records it."""
        timing = self._timings.get(model)
        if timing is None:
            timing = self._timings[model] = Timing()
        return timing.of(shapes)

    def may_run_now(self, model: str, runs: Runs, alone: Callable[[], bool]) -> bool:
        """Whether such runs may be done at once, on this thread.

        They are known to be short, and nobody waits for the model.

        Parameters
        ----------
        model
            Its name.
        runs
            What is known of them.
        alone
            Tells whether nobody else asks anything of the server.
        """
        if runs.best >= _HOP and (runs.best >= _HELD or not alone()):
            return False
        lane = self._lanes.by_model.get(model)
        return lane is None or not lane.waiting

    def run_now(self, model: ServedModel, job: Job, alone: Callable[[], bool]) -> Outcome | None:
        """Run a request on this thread; None if it may not be."""
        runs = self.runs(model.name, job.shapes)
        if not self.may_run_now(model.name, runs, alone):
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
        job.future = self._loop.create_future()
        lane = self._lanes.push(model, job)
        timer = self._watch_deadline(lane, job)
        self._dispatch()
        try:
            outcome = await job.future
        finally:
            self._lanes.drop(lane, job)
            if timer is not None:
                timer.cancel()
        self.runs(model.name, job.shapes).record(job.computed)
        return outcome

    def _watch_deadline(self, lane: Lane, job: Job) -> asyncio.TimerHandle | None:
        if job.deadline is None:
            return None

        def late() -> None:
            if self._lanes.drop(lane, job) and not job.future.done():
                job.future.set_exception(ServeError(504, "the deadline passed before it could run"))

        return self._loop.call_at(job.deadline, late)

    def _dispatch(self) -> None:
        while (task := self._lanes.take()) is not None:
            self._tasks.put(task)
        for lane, seconds in self._lanes.delays():
            if lane.wake is None:
                lane.wake = self._loop.call_later(seconds, self._wake, lane)

    def _wake(self, lane: Lane) -> None:
        lane.wake = None
        self._dispatch()

    def _work(self) -> None:
        task = self._tasks.get()
        while task is not None:
            lane, jobs = task
            start = _now()
            outcomes: list[Outcome] | None = None
            error: BaseException | None = None
            try:
                outcomes = _run(jobs, start)
            except BaseException as raised:
                error = raised
            task = self._lanes.next(lane, jobs, _now() - start)
            try:
                self._loop.call_soon_threadsafe(self._finish, lane, jobs, outcomes, error)
            except RuntimeError:  # the loop is closed
                return
            del lane, jobs, outcomes, error  # nothing is held while waiting
            if task is None:
                task = self._tasks.get()

    def _finish(
        self,
        lane: Lane,
        jobs: list[Job],
        outcomes: list[Outcome] | None,
        error: BaseException | None,
    ) -> None:
        if error is not None and len(jobs) > 1:  # the others don't suffer for the one that failed
            self._lanes.push_alone(lane, [job for job in jobs if not job.future.done()])
        else:
            for at, job in enumerate(jobs):
                job.arrays = ()
                if not job.future.done():
                    if error is not None:
                        job.future.set_exception(error)
                    elif outcomes is not None:
                        job.future.set_result(outcomes[at])
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
