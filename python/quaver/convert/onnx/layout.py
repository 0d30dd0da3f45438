"""Spatial operators: ONNX's channels-first tensors around the core's channels-last operators.

One spatial axis is two of which the first is 1; three are taken apart, where that can be, by
`volume` and `pool`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from quaver.convert.builder import Attributes
from quaver.convert.onnx.node import Node

Emit = Callable[..., int]  #: Node.emit or Node.result


def spatial_axes(node: Node, weights: int | None = None) -> int:
    """Return how many spatial axes a node works on: 1 or 2."""
    axes = count_axes(node, weights)
    if axes not in (1, 2):
        raise node.unsupported(f"it has {axes} spatial axes; Quaver takes 1 or 2")
    return axes


def count_axes(node: Node, weights: int | None) -> int:
    """Return how many spatial axes a node says it has."""
    if kernel := node.ints("kernel_shape"):
        return len(kernel)
    for index in (weights, 0):
        shape = None if index is None else node.shape(index)
        if shape is not None:
            return len(shape) - 2
    return len(node.ints("strides")) or 2


def widened(node: Node, value: int, axes: int) -> int:
    """Return a channels-first tensor with two spatial axes."""
    if axes == 2:
        return value
    return node.emit("Unsqueeze", value, node.add_constant("axes", np.array([2], np.int64)))


def channels_last(node: Node, value: int, axes: int = 2) -> int:
    """Return a channels-first tensor, or weights [O, I, KH, KW], with the channels last."""
    return node.transpose(widened(node, value, axes), 0, 2, 3, 1)


def channels_first(node: Node, value: int, axes: int, last: Emit) -> int:
    """Undo `channels_last`; `last` emits the last node of it."""
    if axes == 2:
        return last("Transpose", value, perm=[0, 3, 1, 2])
    value = node.emit("Transpose", value, perm=[0, 3, 1, 2])
    return last("Squeeze", value, node.add_constant("axes", np.array([2], np.int64)))


def window_attributes(node: Node, axes: int) -> Attributes:
    """Return strides, dilations and padding of a convolution or pool; of one axis, for two."""
    attrs: Attributes = {}
    for name in ("strides", "dilations"):
        if values := per_axis(node, name, axes):
            attrs[name] = [1, *values] if axes == 1 else values
    auto_pad = node.string("auto_pad", "NOTSET")
    if auto_pad != "NOTSET":
        attrs["auto_pad"] = auto_pad
    elif pads := per_axis(node, "pads", 2 * axes):
        attrs["pads"] = [0, pads[0], 0, pads[1]] if axes == 1 else pads
    return attrs


def pair(node: Node, name: str, axes: int, missing: int) -> list[int]:
    """Return an attribute of one number for each spatial axis, for two of them; [] if absent."""
    values = per_axis(node, name, axes)
    return values if axes == 2 or not values else [missing, *values]


def per_axis(node: Node, name: str, count: int) -> list[int]:
    """Return an attribute of `count` numbers; [] if absent."""
    values = node.ints(name)
    if values and len(values) != count:
        raise node.invalid(f"{name} has {len(values)} values, expected {count}")
    return values
