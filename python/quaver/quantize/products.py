"""The weights of a model's products and convolutions in int8, all at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
import onnx

from quaver.errors import ModelError
from quaver.quantize import weights
from quaver.quantize.net import Array, Net
from quaver.quantize.operators import data_inputs, weight_of
from quaver.quantize.ranges import Affine
from quaver.quantize.weights import Weight


class Products(NamedTuple):
    """By node."""

    nodes: dict[str, onnx.NodeProto]
    weights: dict[str, Weight]
    biases: dict[str, Array]
    """Those that there are, as in the float model."""


def quantize_products(
    net: Net,
    nodes: Collection[str],
    affines: Mapping[str, Affine],
    *,
    search: bool,
    known: dict[str, tuple[Array, Weight]],
) -> Products:
    """Bring the weights of `nodes` to int8.

    Parameters
    ----------
    net
        The float model.
    nodes
        Names of those that are quantized.
    affines
        Of the tensors that they read.
    search
        As for `weights.quantize_weight`.
    known
        By node, weights as they were and in int8; what is the same array is not searched again.

    Raises
    ------
    ModelError
        If a weight or bias is not finite.
    """
    made = Products({}, {}, {})
    for node in net.nodes:
        name = weight_of(net, node)
        if name is None or node.name not in nodes:
            continue
        array = net.weights[name]
        expect_finite(array, f"weight {name!r}")
        axis = weights.channel_axis(net, node)
        old = _bias(net, node, array.shape[axis] if axis is not None else None)
        least = weights.least_scale(old, float(affines[data_inputs(node)[0]].scale))
        made.nodes[node.name] = node
        if node.name not in known or known[node.name][0] is not array:
            known[node.name] = array, weights.quantize_weight(array, axis, search=search)
        weight = known[node.name][1]
        if (
            least is not None
            and (weight.scale < (least if axis is not None else least.max())).any()
        ):
            weight = weights.quantize_weight(array, axis, search=search, least=least)
        made.weights[node.name] = weight
        if old is not None:
            made.biases[node.name] = old
    return made


def expect_finite(array: Array, what: str) -> None:
    """Raise ModelError where `array`, which is `what`, has NaN or infinite values."""
    if not np.isfinite(array).all():
        raise ModelError(
            f"{what} has NaN or infinite values; keep the nodes that use it in float: keep_float"
        )


def _bias(net: Net, node: onnx.NodeProto, channels: int | None) -> Array | None:
    if node.op_type == "MatMul" or len(node.input) < 3 or not node.input[2]:
        return None
    array = net.weights[node.input[2]].reshape(-1)
    expect_finite(array, f"bias {node.input[2]!r}")
    return array if channels is None else np.broadcast_to(array, (channels,))
