"""What a model that is cut is measured against: the same model, whole on the fallback.

What nodes and crossings cost is estimated before anything has run. Estimates decide where a model
is cut, but the clock whether it is: on the first inputs of a size both ways are timed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto

from quaver.errors import Error
from quaver.stages.extract import with_tensors
from quaver.stages.foreign import Foreign
from quaver.stages.options import Options
from quaver.stages.stage import Stage, stage_of

_ROUNDS, _SECONDS = 7, 0.5
_LARGEST = 1 << 28  # elements of weights, which are held twice
_FASTER = 0.95  # of the time in stages: a difference that a clock tells from none


class Rival:
    """A model whole on the fallback."""

    def __init__(self, model: ModelProto, options: Options) -> None:
        self._model = model
        self._options = options
        self._lock = threading.Lock()
        self._chosen: dict[tuple[int, ...], Stage | None] = {}
        self._runs: Foreign | None = None

    def faster(
        self, arrays: Sequence[Any], stages: Sequence[Stage], cut: Callable[[], object]
    ) -> Stage | None:
        """Return the stage that runs the model, if it is faster than the stages of a cut.

        It is measured once for each size of inputs: these are alike where the numbers of elements
        have as many binary digits.

        Parameters
        ----------
        arrays
            The inputs.
        stages
            Of the cut.
        cut
            Runs these on the inputs.
        """
        size = tuple(int(np.size(array)).bit_length() for array in arrays)
        with self._lock:
            if size not in self._chosen:
                reasons = {name: why for stage in stages for name, why in stage.reasons.items()}
                self._chosen[size] = self._measured(arrays, reasons, len(stages), cut)
            return self._chosen[size]

    def _measured(
        self,
        arrays: Sequence[Any],
        reasons: Mapping[str, str],
        count: int,
        cut: Callable[[], object],
    ) -> Stage | None:
        cut()  # what it raises is the caller's, and what it finds out about shapes is known then
        try:
            if self._runs is None:
                self._runs = Foreign(with_tensors(self._model), self._options, alone=True)
            runs = self._runs
            runs.run(arrays)
        except Error:
            return None
        ours, theirs = _least([cut, lambda: runs.run(arrays)])
        if theirs > _FASTER * ours:
            return None
        counted = f"{count} stage{'' if count == 1 else 's'}"
        note = f"measured: {1e3 * ours:.3g} ms in {counted}, {1e3 * theirs:.3g} ms whole"
        return stage_of(self._model, runs, reasons, note)


def _least(ways: Sequence[Callable[[], object]]) -> list[float]:
    """Return the least seconds that each takes, in turn.

    Each runs twice, and the second time counts: in the first, threads of the other way may wait
    for work where they are.
    """
    least, end = [np.inf] * len(ways), time.perf_counter() + _SECONDS
    for _ in range(_ROUNDS):
        for i, way in enumerate(ways):
            way()
            start = time.perf_counter()
            way()
            least[i] = min(least[i], time.perf_counter() - start)
        if time.perf_counter() > end:
            break
    return least


def rival_of(model: ModelProto, stages: Sequence[Stage], options: Options) -> Rival | None:
    """Return the rival of a cut, where there is a fallback on the CPU, and memory to try it."""
    kinds = {stage.runs.kind for stage in stages}
    small = sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer) <= _LARGEST
    if not small or options.accelerated or len(kinds) == 1 or kinds <= {"native", "host"}:
        return None
    return Rival(model, options)
