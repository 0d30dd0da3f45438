"""Rounding weights one column after the other, each making up for the errors of those before.

What rounding a weight adds to the outputs of its layer depends on what it is multiplied with:
inputs that go together let the error of one weight be taken back by the next. With H = E[x·xᵀ] of
the layer's inputs in bytes, the error of each column is spread over those that are not rounded yet:
E. Frantar et al., "GPTQ", ICLR 2023, equations 2 to 4, which round in any order; here those first
that meet the greatest inputs. Scales stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import onnx

from quaver.quantize.data import Feed
from quaver.quantize.engine import Observer, chunks
from quaver.quantize.net import Array, Net, attribute
from quaver.quantize.products import Products
from quaver.quantize.ranges import Affine, through_bytes
from quaver.quantize.weights import Weight

_MOST_INPUTS = 2560  # of an output: H takes their square
_ROWS, _LEAST_ROWS = 8, 16384  # for each input of an output that are looked at, and in all
_DAMPING = 0.1  # of H's mean diagonal: less fits the samples at the cost of rare inputs
_CHUNK_BYTES = 32 << 20  # of H of several products
_BLOCK = 64  # columns, whose errors go together into those after them


class Rounded(NamedTuple):
    """A weight for the inputs that it meets, beside one whose numbers are rounded by themselves."""

    node: str
    weight: Weight
    before: float
    """The squared error of what the node makes, on half of the samples."""
    after: float
    """The same, of a weight rounded for the other half alone."""


def rounded(
    net: Net,
    products: Products,
    feeds: Sequence[Feed],
    inputs: Mapping[str, Affine],
    engine: str,
) -> Iterator[Rounded]:
    """Round weights for their inputs.

    Parameters
    ----------
    net
        The float model.
    products
        The weights; those of products too large are left out.
    feeds
        Some samples; whether it pays half of them judge, for the other half.
    inputs
        How the tensors are stored that are bytes.
    engine
        What runs the float model.
    """
    nodes = [products.nodes[name] for name in products.weights]
    fit = [node for node in nodes if _inputs(net, node) <= _MOST_INPUTS]

    def nbytes(node: onnx.NodeProto) -> int:
        return 8 * int(attribute(node, "group", 1)) * _inputs(net, node) ** 2

    for chunk in chunks(fit, nbytes, _CHUNK_BYTES):
        half = hessians(net, chunk, feeds[::2], inputs, engine)
        other = hessians(net, chunk, feeds[1::2] or feeds, inputs, engine)
        for name, hessian in half.items():
            node, weight = products.nodes[name], products.weights[name]
            exact, judge = net.weights[node.input[1]], other[name]
            tried = round_weight(node, exact, weight, hessian)
            before, after = (_error(node, exact, w, judge) for w in (weight, tried))
            pays = after < before
            made = round_weight(node, exact, weight, hessian + judge) if pays else weight
            yield Rounded(name, made, before, after)


def hessians(
    net: Net,
    nodes: Sequence[onnx.NodeProto],
    feeds: Sequence[Feed],
    inputs: Mapping[str, Affine],
    engine: str,
) -> dict[str, Array]:
    """Sum x·xᵀ over all that products take in.

    Returns
    -------
    dict of NDArray of float64 [groups, inputs of an output, the same]
        By node.
    """
    observer = Observer(net, list(dict.fromkeys(node.input[0] for node in nodes)), engine)
    found: dict[str, Array] = {}
    for feed in feeds:
        for name, array in observer.run(feed):
            stored = through_bytes(array, *inputs[name]) if name in inputs else array
            for node in nodes:
                if node.input[0] == name:
                    most = max(_ROWS * _inputs(net, node), _LEAST_ROWS) // len(feeds) + 1
                    rows = _rows(net, node, stored, most)
                    product = (rows.transpose(0, 2, 1) @ rows).astype(np.float64)
                    found[node.name] = found.get(node.name, 0.0) + product
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
    shape = [-1 if i == weight.axis else 1 for i in range(exact.ndim)]
    steps = exact / np.asarray(weight.scale, np.float64).reshape(shape)
    columns = _columns(node, steps, hessian)
    order = np.argsort(-np.einsum("gii->gi", hessian).sum(axis=0), kind="stable")
    made = np.empty_like(columns)
    made[:, :, order] = _spread(columns[:, :, order], hessian[:, order][:, :, order])
    back = made.reshape(exact.T.shape).T if _is_turned(node) else made.reshape(exact.shape)
    return weight._replace(bytes=np.ascontiguousarray(back).astype(np.int8))


def _columns(node: onnx.NodeProto, array: Array, hessian: Array) -> Array:
    """A weight as [groups, outputs, inputs]."""
    groups, inputs = hessian.shape[:2]
    return (array.T if _is_turned(node) else array).reshape(groups, -1, inputs)


def _error(node: onnx.NodeProto, exact: Array, weight: Weight, hessian: Array) -> float:
    """The squared error of what a node makes of these inputs."""
    error = _columns(node, weight.reals() - exact, hessian)
    return float((error @ hessian * error).sum())


def _spread(columns: Array, hessian: Array) -> Array:
    """Round columns [groups, outputs, inputs] in order; the errors go into those that follow."""
    inputs = columns.shape[2]
    diagonal = np.einsum("gii->gi", hessian)
    damping = _DAMPING * diagonal.mean(axis=1) + 1e-12
    damped = hessian + damping[:, np.newaxis, np.newaxis] * np.eye(inputs)
    # Rows of the inverse's upper factor say what each column's error asks of the others.
    factor = np.linalg.cholesky(np.linalg.inv(damped)).transpose(0, 2, 1)
    left, made = columns.copy(), np.empty_like(columns)
    for first in range(0, inputs, _BLOCK):
        end = min(first + _BLOCK, inputs)
        errors = np.empty_like(left[:, :, first:end])
        for i in range(first, end):
            made[:, :, i] = np.clip(np.rint(left[:, :, i]), -127, 127)
            error = (left[:, :, i] - made[:, :, i]) / factor[:, i, i, np.newaxis]
            left[:, :, i + 1 : end] -= (
                error[:, :, np.newaxis] * factor[:, i, np.newaxis, i + 1 : end]
            )
            errors[:, :, i - first] = error
        left[:, :, end:] -= errors @ factor[:, first:end, end:]
    return made


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


def _rows(net: Net, node: onnx.NodeProto, array: Array, most: int) -> Array:
    """What outputs are made of, float32 [groups, places, inputs]; of places by chance so many."""
    chance = np.random.default_rng(0)
    if node.op_type != "Conv":
        rows = array.reshape(-1, array.shape[-1])
        if len(rows) > most:
            rows = rows[chance.integers(len(rows), size=most)]
        return rows[np.newaxis].astype(np.float32)
    kernel = net.weights[node.input[1]].shape[2:]
    top, left, bottom, right = attribute(node, "pads", [0, 0, 0, 0])
    down, across = attribute(node, "strides", [1, 1])
    spread = attribute(node, "dilations", [1, 1])
    padded = np.pad(array, ((0, 0), (0, 0), (top, bottom), (left, right)))
    window = [(k - 1) * d + 1 for k, d in zip(kernel, spread, strict=True)]
    views = np.lib.stride_tricks.sliding_window_view(padded, window, axis=(2, 3))
    views = views[:, :, ::down, ::across, :: spread[0], :: spread[1]]
    places = np.indices((views.shape[0], *views.shape[2:4])).reshape(3, -1)
    if places.shape[1] > most:
        places = places[:, chance.integers(places.shape[1], size=most)]
    image, y, x = places
    taken = views[image, :, y, x].astype(np.float32)  # [places, channels, kernel]
    group = attribute(node, "group", 1)
    return np.asarray(taken.reshape(len(taken), group, -1).transpose(1, 0, 2))
