"""Sizes that may be known only when the model runs, and what is made of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from quaver.convert.builder import Shape
from quaver.convert.onnx.node import Node


class Dim(NamedTuple):
    """A dimension of a node's first input, times a number and over another."""

    axis: int
    times: int = 1
    over: int = 1


def length(node: Node, value: int, axis: int) -> int:
    """Return a dimension, as a scalar."""
    at = node.add_constant("axis", np.array(axis, np.int64))
    return node.emit("Gather", node.emit("Shape", value), at, axis=0)


def index_range(node: Node, end: int) -> int:
    """Return the numbers from 0 to before a scalar."""
    start, step = (node.add_constant(f"from{i}", np.array(i, np.int64)) for i in (0, 1))
    return node.emit("Range", start, end, step)


def axes(node: Node, *numbers: int) -> int:
    """Return axes as an input."""
    return node.add_constant("axes", np.array(numbers, np.int64))


def shape_of_dims(node: Node, *dims: Dim | int) -> int:
    """Return a shape for Reshape; where more than one of its numbers is open, from that of x."""
    known = [_known(node.shape(0), dim) for dim in dims]
    if known.count(None) <= 1:
        return node.add_constant("shape", np.array([-1 if n is None else n for n in known]))
    shape = node.emit("Shape", node.input(0))
    return node.emit("Concat", *(_emitted(node, shape, dim) for dim in dims), axis=0)


def _known(shape: Shape | None, dim: Dim | int) -> int | None:
    if isinstance(dim, int):
        return dim
    size = None if shape is None else shape[dim.axis]
    return size * dim.times // dim.over if isinstance(size, int) else None


def _emitted(node: Node, shape: int, dim: Dim | int) -> int:
    if isinstance(dim, int):
        return axes(node, dim)
    value = node.emit("Gather", shape, axes(node, dim.axis), axis=0)
    for op, number in (("Mul", dim.times), ("Div", dim.over)):
        if number != 1:
            value = node.emit(op, value, axes(node, number))
    return value
