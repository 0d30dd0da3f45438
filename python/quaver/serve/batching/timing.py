"""What is learnt from runs: which are short, and whether company pays."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

_TRIALS = 3
_CLEARLY = 15 / 16
_DRIFT = 17 / 16
_FADING = 4095 / 4096  # seldom tried again: who comes meanwhile waits longer
_MOST = 64


class Runs:
    """Runs of one model on inputs of the same shapes: how long the last ones took at best."""

    __slots__ = ("_best", "_trials", "best")

    def __init__(self) -> None:
        self.best: float = inf
        """Nanoseconds; endless until a few were tried."""
        self._best: float = inf
        self._trials = _TRIALS

    def record(self, nanoseconds: int) -> None:
        """Learn from a run. What happens besides only makes one longer, so the best counts."""
        # A slow drift upwards, so that a model that grew slower is noticed.
        drifted = self._best * _DRIFT + 1
        self._best = nanoseconds if nanoseconds < drifted else drifted
        if self._trials:
            self._trials -= 1
        if not self._trials:
            self.best = self._best


class Timing:
    """Of one model: its runs by the shapes of their inputs."""

    def __init__(self) -> None:
        self._runs: dict[Any, Runs] = {}

    def of(self, shapes: Any) -> Runs:
        """Runs on inputs of these shapes; made when they are first asked for."""
        runs = self._runs.get(shapes)
        if runs is None:
            if len(self._runs) >= _MOST:
                self._runs.clear()
            runs = self._runs[shapes] = Runs()
        return runs


class Costs:
    """Runs of so many rows of inputs of the same shapes: how long the last ones took at best."""

    __slots__ = ("_best",)

    def __init__(self) -> None:
        self._best: dict[Any, float] = {}

    def record(self, key: Any, nanoseconds: int) -> None:
        """Learn from a run, whose key is made of shapes and rows."""
        best = self._best.get(key)
        if best is None and len(self._best) >= _MOST:
            self._best.clear()
        self._best[key] = nanoseconds if best is None else min(nanoseconds, best * _DRIFT)

    def cheapest(self, keys: Sequence[Any], rows: Sequence[int]) -> int:
        """Which of some runs that could be next takes the least time for a row.

        The first is taken unless another is clearly cheaper. What is not known is tried. What is
        passed over seems cheaper each time, so that it is tried again.
        """
        costs = [self._best.get(key, 0.0) / count for key, count in zip(keys, rows, strict=True)]
        costs[0] *= _CLEARLY
        chosen = min(range(len(keys)), key=lambda at: (costs[at], -rows[at]))
        for at, key in enumerate(keys):
            if at != chosen and key in self._best:
                self._best[key] *= _FADING
        return chosen
