"""The numbers of a placement: a range for each group of tensors, and the weights in int8."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import numpy as np
import onnx

from quaver.errors import ModelError
from quaver.quantize import bias, qdq
from quaver.quantize.calibrate import Statistics
from quaver.quantize.engine import runner
from quaver.quantize.histogram import Histogram
from quaver.quantize.net import Array, Net
from quaver.quantize.placement import Placement
from quaver.quantize.products import Products, expect_finite, quantize_products
from quaver.quantize.ranges import METHODS, Affine, Range, affine, choose, choose_before, measured
from quaver.quantize.weights import Weight

#: Where a function reads a tensor, its range by what the function makes; elsewhere as named.
FUNCTIONS = {"auto, functions": "auto", "minmax, functions": "minmax"}

_CUTS = (0.7, 0.5, 0.35, 0.25)  # of the range seen, to be judged by the outputs


class Levels:
    """Ranges, scales and zero points, weights and biases.

    Parameters
    ----------
    net
        The float model.
    engine
        What runs the functions that read tensors.
    correct_bias, search_weights
        As in `quaver.quantize`.
    """

    def __init__(self, net: Net, *, engine: str, correct_bias: bool, search_weights: bool) -> None:
        self._net, self._engine = net, engine
        self._correct_bias, self._search_weights = correct_bias, search_weights
        self.statistics = Statistics()
        self.method = "auto"
        self.ranges: dict[str, Range] = {}
        """By group."""
        self.affines: dict[str, Affine] = {}
        """By tensor."""
        self.products = Products({}, {}, {})
        self._searched: dict[str, tuple[Array, Weight]] = {}
        self._rounded: dict[str, Weight] = {}
        self._shifts: bias.Known = {}
        self.corrected: dict[str, float] = {}
        """The greatest correction of each bias in the model that was written last."""

    def observe(self, placement: Placement, statistics: Statistics) -> None:
        """Take in what was seen of tensors; of constants, what they are."""
        self.statistics = statistics
        for name in placement.tensors:
            if name in self._net.weights:
                expect_finite(self._net.weights[name], f"constant {name!r}")
                statistics.add(name, self._net.weights[name], None)

    def use(self, placement: Placement, method: str) -> None:
        """Choose a range for each group of tensors, and the weights that go with them."""
        self.method = method
        for group in members(placement):
            self._choose(placement, group)
        self.weigh(placement)

    def add(self, placement: Placement, statistics: Statistics) -> None:
        """Choose ranges for tensors that are seen only now; weights stay as they are."""
        self.statistics.histograms |= statistics.histograms
        self.statistics.channels |= statistics.channels
        for group in dict.fromkeys(placement.group[name] for name in statistics.histograms):
            self._choose(placement, group)

    def forget(self, tensors: Iterable[str]) -> None:
        """Drop the ranges of tensors whose values changed; who places them next sees them anew."""
        for name in tensors:
            self.affines.pop(name, None)

    def weigh(self, placement: Placement) -> None:
        """Bring weights and biases to what the ranges ask for."""
        self.products = quantize_products(
            self._net,
            placement.nodes,
            self.affines,
            search=self._search_weights,
            known=self._searched,
        )
        for name, weight in self._rounded.items():
            made = self.products.weights.get(name)
            if made is not None and np.array_equal(made.scale, weight.scale):
                self.products.weights[name] = weight

    def round(self, node: str, weight: Weight) -> None:
        """Give a node these bytes, as long as its scales stay."""
        self._rounded[node] = self.products.weights[node] = weight

    def write(
        self,
        placement: Placement,
        weights: Collection[str],
        affines: Mapping[str, Affine] | None = None,
    ) -> onnx.ModelProto:
        """Write down the model with the weights of these nodes in int8.

        Parameters
        ----------
        placement
            What else is in bytes.
        weights
            Names of nodes; of those without a weight in int8 nothing comes.
        affines
            Of the tensors, in place of those that were chosen.
        """
        numbers = self._widened(placement, self.affines if affines is None else affines)
        made, self.corrected = bias.biases(
            self._net,
            self.products,
            weights,
            {name: numbers[name] for name in placement.tensors},
            self.statistics.channels if self._correct_bias else {},
            doubled=placement.doubled,
            known=self._shifts,
        )
        chosen = {name: w for name, w in self.products.weights.items() if name in weights}
        return qdq.write(self._net, placement, numbers, chosen, made)

    def _widened(self, placement: Placement, numbers: Mapping[str, Affine]) -> Mapping[str, Affine]:
        """Nothing is cut of what is stored in two bytes."""
        doubled = [n.input[0] for n in self._net.nodes if n.name in placement.doubled]
        groups = {placement.group[name] for name in doubled if name in placement.group}
        changed = dict(numbers)
        for group, names in members(placement).items():
            if group in groups:
                seen = self.histogram(names)
                changed |= dict.fromkeys(names, affine(seen.lo, seen.hi))
        return changed

    def choices(self, placement: Placement, group: str) -> list[Range]:
        """What each method says of a group, and cuts; nothing of constants, which lose little."""
        names = members(placement)[group]
        if any(name in self._net.weights for name in names):
            return []
        histogram = self.histogram(names)
        found = [choose(histogram, method) for method in METHODS]
        full = found[0]
        found += [measured(histogram, c * full.lo, c * full.hi, "outputs") for c in _CUTS]
        if names == [group] and group in placement.functions:
            function = self._function(placement, group)
            found += [choose_before(histogram, function, cut=cut) for cut in (True, False)]
        return list({(r.lo, r.hi): r for r in found}.values())

    def take(self, placement: Placement, group: str, chosen: Range) -> None:
        """Give a group this range."""
        self.ranges[group] = chosen
        self._set(placement, group, affine(chosen.lo, chosen.hi))

    def histogram(self, names: list[str]) -> Histogram:
        """Of all values of these tensors."""
        merged = Histogram()
        for name in names:
            if name in self.statistics.histograms:
                merged.merge(self.statistics.histograms[name])
        if not merged.total:
            raise ModelError(f"tensor {names[0]!r} has no elements on any sample")
        return merged

    def _choose(self, placement: Placement, group: str) -> None:
        names = members(placement)[group]
        array = self._net.weights.get(names[0]) if len(names) == 1 else None
        if array is not None and array.size == 1:
            self._set(placement, group, _exact(float(array.reshape(()))))
            return
        histogram = self.histogram(names)
        if array is not None:
            chosen = measured(histogram, min(histogram.lo, 0), max(histogram.hi, 0), "minmax")
        elif self.method in FUNCTIONS and names == [group] and group in placement.functions:
            cut = FUNCTIONS[self.method] == "auto"
            chosen = choose_before(histogram, self._function(placement, group), cut=cut)
        else:
            chosen = choose(histogram, FUNCTIONS.get(self.method, self.method))
        self.take(placement, group, chosen)

    def _set(self, placement: Placement, group: str, numbers: Affine) -> None:
        for name in members(placement)[group]:
            self.affines[name] = numbers

    def _function(self, placement: Placement, name: str) -> Callable[[Array], Array]:
        """What the only function that reads a tensor makes of numbers."""
        made = placement.functions[name]
        run = runner(self._net.between(name, made, 4), self._engine)

        def function(values: Array) -> Array:
            fed = {name: values.astype(np.float32).reshape(1, 1, 1, -1)}
            return np.asarray(run(fed)[made].reshape(-1), np.float64)

        return function


def members(placement: Placement) -> dict[str, list[str]]:
    """The tensors of each group."""
    found: dict[str, list[str]] = {}
    for name, group in placement.group.items():
        found.setdefault(group, []).append(name)
    return found


def _exact(value: float) -> Affine:
    """One number without error: the step is its magnitude."""
    if value == 0.0:
        return Affine(np.float32(1), 0)
    return Affine(np.float32(abs(value)), int(value < 0))
