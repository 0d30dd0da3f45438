"""Which runs are so short that handing them to another thread would take longer."""

from __future__ import annotations

from typing import Any

#: A thread is told, wakes up, and answers: about this many nanoseconds.
_HOP = 150_000
_TRIALS = 3
_MOST = 64


class Runs:
    """Runs of one model on inputs of the same shapes: how long the last ones took at best."""

    __slots__ = ("best", "count")

    def __init__(self) -> None:
        self.best = _HOP
        self.count = 0

    @property
    def brief(self) -> bool:
        """Whether they are known to be short."""
        return self.best < _HOP and self.count >= _TRIALS

    def record(self, nanoseconds: int) -> None:
        """Learn from a run. What happens besides only makes one longer, so the best counts."""
        # A slow drift upwards, so that a model that grew slower is noticed.
        drifted = self.best + (self.best >> 4) + 1 if self.count else nanoseconds
        self.best = min(nanoseconds, drifted)
        self.count += 1


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
