"""Convolution and transposed convolution over three spatial axes, as sums of those over two.

A slice of the kernel along depth meets every depth it lies over at once: depths join the batch.
"""

from __future__ import annotations

import numpy as np

from quaver.convert.builder import Attributes
from quaver.convert.onnx.layout import per_axis, window_attributes
from quaver.convert.onnx.node import Node


def conv_volume(node: Node) -> None:
    """Convolve [N, C, D, H, W] with weights [O, C / group, KD, KH, KW]."""
    channels, *sides = _known(node, 0, 1)
    columns, _, *kernel = _known(node, 1, 0)
    strides, dilations, spans = _window(node, sides, kernel)
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


def conv_transpose_volume(node: Node) -> None:
    """Transposed convolution of [N, C, D, H, W] with weights [C, O / group, KD, KH, KW].

    Every stride-th depth of the result meets the same slices of the kernel, each at a run of depths
    of the input: they are computed together, and put between those of the other phases.
    """
    channels, *sides = _known(node, 0, 1)
    _, width, *kernel = _known(node, 1, 0)
    group = node.integer("group", 1)
    strides, dilations, spans = _window(node, sides, kernel)
    if group < 1 or channels % group:
        raise node.invalid(f"{channels} channels in {group} groups")
    fronts, sizes = _transposed_sizes(node, sides, spans, strides)
    stride, depth, columns = strides[0], sides[0], group * width
    length = -(-sizes[0] // stride)
    phases = [
        [
            (k, (phase + fronts[0] - k * dilations[0]) // stride)
            for k in range(kernel[0])
            if (phase + fronts[0] - k * dilations[0]) % stride == 0
        ]
        or [(0, depth)]  # no slice reaches them: what a slice makes of the zeros behind
        for phase in range(min(stride, sizes[0]))
    ]
    starts = [start for taps in phases for _, start in taps]
    before, after = max(0, -min(starts)), max(0, max(starts) + length - depth)
    x = node.transpose(node.input(0), 0, 2, 3, 4, 1)
    if before or after:
        pads = [0, before, 0, 0, 0, 0, after, 0, 0, 0]
        x = node.emit("Pad", x, node.add_constant("pads", np.array(pads, np.int64)))
    attrs = _of_planes(node)
    made = []
    for taps in phases:
        total = None
        for k, start in taps:
            part = _slice(node, x, 1, range(before + start, before + start + length))
            planes = node.reshape(part, -1, *sides[1:], channels)
            weights = _slice(node, node.input(1), 2, range(k, k + 1))
            weights = node.reshape(weights, group, channels // group, width, *kernel[1:])
            weights = node.transpose(weights, 0, 2, 3, 4, 1)
            weights = node.reshape(weights, columns, *kernel[1:], channels // group)
            bias = node.optional(2) if total is None else None
            y = node.emit("ConvTranspose", planes, weights, bias, **attrs)
            total = y if total is None else node.emit("Add", total, y)
        assert total is not None
        made.append(node.reshape(total, -1, length, 1, *sizes[1:], columns))
    y = node.emit("Concat", *made, axis=2) if len(made) > 1 else made[0]
    y = node.reshape(y, -1, length * len(made), *sizes[1:], columns)
    if length * len(made) != sizes[0]:
        y = _slice(node, y, 1, range(sizes[0]))
    node.result("Transpose", y, perm=[0, 4, 1, 2, 3])


def _of_planes(node: Node) -> Attributes:
    """Return what a transposed convolution over three axes says of the last two."""
    attrs = window_attributes(node, 3)
    for name in ("output_padding", "output_shape"):
        if values := per_axis(node, name, 3):
            attrs[name] = values
    planes: Attributes = {"group": node.integer("group", 1)}
    for name, given in attrs.items():
        if isinstance(given, list):
            planes[name] = [*given[1:3], *given[4:]]
        else:
            planes[name] = given
    return planes


def _transposed_sizes(
    node: Node, sides: list[int], spans: list[int], strides: list[int]
) -> tuple[list[int], list[int]]:
    """Return how much is cut before each axis, and what is left of it."""
    mode = node.string("auto_pad", "NOTSET")
    pads = (per_axis(node, "pads", 6) if mode == "NOTSET" else []) or [0] * 6
    added = per_axis(node, "output_padding", 3) or [0, 0, 0]
    wanted = per_axis(node, "output_shape", 3)
    if not wanted and mode.startswith("SAME"):
        wanted = [side * stride for side, stride in zip(sides, strides, strict=True)]
    fulls = [
        (side - 1) * stride + span + more
        for side, stride, span, more in zip(sides, strides, spans, added, strict=True)
    ]
    if not wanted:
        sizes = [full - pads[i] - pads[i + 3] for i, full in enumerate(fulls)]
        if min(sizes) < 1:
            raise node.invalid(f"the pads {pads} leave nothing of {fulls} positions")
        return pads[:3], sizes
    cuts = [max(full - want, 0) for full, want in zip(fulls, wanted, strict=True)]
    return [cut // 2 if mode == "SAME_UPPER" else cut - cut // 2 for cut in cuts], wanted


def _known(node: Node, index: int, first: int) -> list[int]:
    """The dimensions of an input from the `first` on."""
    shape = node.shape(index)
    known = [] if shape is None else [int(d) for d in shape[first:] if d is not None]
    if shape is None or len(known) != len(shape) - first:
        raise node.unsupported("the sizes of its three spatial axes must be known")
    return known


def _window(
    node: Node, sides: list[int], kernel: list[int]
) -> tuple[list[int], list[int], list[int]]:
    """Strides, dilations and how far the window reaches, for each axis."""
    if len(sides) != 3 or len(kernel) != 3:
        raise node.invalid(f"{len(sides)} spatial axes of x, {len(kernel)} of the weights")
    strides, dilations = (per_axis(node, n, 3) or [1, 1, 1] for n in ("strides", "dilations"))
    if min(*strides, *dilations) < 1:
        raise node.invalid(f"strides {strides} and dilations {dilations} must be positive")
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    return strides, dilations, spans


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
