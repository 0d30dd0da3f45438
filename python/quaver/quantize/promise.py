"""The accuracy promise: which layers go back to float so that a metric falls by no more than asked.

Layers are the products with weights. Each is judged by the noise that it alone brings to the
outputs, and by what its float form costs on this machine, the conversions around it included. They
return to float in the order of noise taken away per microsecond; how many must is found by
bisection on one part of the samples, and the model found has to keep the promise on another part,
which neither calibration nor the search has seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnx

from quaver import progress
from quaver.errors import AccuracyError
from quaver.model import load
from quaver.quantize import measure
from quaver.quantize.data import Feed
from quaver.quantize.engine import Runner, runner
from quaver.quantize.metrics import Judge, Outputs

_NOISE_SAMPLES = 8
_ROUNDS = 9
_SURELY_FASTER = 0.97
_CHEAPEST_US = 1.0  # a layer whose float form is as fast counts as this

Build = Callable[[frozenset[str]], onnx.ModelProto]


@dataclass
class Layer:
    """A product with weights, and what returning it to float would take away and cost."""

    node: str
    noise: float
    """Squared error of the outputs, over their power, where this layer alone is in int8."""
    float_us: float
    int8_us: float

    @property
    def cost_us(self) -> float:
        """What the layer takes more in float."""
        return max(self.float_us - self.int8_us, _CHEAPEST_US)


@dataclass
class Point:
    """A model that was tried."""

    layers_in_float: int
    drop: float
    ms: float
    held_out_drop: float | None = None


@dataclass
class Part:
    """Samples and how outputs on them are scored."""

    feeds: Sequence[Feed]
    judge: Judge


def outputs(run: Runner, feeds: Sequence[Feed]) -> Outputs:
    """Run a model on samples."""
    return [run(feed) for feed in feeds]


class Search:
    """Looks for the fastest model whose metric falls by at most so much.

    Parameters
    ----------
    original
        The float model.
    build
        Makes the model with these nodes in float.
    layers
        The names of the nodes that can return to float.
    searched, held_out
        The samples to search with, and to judge the result by.
    max_drop
        What the metric may fall by.
    engine
        What runs models for the metric.
    """

    def __init__(
        self,
        original: onnx.ModelProto,
        build: Build,
        layers: Sequence[str],
        *,
        searched: Part,
        held_out: Part,
        max_drop: float,
        engine: str,
    ) -> None:
        self._original, self._build, self._names = original, build, list(layers)
        self._searched, self._held_out = searched, held_out
        self._max_drop, self._engine = max_drop, engine
        self._points: dict[int, tuple[Point, onnx.ModelProto]] = {}
        self._layers: list[Layer] = []

    def run(self) -> tuple[frozenset[str], dict[str, Any]]:
        """Search.

        Returns
        -------
        kept, report
            The nodes that stay in float, and the part of the report on the promise.

        Raises
        ------
        AccuracyError
            If only the whole model in float keeps the promise; with the report.
        """
        if self._try(0).drop <= self._max_drop and self._holds(0):
            return frozenset(), self._report(0)
        self._rank()
        count = self._fewest()
        while count < len(self._layers) and not self._holds(count):
            count = min(len(self._layers), count + max(1, len(self._layers) // 16))
        if count < len(self._layers):
            count = self._faster(count)
        else:
            report = self._report(None)
            best = min(self._points.values(), key=lambda p: p[0].drop)[0]
            raise AccuracyError(
                f"no int8 model keeps the promise of a drop of at most {self._max_drop:g}: with "
                f"{best.layers_in_float} of {len(self._layers)} layers in float the least measured "
                f"drop is {best.drop:g}; see the frontier in .report, allow a larger max_drop, or "
                "give more data to calibrate on",
                report,
            )
        return self._floats(count), self._report(count)

    def _fewest(self) -> int:
        """The least number of layers in float that keeps the promise where it was searched."""
        low, high = 0, len(self._layers)
        while high - low > 1:
            middle = (low + high) // 2
            if self._try(middle).drop <= self._max_drop:
                high = middle
            else:
                low = middle
        return high

    def _faster(self, count: int) -> int:
        """A model tried with more layers in float, where it keeps the promise and is faster."""
        limit = _SURELY_FASTER * self._points[count][0].ms
        others = [p for c, (p, _) in self._points.items() if c > count and p.ms < limit]
        for point in sorted(others, key=lambda p: p.ms):
            if self._holds(point.layers_in_float):
                return point.layers_in_float
        return count

    def _floats(self, count: int) -> frozenset[str]:
        return frozenset(layer.node for layer in self._layers[:count])

    def _try(self, count: int) -> Point:
        if count not in self._points:
            model = self._build(self._floats(count))
            found = outputs(runner(model, self._engine), self._searched.feeds)
            drop = self._searched.judge.drop(found)
            ms = milliseconds(model, self._searched.feeds[0])
            self._points[count] = (Point(count, drop, ms), model)
        return self._points[count][0]

    def _holds(self, count: int) -> bool:
        self._try(count)
        point, model = self._points[count]
        if point.drop > self._max_drop:
            return False
        found = outputs(runner(model, self._engine), self._held_out.feeds)
        point.held_out_drop = self._held_out.judge.drop(found)
        return point.held_out_drop <= self._max_drop

    def _rank(self) -> None:
        """Measure every layer and bring the layers into the order in which they return to float."""
        feeds = self._searched.feeds[:_NOISE_SAMPLES]
        exact = outputs(runner(self._original, self._engine), feeds)
        everything = frozenset(self._names)
        times = _step_times(self._original, self._points[0][1], feeds[0])
        for name in progress.track(self._names, len(self._names), "measuring layers"):
            model = self._build(everything - {name})
            noise = relative_noise(exact, outputs(runner(model, self._engine), feeds))
            self._layers.append(Layer(name, noise, *times.get(name, (0.0, 0.0))))
        self._layers.sort(key=lambda layer: layer.noise / layer.cost_us, reverse=True)

    def _report(self, count: int | None) -> dict[str, Any]:
        points = sorted((p for p, _ in self._points.values()), key=lambda p: p.layers_in_float)
        return {
            "kept": count is not None,
            "max_drop": self._max_drop,
            "exact": {
                "searched": self._searched.judge.exact,
                "held_out": self._held_out.judge.exact,
            },
            "samples": {
                "searched": len(self._searched.feeds),
                "held_out": len(self._held_out.feeds),
            },
            "chosen": count,
            "float_ms": milliseconds(self._original, self._searched.feeds[0]),
            "layers": [asdict(layer) for layer in self._layers],
            "frontier": [asdict(point) for point in points],
        }


def relative_noise(exact: Outputs, other: Outputs) -> float:
    """The squared error of outputs over their power; integers are left out."""
    signal = noise = 0.0
    for one, two in zip(exact, other, strict=True):
        for a, b in zip(one.values(), two.values(), strict=True):
            if a.dtype.kind == "f":
                x, y = a.astype(np.float64), b.astype(np.float64)
                signal += float((x * x).sum())
                noise += float(((x - y) ** 2).sum())
    return noise / max(signal, 1e-300)


def milliseconds(model: onnx.ModelProto, feed: Feed) -> float:
    """The least time of a few runs with one thread: what the machine can, others aside."""
    loaded = load(model, threads=1)
    arrays = [feed[port.name] for port in loaded.inputs]
    loaded(*arrays)
    best = np.inf
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        loaded(*arrays)
        best = min(best, time.perf_counter() - start)
    return 1e3 * float(best)


def _step_times(
    original: onnx.ModelProto, int8: onnx.ModelProto, feed: Feed
) -> dict[str, tuple[float, float]]:
    """By node the microseconds in float, conversions around it included, and in int8."""
    one, two = (measure.step_times(model, feed) for model in (original, int8))
    return {
        node: (step.us + two.conversion_us * step.elements, two.steps[node].us)
        for node, step in one.steps.items()
        if node in two.steps
    }
