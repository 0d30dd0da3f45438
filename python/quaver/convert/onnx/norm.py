"""Normalizations that ONNX does not define by other operators."""

from __future__ import annotations

import numpy as np

from quaver.convert.onnx.linear import scalar
from quaver.convert.onnx.node import Node, handler


def _rank(node: Node) -> int:
    shape = node.shape(0)
    if shape is None:
        raise node.unsupported("the rank of its input is not known")
    if len(shape) < 2:
        raise node.invalid(f"an input of rank {len(shape)} has no channels")
    return len(shape)


@handler("InstanceNormalization")
def instance_normalization(node: Node) -> None:
    """Each image and channel brought to mean 0 and variance 1, then scaled and moved."""
    rank = _rank(node)
    pixels = list(range(2, rank))
    x = node.input(0)
    scale, bias = node.input(1), node.input(2)
    if pixels:  # from [C] to [C, 1, …]
        axes = node.add_constant("axes", np.arange(1, rank - 1))
        scale, bias = (node.emit("Unsqueeze", value, axes) for value in (scale, bias))
    centred = node.emit("Sub", x, node.emit("ReduceMean", x, axes=pixels, keepdims=1))
    square = node.emit("Mul", centred, centred)
    variance = node.emit("ReduceMean", square, axes=pixels, keepdims=1)
    epsilon = scalar(node, "epsilon", node.real("epsilon", 1e-5))
    deviation = node.emit("Sqrt", node.emit("Add", variance, epsilon))
    y = node.emit("Mul", node.emit("Div", centred, deviation), scale)
    node.result("Add", y, bias)


@handler("LayerNormalization")
def layer_normalization(node: Node) -> None:
    """Rows brought to mean 0 and variance 1, then scaled and moved."""
    rank = len(node.shape(0) or ())
    if rank == 0:
        raise node.unsupported("the rank of its input is not known")
    axis, epsilon = node.integer("axis", -1), node.real("epsilon", 1e-5)
    x, scale, bias = node.input(0), node.input(1), node.optional(2)
    if len(node.outputs) == 1 or not (node.uses_output(1) or node.uses_output(2)):
        node.outputs = node.outputs[:1]
        node.result("LayerNormalization", x, scale, bias, axis=axis, epsilon=epsilon)
        return
    axes = list(range(axis % rank, rank))
    mean = node.emit("ReduceMean", x, axes=axes, keepdims=1)
    centred = node.emit("Sub", x, mean)
    square = node.emit("Mul", centred, centred)
    variance = node.emit("ReduceMean", square, axes=axes, keepdims=1)
    shifted = node.emit("Add", variance, scalar(node, "epsilon", epsilon))
    inverse = node.emit("Reciprocal", node.emit("Sqrt", shifted))
    y = node.emit("Mul", node.emit("Mul", centred, inverse), scale)
    if bias is not None:
        y = node.emit("Add", y, bias)
    for name, value in zip(node.outputs, (y, mean, inverse), strict=False):
        if name:
            node.scope.bind(name, value)


@handler("LRN")
def local_response_normalization(node: Node) -> None:
    """Each element divided by a power of the squares in a window of channels around it."""
    rank = _rank(node)
    size = node.integer("size")
    if size < 1:
        raise node.invalid(f"size is {size}")
    x = node.input(0)
    pads = [0] * (2 * rank)
    pads[1], pads[rank + 1] = (size - 1) // 2, size // 2
    squares = node.emit("Pad", node.emit("Mul", x, x), node.add_constant("pads", np.array(pads)))
    axis = node.add_constant("axis", np.array([1]))
    total: int | None = None
    for i in range(size):
        last = i - size + 1 or np.iinfo(np.int64).max
        bounds = (
            node.add_constant(f"{name}{i}", np.array([at], np.int64))
            for name, at in (("start", i), ("end", last))
        )
        part = node.emit("Slice", squares, *bounds, axis)
        total = part if total is None else node.emit("Add", total, part)
    alpha = scalar(node, "alpha", node.real("alpha", 1e-4) / size)
    base = node.emit("Mul", total, alpha)
    base = node.emit("Add", base, scalar(node, "bias", node.real("bias", 1.0)))
    power = node.emit("Pow", base, scalar(node, "beta", node.real("beta", 0.75)))
    node.result("Div", x, power)
