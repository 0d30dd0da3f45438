"""What quantization costs and brings: error of every tensor, and time on this machine."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx

from quaver import inspect, progress
from quaver.model import Model, load
from quaver.quantize.data import Feed
from quaver.quantize.engine import Observer, runner
from quaver.quantize.net import Array, Net

_ROUNDS = 9
_CONVERSION_US = 2e-4  # of an element, where a plan has no conversion to measure
_CEILING_DB = 200.0  # where there is no error at all


class _Noise:
    """Power of a signal and of the difference to it."""

    def __init__(self) -> None:
        self.signal = 0.0
        self.noise = 0.0
        self.cosines: list[float] = []

    def add(self, exact: Array, other: Array) -> None:
        a, b = (x.astype(np.float64).reshape(-1) for x in (exact, other))
        self.signal += float(a @ a)
        self.noise += float((a - b) @ (a - b))
        lengths = math.sqrt(float(a @ a) * float(b @ b))
        self.cosines.append(float(a @ b) / lengths if lengths else float(not (a - b).any()))

    def decibels(self) -> float:
        if self.noise == 0.0:
            return _CEILING_DB
        return min(_CEILING_DB, 10 * math.log10(max(self.signal, 1e-300) / self.noise))


def noise(
    net: Net,
    int8: onnx.ModelProto,
    tensors: Sequence[str],
    feeds: Sequence[Feed],
    engine: str,
) -> dict[str, float]:
    """Signal-to-quantization-noise ratio of tensors in the int8 model, in dB.

    Both models run on the same samples; the noise of a tensor is what came together up to it.
    """
    quantized = Net(int8)
    read = {}
    for name in tensors:
        if name in net.producer:
            inner = f"{name}/dequantized"
            read[inner if inner in quantized.producer else name] = name
    for new, old in read.items():
        quantized.learn(new, net, old)
    exact = Observer(net, list(read.values()), engine)
    other = Observer(quantized, list(read), engine)
    found: dict[str, _Noise] = {name: _Noise() for name in read.values()}
    for feed in progress.track(feeds, len(feeds), "measuring errors"):
        values = dict(exact.run(feed))
        for name, array in other.run(feed):
            found[read[name]].add(values[read[name]], array)
    return {name: result.decibels() for name, result in found.items()}


def agreement(
    model: onnx.ModelProto, int8: onnx.ModelProto, feeds: Sequence[Feed], engine: str
) -> dict[str, dict[str, float]]:
    """For each output the SQNR in dB, and mean and least cosine between the two models."""
    runs = [runner(m, engine) for m in (model, int8)]
    found: dict[str, _Noise] = {}
    for feed in feeds:
        exact, other = (run(feed) for run in runs)
        for name, array in exact.items():
            found.setdefault(name, _Noise()).add(array, other[name])
    return {
        name: {
            "sqnr_db": result.decibels(),
            "cosine_mean": statistics.fmean(result.cosines),
            "cosine_least": min(result.cosines),
        }
        for name, result in found.items()
    }


def latency(model: onnx.ModelProto, int8: onnx.ModelProto, feed: Feed) -> dict[str, Any]:
    """Milliseconds of both models on this machine, one thread, in turn; and of their steps.

    ``slower`` names the nodes that take longer in int8 than in float here.
    """
    models = {
        "float": load(model, threads=1, fallback=None),
        "int8": load(int8, threads=1, fallback=None),
    }
    arrays = {kind: [feed[port.name] for port in m.inputs] for kind, m in models.items()}
    times: dict[str, list[float]] = {kind: [] for kind in models}
    for _ in range(_ROUNDS):
        for kind, m in models.items():
            start = time.perf_counter()
            m(*arrays[kind])
            times[kind].append(1e3 * (time.perf_counter() - start))
    shapes = {name: array.shape for name, array in feed.items()}
    steps = {kind: _steps(m, arrays[kind], shapes) for kind, m in models.items()}
    medians = {kind: statistics.median(samples) for kind, samples in times.items()}
    return {
        "isa": models["int8"].isa,
        "threads": 1,
        "float_ms": medians["float"],
        "int8_ms": medians["int8"],
        "speedup": medians["float"] / medians["int8"],
        "slower": slower(steps["float"], steps["int8"]),
        "float_steps": steps["float"],
        "int8_steps": steps["int8"],
    }


def slower(in_float: list[dict[str, Any]], in_int8: list[dict[str, Any]]) -> dict[str, list[float]]:
    """The nodes that take longer in int8, beyond what a clock is sure of, with both times in ms."""
    before = {step["node"]: step["ms"] for step in in_float}
    found = {}
    for step in in_int8:
        ms = before.get(step["node"])
        if ms is not None and step["int8"] and step["ms"] > 1.1 * ms + 1e-3:
            found[step["node"]] = [ms, step["ms"]]
    return found


class StepTime(NamedTuple):
    """Microseconds of a step, and the elements that it reads and writes."""

    us: float
    elements: int


class StepTimes(NamedTuple):
    """The steps of a plan by node, and what converting an element to or from bytes takes."""

    steps: dict[str, StepTime]
    conversion_us: float


def step_times(model: onnx.ModelProto, feed: Feed) -> StepTimes:
    """Time every step of a model on this machine, with one thread."""
    loaded = load(model, threads=1)
    arrays = [feed[port.name] for port in loaded.inputs]
    steps = _steps(loaded, arrays, {name: array.shape for name, array in feed.items()})
    edges = [s for s in steps if s["op"] in ("QuantizeLinear", "DequantizeLinear")]
    elements = sum(s["elements"] for s in edges) / 2  # each is read and written
    us = 1e3 * sum(s["ms"] for s in edges) / elements if elements else _CONVERSION_US
    return StepTimes({s["node"]: StepTime(1e3 * s["ms"], s["elements"]) for s in steps}, us)


def _steps(
    model: Model, arrays: Sequence[Array], shapes: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Each step of a plan with its median time."""
    plan = inspect.report(model, shapes=shapes)
    timed = model._core.profile(arrays, _ROUNDS)
    return [
        {
            "node": n["node"],
            "op": n["op"],
            "int8": n["int8"],
            "note": n["note"],
            "elements": sum(math.prod(t["shape"]) for t in (*n["inputs"], *n["outputs"])),
            "ms": 1e3 * seconds,
        }
        for n, (_, seconds) in zip(plan["nodes"], timed, strict=True)
    ]
