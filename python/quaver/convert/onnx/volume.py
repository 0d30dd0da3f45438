"""Convolution over three spatial axes, as sums of convolutions over two.

A slice of the kernel along depth meets every depth it lies over at once: depths join the batch.
"""

from __future__ import annotations

import numpy as np

from quaver.convert.builder import Attributes
from quaver.convert.onnx.layout import per_axis
from quaver.convert.onnx.node import Node


def conv_volume(node: Node) -> None:
    """Convolve [N, C, D, H, W] with weights [O, C / group, KD, KH, KW]."""
    channels, *sides = _known(node, 0, 1)
    columns, _, *kernel = _known(node, 1, 0)
    if len(sides) != 3 or len(kernel) != 3:
        raise node.invalid(f"{len(sides)} spatial axes of x, {len(kernel)} of the weights")
    strides, dilations = (per_axis(node, n, 3) or [1, 1, 1] for n in ("strides", "dilations"))
    if min(*strides, *dilations) < 1:
        raise node.invalid(f"strides {strides} and dilations {dilations} must be positive")
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    before, after = _padding(node, sides, spans, strides)
    sizes = [
        (side + b + a - span) // stride + 1
        for side, b, a, span, stride in zip(sides, before, after, spans, strides, strict=True)
    ]
    if min(sizes) < 1:
        raise node.invalid(f"a window of {spans} in a volume of {sides}")
    x = node.transpose(node.input(0), 0, 2, 3, 4, 1)
    if before[0] or after[0]:
        pads = [0, before[0], 0, 0, 0, 0, after[0], 0, 0, 0]
        x = node.emit("Pad", x, node.add_constant("pads", np.array(pads, np.int64)))
    attrs: Attributes = {
        "group": node.integer("group", 1),
        "strides": strides[1:],
        "dilations": dilations[1:],
        "pads": [*before[1:], *after[1:]],
    }
    total = None
    for k in range(kernel[0]):
        first = k * dilations[0]
        met = range(first, first + (sizes[0] - 1) * strides[0] + 1, strides[0])
        part = _slice(node, x, 1, met)
        planes = node.reshape(part, -1, *sides[1:], channels)
        bias = node.optional(2) if k == 0 else None
        y = node.emit("Conv", planes, _weights(node, k, columns, kernel), bias, **attrs)
        total = y if total is None else node.emit("Add", total, y)
    assert total is not None
    volume = node.reshape(total, -1, *sizes, columns)
    node.result("Transpose", volume, perm=[0, 4, 1, 2, 3])


def _known(node: Node, index: int, first: int) -> list[int]:
    """The dimensions of an input from the `first` on."""
    shape = node.shape(index)
    known = [] if shape is None else [int(d) for d in shape[first:] if d is not None]
    if shape is None or len(known) != len(shape) - first:
        raise node.unsupported("the sizes of its three spatial axes must be known")
    return known


def _padding(
    node: Node, sides: list[int], spans: list[int], strides: list[int]
) -> tuple[list[int], list[int]]:
    """What is put before and after each axis."""
    mode = node.string("auto_pad", "NOTSET")
    if mode in ("NOTSET", "VALID"):
        pads = (per_axis(node, "pads", 6) if mode == "NOTSET" else []) or [0] * 6
        return pads[:3], pads[3:]
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise node.invalid(f"auto_pad is {mode!r}")
    totals = [
        max((-(-side // stride) - 1) * stride + span - side, 0)
        for side, span, stride in zip(sides, spans, strides, strict=True)
    ]
    less = [total // 2 for total in totals]
    more = [total - half for total, half in zip(totals, less, strict=True)]
    return (less, more) if mode == "SAME_UPPER" else (more, less)


def _weights(node: Node, k: int, columns: int, kernel: list[int]) -> int:
    """The slice at depth k of the weights, [O, KH, KW, C / group]."""
    array = node.array(1)
    if array is not None:
        part = np.ascontiguousarray(array[:, :, k].transpose(0, 2, 3, 1))
        return node.add_constant(f"weights{k}", part)
    plane = node.reshape(_slice(node, node.input(1), 2, range(k, k + 1)), columns, -1, *kernel[1:])
    return node.transpose(plane, 0, 2, 3, 1)


def _slice(node: Node, value: int, axis: int, at: range) -> int:
    bounds = [
        node.add_constant(name, np.array([number], np.int64))
        for name, number in (
            ("start", at.start),
            ("end", at.stop),
            ("axis", axis),
            ("step", at.step),
        )
    ]
    return node.emit("Slice", value, *bounds)
