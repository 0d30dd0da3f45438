"""Bias correction: what rounding adds to a layer on average goes back into its bias.

E[Wq·Q(x)] − E[W·x] = Wq·(E[x] + E[Q(x) − x]) − W·E[x], all expectations per input channel and from
calibration: M. Nagel et al., "Data-Free Quantization through Weight Equalization and Bias
Correction", ICCV 2019, section 4.2, and here of what is rounded in x too. At padded borders, where
fewer inputs take part, the mean is taken to be the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

import numpy as np
import onnx

from quaver.quantize.channels import Channels
from quaver.quantize.net import Array, Net, attribute
from quaver.quantize.products import Products
from quaver.quantize.ranges import Affine
from quaver.quantize.regions import is_bias
from quaver.quantize.weights import Weight

#: By node, whether its weight stays and how its input is rounded: what that is of, and the shift.
Known: TypeAlias = dict[
    tuple[str, bool, Affine | None], tuple[tuple[Array, Array | None, Channels], Array | None]
]


def biases(
    net: Net,
    products: Products,
    weights: Collection[str],
    inputs: Mapping[str, Affine],
    channels: Mapping[str, Channels],
    *,
    doubled: Collection[str] = (),
    known: Known | None = None,
) -> tuple[dict[str, Array], dict[str, float]]:
    """Give the biases of products, corrected for what is in bytes.

    Parameters
    ----------
    net
        The float model.
    products
        All that can be in bytes.
    weights
        The nodes whose weights are.
    inputs
        The tensors that are, and how.
    channels
        Of tensors; biases of what reads others are not corrected.
    doubled
        The nodes for which rounding leaves nothing of what they read.
    known
        What was found before; of the same weight, input and rounding it is not computed again.

    Returns
    -------
    biases, corrected
        By the node that adds it, where it is not as in `net` or its weight is in bytes; and the
        greatest correction of each that is corrected.
    """
    made = {name: bias for name, bias in products.biases.items() if name in weights}
    corrected: dict[str, float] = {}
    known = {} if known is None else known
    for name, weight in products.weights.items():
        node = products.nodes[name]
        adder = _adder(net, node)
        read = node.input[0]
        if adder is None or read not in channels or not (name in weights or read in inputs):
            continue
        seen = channels[read]
        numbers = inputs[read] if read in inputs and name not in doubled else None
        used = weight if name in weights else None
        key = name, used is None, numbers
        of = net.weights[node.input[1]], used and used.bytes, seen
        if key not in known or any(a is not b for a, b in zip(known[key][0], of, strict=True)):
            error = np.zeros_like(seen.mean) if numbers is None else seen.error(numbers)
            known[key] = of, shift(net, node, used, seen.mean, error)
        added = known[key][1]
        if added is not None:
            corrected[name] = float(np.abs(added).max())
            old = products.biases.get(name) if adder is node else _constant(net, adder)
            made[adder.name] = np.asarray((0.0 if old is None else old) - added)
    return made, corrected


def shift(
    net: Net, node: onnx.NodeProto, weight: Weight | None, mean: Array, error: Array
) -> Array | None:
    """What quantizing adds to each output channel on average.

    Parameters
    ----------
    net
        The float model.
    node
        A product in it; for a ConvTranspose, and weights of more than two axes, there is no answer.
    weight
        Its weight in int8, or None where it stays.
    mean, error
        Of each channel of its input, and what rounding that adds to it.

    Returns
    -------
    NDArray of float64 [output channels], or None
    """
    exact = _rows(node, net.weights[node.input[1]].astype(np.float64))
    used = exact if weight is None else _rows(node, weight.reals())
    if exact is None or used is None:
        return None
    group = attribute(node, "group", 1)

    def product(rows: Array, values: Array) -> Array:
        parts, inputs = rows.reshape(group, -1, rows.shape[1]), values.reshape(group, -1)
        return np.asarray(np.einsum("goi,gi->go", parts, inputs).reshape(-1))

    return np.asarray(product(used, mean + error) - product(exact, mean))


def _rows(node: onnx.NodeProto, weight: Array) -> Array | None:
    """The weight [output, input of its group] of what all taps have in common."""
    if node.op_type == "Gemm":
        return weight if attribute(node, "transB", 0) else weight.T
    if node.op_type == "MatMul":
        return weight.T if weight.ndim == 2 else None
    if node.op_type != "Conv":
        return None
    return np.asarray(weight.reshape(*weight.shape[:2], -1).sum(axis=2))


def _adder(net: Net, node: onnx.NodeProto) -> onnx.NodeProto | None:
    """What adds the bias of a product: itself, or the node after it."""
    if node.op_type != "MatMul":
        return node
    user = net.sole_user(node.output[0])
    return user if user is not None and is_bias(net, node, user) else None


def _constant(net: Net, add: onnx.NodeProto) -> Array:
    return next(net.weights[name] for name in add.input if name in net.weights).astype(np.float64)
