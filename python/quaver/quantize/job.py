"""One quantization: its steps in order, and what each leaves for the report."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import helper

from quaver import progress
from quaver.errors import AccuracyError, ModelError
from quaver.model import Port
from quaver.quantize import cost, equalize, gptq, measure, smooth
from quaver.quantize.answers import Answers
from quaver.quantize.calibrate import Statistics, calibrate
from quaver.quantize.data import Apart, Data, Feed, Samples, keep, take_apart
from quaver.quantize.engine import runner
from quaver.quantize.levels import FUNCTIONS, Levels, members
from quaver.quantize.listening import Heard
from quaver.quantize.metrics import Judge, Labels, Metric
from quaver.quantize.mixed import Mixer
from quaver.quantize.pictures import Pictures
from quaver.quantize.placement import Placement, place
from quaver.quantize.prepare import Source, prepare
from quaver.quantize.promise import Part, Search, outputs
from quaver.quantize.tables import byte_tables, unheard, with_tables
from quaver.quantize.weights import Weight

_MEASURED = 16  # samples for the errors in the report
_HEARD = 8  # samples to hear tables in bytes by
_ROUNDS = 4  # of looking for what costs most
_LEAST_MIXED, _MOST_MIXED = 4, 32  # samples for that
_MIXED_NS = 1e8  # of estimated time, for all of them
NOISY = "in bytes it costs the network's answers more than its time is worth"
_BARS = 128  # of a histogram in the report


class Options(NamedTuple):
    """What the caller chose."""

    method: str
    smooth: bool
    equalize: bool
    correct_bias: bool
    search_weights: bool
    mixed: bool
    gptq: bool
    keep_float: frozenset[str]
    engine: str
    metric: Metric
    max_drop: float | None
    never_slower: bool
    pictures: Pictures


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
        made = (*self._placement.tensors, *self._placement.sums)
        if not any(name in self._net.producer for name in made):
            raise ModelError(
                "there is nothing to quantize: no operator of the model has an int8 form"
            )
        samples = Samples(data, _ports(self._original), options.pictures)
        self._count = len(samples)
        self._apart = take_apart(samples, labels, seed) if options.max_drop is not None else None
        self._kept, self._rest = keep(self._apart.others if self._apart else samples, seed)
        self._levels = Levels(
            self._net,
            engine=options.engine,
            correct_bias=options.correct_bias,
            search_weights=options.search_weights,
        )
        self._equalized: list[dict[str, object]] = []
        self._smoothed: list[dict[str, object]] = []
        self._tried: dict[str, float] = {}
        self._promise: dict[str, Any] | None = None
        self._mixed: list[dict[str, Any]] = []
        self._rounded: list[str] = []
        self._returned: frozenset[str] = frozenset()
        self._doubled: frozenset[str] = frozenset()
        self._slow: frozenset[str] = frozenset()
        self._tables: dict[str, Weight] = {}

    def run(self) -> onnx.ModelProto:
        """Carry out the steps."""
        if self._options.smooth:
            self._smooth()
        if self._options.equalize:
            self._equalize()
        self._placement = self._whole = place(self._net, self._options.keep_float)
        self._calibrate(itertools.chain(self._kept, self._rest))
        kept = self._options.keep_float
        self._choose_ranges(kept)
        if self._options.mixed:
            kept |= self._mix()
        self._tables = self._byte_tables(kept)
        if self._options.never_slower:
            self._slow = self._slower(kept)
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
        rows = {node.name for node in self._net.nodes if self._tables.keys() & set(node.input)}
        floats = self._placement.floats
        return {
            "format": 2,
            "samples": self._levels.statistics.samples,
            "seed": self._seed,
            "engine": options.engine,
            "method": options.method,
            "methods_tried": self._tried,
            "nodes": {
                "int8": sorted(self._placement.nodes | rows),
                "float": {name: why for name, why in floats.items() if name not in rows},
            },
            "tensors": {group: self._tensor(group) for group in self._levels.ranges},
            "repairs": {
                "smooth": self._smoothed if options.smooth else None,
                "equalize": self._equalized if options.equalize else None,
                "correct_bias": self._levels.corrected if options.correct_bias else None,
                "gptq": self._rounded if options.mixed and options.gptq else None,
                "search_weights": options.search_weights,
            },
            "mixed": self._mixed if options.mixed else None,
            "promise": self._promise,
        }

    def measure(self, model: onnx.ModelProto) -> dict[str, Any]:
        """Compare the int8 model with the float one, on samples and on the clock."""
        feeds = self._kept[:_MEASURED]
        engine = self._options.engine
        names = (*self._placement.tensors, *self._placement.sums)
        made = [name for node in self._net.nodes for name in node.output if name in names]
        return {
            "measured_samples": len(feeds),
            "sqnr_db": measure.noise(self._net, model, made, feeds, engine),
            "outputs": measure.agreement(self._original, model, feeds, engine),
            "latency": measure.latency(self._original, model, feeds[0]),
        }

    def _smooth(self, floats: frozenset[str] = frozenset()) -> None:
        found = smooth.targets(self._net, floats)
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
            self._smoothed += smooth.smooth(self._net, found, seen)

    def _equalize(self) -> None:
        found = equalize.groups(self._net)
        stored = {name for name in self._placement.tensors if name not in self._net.weights}
        names = [name for group in found for name in group.tensors if name in stored]
        if names:
            seen = self._seen(names)
            self._equalized = equalize.equalize(self._net, found, seen)

    def _calibrate(self, samples: Iterator[Feed]) -> None:
        names = [name for name in self._placement.tensors if name not in self._net.weights]
        total = max(self._count, len(self._kept))
        seen = calibrate(self._net, names, samples, total=total, engine=self._options.engine)
        self._levels.observe(self._placement, seen)

    def _place(self, kept: frozenset[str]) -> Placement:
        """Decide what is quantized, and say of what the caller did not name why it stays."""
        placement = place(self._net, kept, self._doubled)
        for name in kept & placement.floats.keys() - self._options.keep_float:
            slow = "slower in int8 on this machine" if name in self._slow else "for the promise"
            placement.floats[name] = NOISY if name in self._returned else slow
        return placement

    def _build(
        self, kept: frozenset[str], doubled: frozenset[str] | None = None
    ) -> onnx.ModelProto:
        """The model with these nodes in float, and products that read two bytes."""
        self._doubled = self._doubled if doubled is None else doubled
        self._go_by(kept)
        placed = replace(self._placement, group=self._whole.group)
        return with_tables(self._levels.write(placed, placed.nodes), self._net, self._tables)

    def _byte_tables(self, kept: frozenset[str]) -> dict[str, Weight]:
        """The tables that can be bytes without being heard much in the outputs."""
        tables = byte_tables(self._net, self._options.keep_float)
        if not tables:
            return {}
        answers = Answers(self._original, self._kept[:_HEARD], self._options.engine)
        return unheard(tables, self._net, self._build(kept), answers)

    def _go_by(self, kept: frozenset[str]) -> None:
        """Place with these nodes in float; ranges for what is stored only because of that."""
        self._placement = self._place(kept)
        new = [n for n in self._placement.tensors if n not in self._levels.affines]
        if new:
            self._whole.group.update((name, name) for name in new)
            self._levels.add(self._whole, self._seen(new))

    def _seen(self, names: list[str]) -> Statistics:
        return calibrate(
            self._net, names, self._kept, total=len(self._kept), engine=self._options.engine
        )

    def _choose_ranges(self, kept: frozenset[str]) -> None:
        """Choose all ranges, these nodes being in float.

        Where the method is left open, by the error of the outputs.
        """
        if self._options.method != "auto":
            self._levels.use(self._whole, self._options.method)
            return
        methods = ("auto", "minmax", *(FUNCTIONS if self._whole.functions else ()))
        answers = Answers(self._original, self._kept[: 3 * self._few], self._options.engine)
        for method in methods:
            self._levels.use(self._whole, method)
            self._tried[method] = answers.noise(self._build(kept))
        best = min(methods, key=self._tried.__getitem__)
        if best != methods[-1]:
            self._levels.use(self._whole, best)

    def _mix(self) -> frozenset[str]:
        """Find what costs most, move its outliers, return it to float, or fit its ranges."""
        asked = kept = self._options.keep_float
        feeds, rest = self._kept[: self._few], self._kept[self._few : 3 * self._few]
        answers = Answers(self._original, feeds, self._options.engine)
        others = Answers(self._original, rest or feeds, self._options.engine)

        def listening(before: Sequence[Heard] = ()) -> Mixer:
            mixer = Mixer(
                self._net, self._whole, self._levels, feeds, answers=answers, others=others
            )
            mixer.listen(before)
            return mixer

        mixer = listening()
        for _ in range(_ROUNDS):
            before = mixer.total
            functions = mixer.functions(self._try_place) if self._options.smooth else frozenset()
            if functions - kept:
                kept |= functions
                kept |= self._smooth_floats(functions)
                self._settle_on(kept)
                self._choose_ranges(kept)
                self._mixed.append(mixer.report())
                mixer = listening(mixer.heard)
            if mixer.total > before / 2:
                break
        kept, self._doubled = mixer.double(self._try_place, self._build, kept)
        self._settle_on(kept)
        if self._options.gptq:
            self._round()
        self._mixed.append(mixer.report())
        mixer = listening(mixer.heard)
        for _ in range(_ROUNDS):
            returned = mixer.relieve(self._try_place, self._build, kept, asked)
            if returned == kept:
                break
            kept = returned
            self._mixed.append(mixer.report())
            self._settle_on(kept)
            mixer = listening(mixer.heard)
        if self._options.method == "auto":
            mixer.refit()
        self._mixed.append(mixer.report())
        self._returned = kept - asked
        return self._returned

    @cached_property
    def _few(self) -> int:
        """So many samples that what is tried on them takes no more than its share of time."""
        sizes = cost.sizes(self._net, self._kept[0], "quaver")
        fit = int(_MIXED_NS / max(1.0, cost.estimate(self._net, self._whole, sizes)))
        return max(_LEAST_MIXED, min(_MOST_MIXED, fit))

    def _try_place(self, kept: frozenset[str], doubled: frozenset[str] | None = None) -> Placement:
        doubled = self._doubled if doubled is None else doubled
        return place(self._net, kept | self._options.keep_float, doubled)

    def _settle_on(self, kept: frozenset[str]) -> None:
        """With these nodes in float all else goes on."""
        self._go_by(kept)
        self._whole = replace(self._placement, group=self._whole.group)
        self._levels.weigh(self._whole)

    def _round(self) -> None:
        """Round weights for their inputs, where that pays."""
        levels, engine = self._levels, self._options.engine
        inputs = {name: levels.affines[name] for name in self._whole.tensors}
        made = gptq.rounded(self._net, levels.products, self._kept, inputs, engine)
        for item in progress.track(made, len(levels.products.weights), "rounding weights"):
            if item.after < item.before:
                levels.round(item.node, item.weight)
                self._rounded.append(item.node)

    def _smooth_floats(self, floats: frozenset[str]) -> frozenset[str]:
        """Move outliers of what is in float now into weights; the nodes that do it."""
        known = {node.name for node in self._net.nodes}
        before = len(self._smoothed)
        self._smooth(floats)
        self._levels.forget(str(item["tensor"]) for item in self._smoothed[before:])
        return frozenset(node.name for node in self._net.nodes) - known

    def _slower(self, kept: frozenset[str]) -> frozenset[str]:
        """The nodes to leave in float because they are slower in int8 on this machine."""
        found = measure.latency(self._original, self._build(kept), self._kept[0])
        names = frozenset(found["slower"]) & self._placement.nodes
        if not names:
            return names
        changed = self._build(kept | names)
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
        layers = [name for name in self._levels.products.weights if name in self._place(kept).nodes]
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

    def _tensor(self, group: str) -> dict[str, Any]:
        chosen = self._levels.ranges[group]
        names = members(self._whole)[group]
        histogram = self._levels.histogram(names)
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
            name: [self._levels.ranges[group].lo, self._levels.ranges[group].hi]
            for name, group in self._placement.group.items()
            if group in self._levels.ranges and name not in self._net.weights
        }
        helper.set_model_props(
            model,
            {p.key: p.value for p in model.metadata_props}
            | {
                "quaver.ranges": json.dumps(ranges),
                "quaver.samples": str(self._levels.statistics.samples),
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
