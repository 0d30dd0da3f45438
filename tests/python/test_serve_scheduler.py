"""What runs when, with models that only say that they run."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest

from quaver.serve.batching.job import Job
from quaver.serve.batching.lanes import Lanes
from quaver.serve.batching.scheduler import Scheduler
from quaver.serve.batching.sizes import batch_sizes, choices
from quaver.serve.batching.timing import Costs
from quaver.serve.callers import Callers
from quaver.serve.errors import ServeError
from quaver.serve.models import policy
from quaver.serve.models.served import ServedModel
from quaver.serve.settings import ModelSettings

ROW = np.zeros((1, 4), np.float32)


class Fake:
    """A track that notes its runs."""

    def __init__(
        self, name: str, notes: list[Any], seconds: float = 0.005, **settings: Any
    ) -> None:
        settings = {"max_batch": 4} | settings
        self.model = ServedModel(name, ModelSettings(**settings), SimpleQueue())
        self.notes = notes
        self.seconds = seconds

    def run(self, arrays: list[np.ndarray]) -> tuple[list[np.ndarray], int]:
        time.sleep(self.seconds)
        self.notes.append((self.model.name, len(arrays[0])))
        if (arrays[0] < 0).any():
            raise ServeError(400, "a bad row")
        return [arrays[0] * 2], 1

    async def ask(self, scheduler: Scheduler, row: np.ndarray = ROW, **more: Any) -> Any:
        return await scheduler.run(self.model, Job(self, [row], **more))


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


def test_a_busy_model_does_not_hold_up_another() -> None:
    notes: list[Any] = []

    async def main() -> None:
        scheduler = Scheduler(1)
        busy, other = Fake("busy", notes), Fake("other", notes)
        await asyncio.gather(*(busy.ask(scheduler) for _ in range(40)), other.ask(scheduler))
        scheduler.stop()

    run(main())
    assert [name for name, _ in notes].index("other") <= 2
    assert len(notes) < 41  # those of the busy one were gathered


def test_models_share_the_workers_by_weight() -> None:
    notes: list[Any] = []

    async def main() -> None:
        scheduler = Scheduler(1)
        light = Fake("light", notes, max_batch=1)
        heavy = Fake("heavy", notes, max_batch=1, weight=3)
        each = [fake.ask(scheduler) for _ in range(60) for fake in (light, heavy)]
        await asyncio.gather(*each)
        scheduler.stop()

    run(main())
    early = [name for name, _ in notes[:60]]
    assert early.count("heavy") > 2 * early.count("light") > 0


def test_urgent_requests_go_first() -> None:
    notes: list[Any] = []

    async def main() -> list[int]:
        scheduler = Scheduler(1)
        fake = Fake("one", notes)
        ended: list[int] = []

        async def ask(priority: int) -> None:
            shape = np.zeros((1, priority), np.float32)  # not gathered with others
            await fake.ask(scheduler, shape, priority=priority)
            ended.append(priority)

        await asyncio.gather(*(ask(priority) for priority in (50, 9, 30, 1)))
        scheduler.stop()
        return ended

    assert run(main()) == [50, 1, 9, 30]  # the first found a free worker


def test_one_bad_request_fails_alone() -> None:
    async def main() -> list[Any]:
        scheduler = Scheduler(1)
        fake = Fake("one", [])
        rows = [ROW, ROW + 1, ROW - 5, ROW + 3]
        asked = [fake.ask(scheduler, row) for row in [ROW, *rows]]
        results = await asyncio.gather(*asked, return_exceptions=True)
        scheduler.stop()
        return results[1:]

    good, better, bad, best = run(main())
    assert isinstance(bad, ServeError)
    for (outputs, _), value in ((good, 0), (better, 2), (best, 6)):
        assert outputs[0].tolist() == [[value] * 4]


def test_a_cancelled_request_does_not_run() -> None:
    notes: list[Any] = []

    async def main() -> None:
        scheduler = Scheduler(1)
        fake = Fake("one", notes, 0.05)
        first = asyncio.ensure_future(fake.ask(scheduler))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(fake.ask(scheduler, np.zeros((1, 7), np.float32)))
        await asyncio.sleep(0.01)
        second.cancel()
        await first
        await fake.ask(scheduler)
        assert not any(scheduler.waiting.values())
        scheduler.stop()

    run(main())
    assert notes == [("one", 1), ("one", 1)]


@pytest.mark.parametrize(("delay", "runs"), [(0, [1, 1, 1]), (10**7, [1, 2])])
def test_a_busy_model_may_wait_for_company(delay: int, runs: list[int]) -> None:
    notes: list[Any] = []

    async def main() -> None:
        scheduler = Scheduler(3)
        fake = Fake("one", notes, 0.1, max_delay_us=delay)
        await asyncio.gather(*(fake.ask(scheduler) for _ in range(3)))
        scheduler.stop()

    run(main())
    assert sorted(rows for _, rows in notes) == runs


def test_nobody_waits_for_company_longer_than_allowed() -> None:
    second = threading.Event()

    class Patient(Fake):
        def run(self, arrays: list[np.ndarray]) -> tuple[list[np.ndarray], int]:
            if self.notes:
                second.set()
            self.notes.append(len(arrays[0]))
            assert second.wait(20)  # the first is not ready before the second began
            return [arrays[0]], 1

    fake = Patient("one", [], max_delay_us=1000)

    async def main() -> None:
        scheduler = Scheduler(2)
        await asyncio.gather(fake.ask(scheduler), fake.ask(scheduler))
        scheduler.stop()

    run(main())
    assert fake.notes == [1, 1]


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([1] * 7, [(1, 1), (2, 2), (4, 4)]),
        ([3, 1, 9], [(1, 3), (2, 4)]),
        ([3, 2], [(1, 3)]),
        ([5], [(1, 5)]),
        ([2, 2, 2, 2], [(1, 2), (2, 4), (4, 8)]),
        ([8, 1], [(1, 8)]),
    ],
)
def test_choices(rows: list[int], found: list[tuple[int, int]]) -> None:
    assert choices(rows, [1, 2, 4, 8]) == found


@pytest.mark.parametrize(("per_run", "per_row"), [(10_000, 100), (0, 3000)])
def test_requests_are_gathered_where_it_pays(per_run: int, per_row: int) -> None:
    lanes, fake = Lanes(1), Fake("one", [])
    for _ in range(80):
        lanes.push(fake.model, Job(fake, [ROW]))
    runs, task = [], lanes.take()
    while task is not None:
        lane, jobs = task
        runs.append(len(jobs))
        task = lanes.next(lane, jobs, per_run + per_row * len(jobs))
    assert sum(runs) == 80
    assert runs.count(1) < 10 if per_run else runs.count(1) > 60


@pytest.mark.parametrize(
    ("seconds", "alone", "here"),
    [(0, False, True), (0.001, False, False), (0.001, True, True), (0.02, True, False)],
)
def test_where_a_run_is_done(seconds: float, alone: bool, here: bool) -> None:
    async def main() -> Any:
        scheduler, fake = Scheduler(1), Fake("model", [], seconds)
        for _ in range(5):
            await fake.ask(scheduler)
        outcome = scheduler.run_now(fake.model, Job(fake, [ROW]), lambda: alone)
        scheduler.stop()
        return outcome

    assert (run(main()) is not None) == here


def test_one_client_or_several() -> None:
    callers = Callers()
    assert not callers.only_one(0)
    for at in range(0, 10**9, 10**7):
        callers.came(("host", 1), at)
    assert callers.only_one(10**9)
    callers.came(("host", 2), 10**9)
    assert not callers.only_one(10**9 + 10**6)
    assert callers.only_one(2 * 10**9)
    callers.came(None, 2 * 10**9)  # may stand for more than one
    assert not callers.only_one(4 * 10**9)


def test_late_requests_hold_up_no_other_model() -> None:
    lanes, late, other = Lanes(1), Fake("late", []), Fake("other", [])
    lanes.push(late.model, Job(late, [ROW], deadline=time.monotonic() - 1))
    job = Job(other, [ROW])
    lane = lanes.push(other.model, job)
    assert lanes.take() == (lane, [job])


def test_what_was_passed_over_is_tried_again() -> None:
    costs = Costs()
    costs.record("one", 100)
    costs.record("two", 200)
    tries = 0
    for _ in range(2000):
        chosen = costs.cheapest(["one", "two"], [1, 2])
        costs.record(("one", "two")[chosen], (100, 200)[chosen])
        tries += chosen
    assert 1 <= tries <= 10  # seldom: who comes meanwhile waits longer


def test_batch_sizes() -> None:
    assert batch_sizes(1) == [1]
    assert batch_sizes(8) == [1, 2, 4, 8]
    assert batch_sizes(12) == [1, 2, 4, 8, 12]


def test_policy() -> None:
    there = [1, 2, 5, 9]
    assert policy.wanted("latest", there) == [9]
    assert policy.wanted("latest", there, withdrawn=[9]) == [5]
    assert policy.wanted("latest:3", there) == [2, 5, 9]
    assert policy.wanted("all", there) == there
    assert policy.wanted("2,9,7", there) == [2, 9]
    assert policy.wanted("latest", []) == []
