"""Rounding weights one column after the other, each making up for the errors of those before.

What rounding a weight adds to the outputs of its layer depends on what it is multiplied with:
inputs that go together let the error of one weight be taken back by the next. With H = E[x·xᵀ] of
the layer's inputs in bytes, the error of each column is spread over those that are not rounded yet:
E. Frantar et al., "GPTQ", ICLR 2023, equations 2 to 4, which round in any order; here those first
that meet the greatest inputs. Scales stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import onnx

from quaver.quantize.data import Feed
from quaver.quantize.engine import Observer
from quaver.quantize.net import Array, Net, attribute
from quaver.quantize.ranges import Affine, through_bytes
from quaver.quantize.weights import Weight

_MOST_INPUTS = 2560  # of an output: H takes their square
_PLACES = 1024  # of an image that are looked at
_DAMPING = 0.01  # of H's mean diagonal


def hessians(
    net: Net,
    nodes: Sequence[onnx.NodeProto],
    feeds: Sequence[Feed],
    inputs: Mapping[str, Affine],
    engine: str,
) -> dict[str, Array]:
    """Sum x·xᵀ over all that products take in.

    Parameters
    ----------
    net
        The float model.
    nodes
        Products in it; those too large are left out.
    feeds
        Some samples.
    inputs
        How the tensors are stored that are bytes.
    engine
        What runs the float model.

    Returns
    -------
    dict of NDArray of float64 [groups, inputs of an output, the same]
        By node.
    """
    fit = [node for node in nodes if _inputs(net, node) <= _MOST_INPUTS]
    observer = Observer(net, list(dict.fromkeys(node.input[0] for node in fit)), engine)
    found: dict[str, Array] = {}
    for feed in feeds:
        for name, array in observer.run(feed):
            stored = through_bytes(array, *inputs[name]) if name in inputs else array
            for node in fit:
                if node.input[0] == name:
                    rows = _rows(net, node, stored)
                    found[node.name] = found.get(node.name, 0.0) + rows.transpose(0, 2, 1) @ rows
    return found


def round_weight(node: onnx.NodeProto, exact: Array, weight: Weight, hessian: Array) -> Weight:
    """Round a weight for these inputs.

    Parameters
    ----------
    node
        The product.
    exact
        The weight in float.
    weight
        With its scales.
    hessian
        As `hessians` gives it.
    """
    axis = weight.axis
    shape = [-1 if i == axis else 1 for i in range(exact.ndim)]
    steps = exact / np.asarray(weight.scale, np.float64).reshape(shape)
    groups, inputs = hessian.shape[:2]
    turned = _is_turned(node)
    columns = (steps.T if turned else steps).reshape(groups, -1, inputs)
    order = np.argsort(-np.einsum("gii->gi", hessian).sum(axis=0), kind="stable")
    rounded = np.empty_like(columns)
    rounded[:, :, order] = _spread(columns[:, :, order], hessian[:, order][:, :, order])
    made = rounded.reshape(exact.T.shape).T if turned else rounded.reshape(exact.shape)
    return weight._replace(bytes=np.ascontiguousarray(made).astype(np.int8))


def _spread(columns: Array, hessian: Array) -> Array:
    """Round columns [groups, outputs, inputs] in order; the errors go into those that follow."""
    inputs = columns.shape[2]
    diagonal = np.einsum("gii->gi", hessian)
    damping = _DAMPING * diagonal.mean(axis=1) + 1e-12
    damped = hessian + damping[:, np.newaxis, np.newaxis] * np.eye(inputs)
    # Rows of the inverse's upper factor say what each column's error asks of the others.
    factor = np.linalg.cholesky(np.linalg.inv(damped)).transpose(0, 2, 1)
    left, rounded = columns.copy(), np.empty_like(columns)
    for i in range(inputs):
        rounded[:, :, i] = np.clip(np.rint(left[:, :, i]), -127, 127)
        error = (left[:, :, i] - rounded[:, :, i]) / factor[:, i, i, np.newaxis]
        left[:, :, i + 1 :] -= error[:, :, np.newaxis] * factor[:, i, np.newaxis, i + 1 :]
    return rounded


def _inputs(net: Net, node: onnx.NodeProto) -> int:
    """How many inputs an output is made of; too many where that is not known here."""
    weight = net.weights[node.input[1]]
    if node.op_type == "Conv":
        plain = weight.ndim == 4 and attribute(node, "auto_pad", b"NOTSET") == b"NOTSET"
        return math.prod(weight.shape[1:]) if plain else _MOST_INPUTS + 1
    if node.op_type not in ("Gemm", "MatMul") or weight.ndim != 2:
        return _MOST_INPUTS + 1
    return int(weight.shape[0 if _is_turned(node) else 1])


def _is_turned(node: onnx.NodeProto) -> bool:
    """Whether a weight has its outputs last."""
    return node.op_type == "MatMul" or (node.op_type == "Gemm" and not attribute(node, "transB", 0))


def _rows(net: Net, node: onnx.NodeProto, array: Array) -> Array:
    """What outputs are made of at some places, float64 [groups, places, inputs]."""
    if node.op_type != "Conv":
        return array.reshape(1, -1, array.shape[-1]).astype(np.float64)
    kernel = net.weights[node.input[1]].shape[2:]
    top, left, bottom, right = attribute(node, "pads", [0, 0, 0, 0])
    down, across = attribute(node, "strides", [1, 1])
    spread = attribute(node, "dilations", [1, 1])
    padded = np.pad(array, ((0, 0), (0, 0), (top, bottom), (left, right)))
    window = [(k - 1) * d + 1 for k, d in zip(kernel, spread, strict=True)]
    views = np.lib.stride_tricks.sliding_window_view(padded, window, axis=(2, 3))
    views = views[:, :, ::down, ::across, :: spread[0], :: spread[1]]
    places = np.indices((views.shape[0], *views.shape[2:4])).reshape(3, -1)
    if places.shape[1] > _PLACES:
        chosen = np.random.default_rng(0).integers(places.shape[1], size=_PLACES)
        places = places[:, chosen]
    image, y, x = places
    taken = views[image, :, y, x].astype(np.float64)  # [places, channels, kernel]
    group = attribute(node, "group", 1)
    return np.asarray(taken.reshape(len(taken), group, -1).transpose(1, 0, 2))
