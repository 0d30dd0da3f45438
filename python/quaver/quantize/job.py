"""One quantization: its steps in order, and what each leaves for the report."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import helper

from quaver.errors import AccuracyError, ModelError
from quaver.model import Port
from quaver.quantize import equalize, measure, qdq, smooth
from quaver.quantize.calibrate import Statistics, calibrate
from quaver.quantize.data import Apart, Data, Feed, Samples, keep, take_apart
from quaver.quantize.engine import runner
from quaver.quantize.histogram import Histogram
from quaver.quantize.metrics import Judge, Labels, Metric
from quaver.quantize.net import Array
from quaver.quantize.placement import Placement, place
from quaver.quantize.prepare import Source, prepare
from quaver.quantize.products import Products, expect_finite, quantize_products
from quaver.quantize.promise import Part, Search, outputs, relative_noise
from quaver.quantize.ranges import Affine, Range, affine, choose, choose_before, measured

_MEASURED = 16  # samples for the errors in the report
# Where a function reads a tensor, its range by what the function makes; elsewhere as named.
_FUNCTIONS = {"auto, functions": "auto", "minmax, functions": "minmax"}
_TRIED = 8  # samples to choose a method by
_BARS = 128  # of a histogram in the report


class Options(NamedTuple):
    """What the caller chose."""

    method: str
    smooth: bool
    equalize: bool
    correct_bias: bool
    search_weights: bool
    keep_float: frozenset[str]
    engine: str
    metric: Metric
    max_drop: float | None
    never_slower: bool


class Job:
    """From a float model and data to an int8 model."""

    def __init__(
        self, model: Source, data: Data, options: Options, seed: int, labels: Labels | None
    ) -> None:
        self._options = options
        self._seed = seed
        self._net = prepare(model)
        self._original = self._net.proto()
        self._placement = self._whole = place(self._net, options.keep_float)
        if not any(name in self._net.producer for name in self._placement.tensors):
            raise ModelError(
                "there is nothing to quantize: no operator of the model has an int8 form"
            )
        samples = Samples(data, _ports(self._original))
        self._count = len(samples)
        self._apart = take_apart(samples, labels, seed) if options.max_drop is not None else None
        self._kept, self._rest = keep(self._apart.others if self._apart else samples, seed)
        self._ranges: dict[str, Range] = {}
        self._affines: dict[str, Affine] = {}
        self._products = Products({}, {}, {})
        self._statistics = Statistics()
        self._equalized: list[dict[str, object]] = []
        self._smoothed: list[dict[str, object]] = []
        self._tried: dict[str, float] = {}
        self._promise: dict[str, Any] | None = None
        self._method = options.method
        self._slow: frozenset[str] = frozenset()

    def run(self) -> onnx.ModelProto:
        """Carry out the steps."""
        if self._options.smooth:
            self._smooth()
        if self._options.equalize:
            self._equalize()
        self._placement = self._whole = place(self._net, self._options.keep_float)
        self._calibrate(itertools.chain(self._kept, self._rest))
        self._choose_ranges()
        kept = self._options.keep_float
        if self._options.never_slower:
            self._slow = self._slower(self._build(kept))
            kept |= self._slow
        if self._apart and self._options.max_drop is not None:
            kept |= self._search(kept, self._apart, self._options.max_drop)
        model = self._build(kept)
        self._add_metadata(model)
        onnx.checker.check_model(model)
        return model

    def report(self) -> dict[str, Any]:
        """What was decided."""
        options = self._options
        return {
            "format": 2,
            "samples": self._statistics.samples,
            "seed": self._seed,
            "engine": options.engine,
            "method": options.method,
            "methods_tried": self._tried,
            "nodes": {
                "int8": sorted(self._placement.nodes),
                "float": self._placement.floats,
            },
            "tensors": {group: self._tensor(group) for group in self._ranges},
            "repairs": {
                "smooth": self._smoothed if options.smooth else None,
                "equalize": self._equalized if options.equalize else None,
                "correct_bias": self._products.corrected if options.correct_bias else None,
                "search_weights": options.search_weights,
            },
            "promise": self._promise,
        }

    def measure(self, model: onnx.ModelProto) -> dict[str, Any]:
        """Compare the int8 model with the float one, on samples and on the clock."""
        feeds = self._kept[:_MEASURED]
        engine = self._options.engine
        made = [name for name in self._placement.tensors if name in self._net.producer]
        return {
            "measured_samples": len(feeds),
            "sqnr_db": measure.noise(self._net, model, made, feeds, engine),
            "outputs": measure.agreement(self._original, model, feeds, engine),
            "latency": measure.latency(self._original, model, feeds[0]),
        }

    def _smooth(self) -> None:
        found = smooth.targets(self._net)
        names = [target.tensor for target in found]
        if names:
            engine = self._options.engine
            seen = calibrate(
                self._net,
                names,
                self._kept,
                total=len(self._kept),
                engine=engine,
                axes={target.tensor: target.axis for target in found},
            )
            self._smoothed = smooth.smooth(self._net, found, seen)

    def _equalize(self) -> None:
        found = equalize.groups(self._net)
        stored = {name for name in self._placement.tensors if name not in self._net.weights}
        names = [name for group in found for name in group.tensors if name in stored]
        if names:
            seen = calibrate(
                self._net, names, self._kept, total=len(self._kept), engine=self._options.engine
            )
            self._equalized = equalize.equalize(self._net, found, seen)

    def _calibrate(self, samples: Iterator[Feed]) -> None:
        names = [name for name in self._placement.tensors if name not in self._net.weights]
        total = max(self._count, len(self._kept))
        self._statistics = calibrate(
            self._net, names, samples, total=total, engine=self._options.engine
        )
        for name in self._placement.tensors:
            if name in self._net.weights:
                expect_finite(self._net.weights[name], f"constant {name!r}")
                self._statistics.add(name, self._net.weights[name], None)

    def _place(self, kept: frozenset[str]) -> Placement:
        """Decide what is quantized, and say of what the caller did not name why it stays."""
        placement = place(self._net, kept)
        for name in kept & placement.floats.keys() - self._options.keep_float:
            placement.floats[name] = (
                "slower in int8 on this machine" if name in self._slow else "for the promise"
            )
        return placement

    def _build(self, kept: frozenset[str]) -> onnx.ModelProto:
        """The model with these nodes in float."""
        self._placement = self._place(kept)
        placed = self._placement.nodes
        self._calibrate_more([n for n in self._placement.tensors if n not in self._affines])
        return qdq.write(
            self._net,
            replace(self._placement, group=self._whole.group),
            self._affines,
            {name: weight for name, weight in self._products.weights.items() if name in placed},
            {name: bias for name, bias in self._products.biases.items() if name in placed},
        )

    def _calibrate_more(self, names: list[str]) -> None:
        """Tensors that are stored only because others around them are in float."""
        if not names:
            return
        seen = calibrate(
            self._net, names, self._kept, total=len(self._kept), engine=self._options.engine
        )
        for name, histogram in seen.histograms.items():
            self._statistics.histograms[name] = histogram
            method = _FUNCTIONS.get(self._method, self._method)
            self._ranges[name] = chosen = choose(histogram, method)
            self._affines[name] = affine(chosen.lo, chosen.hi)
            self._whole.group[name] = name

    def _choose_ranges(self) -> None:
        """Choose all ranges; by the error of the outputs where the method is left open."""
        if self._options.method != "auto":
            self._use(self._options.method)
            return
        methods = ("auto", "minmax", *(_FUNCTIONS if self._whole.functions else ()))
        feeds = self._kept[:_TRIED]
        exact = outputs(runner(self._original, self._options.engine), feeds)
        for method in methods:
            self._use(method)
            made = outputs(runner(self._build(self._options.keep_float), "quaver"), feeds)
            self._tried[method] = relative_noise(exact, made)
        best = min(methods, key=self._tried.__getitem__)
        if best != methods[-1]:
            self._use(best)

    def _use(self, method: str) -> None:
        """Choose a range for each group of tensors, and the weights that go with them."""
        self._method = method
        affines = {}
        for group, names in _members(self._whole).items():
            array = self._net.weights.get(names[0]) if len(names) == 1 else None
            if array is not None and array.size == 1:
                affines[group] = _exact(float(array.reshape(())))
                continue
            histogram = self._histogram(names)
            if array is not None:
                chosen = measured(histogram, min(histogram.lo, 0), max(histogram.hi, 0), "minmax")
            elif method in _FUNCTIONS and len(names) == 1 and names[0] in self._whole.functions:
                cut = _FUNCTIONS[method] == "auto"
                chosen = choose_before(histogram, self._function(names[0]), cut=cut)
            else:
                chosen = choose(histogram, _FUNCTIONS.get(method, method))
            self._ranges[group] = chosen
            affines[group] = affine(chosen.lo, chosen.hi)
        self._affines = {name: affines[group] for name, group in self._whole.group.items()}
        self._products = quantize_products(
            self._net,
            self._whole.nodes,
            self._affines,
            self._statistics.channels if self._options.correct_bias else {},
            search=self._options.search_weights,
        )

    def _function(self, name: str) -> Callable[[Array], Array]:
        """What the only function that reads a tensor makes of numbers."""
        made = self._whole.functions[name]
        model = self._net.between(name, made, 4)
        run = runner(model, self._options.engine)

        def function(values: Array) -> Array:
            fed = {name: values.astype(np.float32).reshape(1, 1, 1, -1)}
            return np.asarray(run(fed)[made].reshape(-1), np.float64)

        return function

    def _slower(self, model: onnx.ModelProto) -> frozenset[str]:
        """The nodes to leave in float because they are slower in int8 on this machine."""
        found = measure.latency(self._original, model, self._kept[0])
        names = frozenset(found["slower"]) & self._placement.nodes
        if not names:
            return names
        changed = self._build(self._options.keep_float | names)
        after = measure.latency(self._original, changed, self._kept[0])
        return names if after["int8_ms"] < found["int8_ms"] else frozenset()

    def _search(self, kept: frozenset[str], apart: Apart, max_drop: float) -> frozenset[str]:
        """Find the layers that must be in float for the promise."""
        engine, metric = self._options.engine, self._options.metric
        run = runner(self._original, engine)
        parts = [
            Part(feeds, Judge(metric, labels, outputs(run, feeds)))
            for feeds, labels in (apart.searched, apart.held_out)
        ]
        layers = [name for name in self._products.weights if name in self._place(kept).nodes]
        named = metric if isinstance(metric, str) else getattr(metric, "__name__", "a function")
        search = Search(
            self._original,
            lambda floats: self._build(kept | floats),
            layers,
            searched=parts[0],
            held_out=parts[1],
            max_drop=max_drop,
            engine=engine,
        )
        try:
            floats, promise = search.run()
        except AccuracyError as error:
            self._placement = self._place(kept)
            self._promise = {**error.report, "metric": named}
            error.report = self.report()
            raise
        self._promise = {**promise, "metric": named}
        return floats

    def _histogram(self, names: list[str]) -> Histogram:
        merged = Histogram()
        for name in names:
            if name in self._statistics.histograms:
                merged.merge(self._statistics.histograms[name])
        if not merged.total:
            raise ModelError(f"tensor {names[0]!r} has no elements on any sample")
        return merged

    def _tensor(self, group: str) -> dict[str, Any]:
        chosen = self._ranges[group]
        names = _members(self._whole)[group]
        histogram = self._histogram(names)
        counts, edges = histogram.bars(_BARS)
        return {
            "shared_by": names,
            "lo": chosen.lo,
            "hi": chosen.hi,
            "seen": [histogram.lo, histogram.hi],
            "method": chosen.method,
            "mse": chosen.error,
            "cut": chosen.cut,
            "zeros": histogram.zeros,
            "histogram": {"edges": edges, "counts": counts},
        }

    def _add_metadata(self, model: onnx.ModelProto) -> None:
        """Keep the ranges in the model, so that who runs it can count what leaves them."""
        ranges = {
            name: [self._ranges[group].lo, self._ranges[group].hi]
            for name, group in self._placement.group.items()
            if group in self._ranges and name not in self._net.weights
        }
        helper.set_model_props(
            model,
            {p.key: p.value for p in model.metadata_props}
            | {
                "quaver.ranges": json.dumps(ranges),
                "quaver.samples": str(self._statistics.samples),
            },
        )


def _ports(model: onnx.ModelProto) -> list[Port]:
    ports = []
    for info in model.graph.input:
        tensor = info.type.tensor_type
        dims = [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        ports.append(Port(info.name, dtype, tuple(dims)))
    return ports


def _members(placement: Placement) -> dict[str, list[str]]:
    members: dict[str, list[str]] = {}
    for name, group in placement.group.items():
        members.setdefault(group, []).append(name)
    return members


def _exact(value: float) -> Affine:
    """One number without error: the step is its magnitude."""
    if value == 0.0:
        return Affine(np.float32(1), 0)
    return Affine(np.float32(abs(value)), int(value < 0))
