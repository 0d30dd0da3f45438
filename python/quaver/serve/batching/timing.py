"""Which runs are so short that handing them to another thread would take longer."""

from __future__ import annotations

from typing import Any

#: A thread is told, wakes up, and answers: about this many nanoseconds.
_HOP = 150_000
_TRIALS = 3
_MOST = 64


class Timing:
    """Of one model, by the shapes of the inputs: how long its last runs took at best."""

    def __init__(self) -> None:
        self._best: dict[Any, tuple[int, int]] = {}

    def brief(self, key: Any) -> bool:
        """Whether runs of these shapes are known to be short."""
        best, count = self._best.get(key, (_HOP, 0))
        return best < _HOP and count >= _TRIALS

    def record(self, key: Any, nanoseconds: int) -> None:
        """Learn from a run. What happens besides only makes one longer, so the best counts."""
        if key not in self._best and len(self._best) >= _MOST:
            self._best.clear()
        best, count = self._best.get(key, (nanoseconds, 0))
        # A slow drift upwards, so that a model that grew slower is noticed.
        self._best[key] = (min(nanoseconds, best + (best >> 4) + 1), count + 1)
