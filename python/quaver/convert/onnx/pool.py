"""Pooling and batch normalization: what works channel by channel."""

from __future__ import annotations

import numpy as np

from quaver.convert.builder import Attribute, Attributes
from quaver.convert.onnx.layout import (
    Emit,
    channels_first,
    channels_last,
    spatial_axes,
    window_attributes,
)
from quaver.convert.onnx.linear import scalar
from quaver.convert.onnx.node import MICROSOFT, Node, handler


@handler("MaxPool")
def max_pool(node: Node) -> None:
    """Maximum over a sliding window, and where it lies in x."""
    names = node.outputs
    if node.uses_output(1):
        node.outputs = names[1:]
        indices = _pool(node, "MaxPoolIndices", node.input(0), node.emit)
        if node.integer("storage_order"):
            indices = _columns_first(node, indices)
        node.pass_on(indices)
    node.outputs = names[:1]
    _pool(node, "MaxPool", node.input(0), node.result)


@handler("NhwcMaxPool", domain=MICROSOFT)
def channels_last_max_pool(node: Node) -> None:
    """Maximum over a sliding window, channels last."""
    emit_pool(node, "MaxPool", node.input(0), node.result, is_last=True)


def _columns_first(node: Node, indices: int) -> int:
    """Number the elements of each plane, or volume, by columns instead of rows."""
    shape = node.shape(0)
    if shape is None or None in shape[2:]:
        raise node.unsupported("the sizes of its spatial axes must be known")
    sizes = [int(size or 0) for size in shape[2:]]

    def number(name: str, value: int) -> int:
        return node.add_constant(name, np.array(value, np.int64))

    plane = number("plane", int(np.prod(sizes)))
    total = node.emit("Mul", node.emit("Div", indices, plane), plane)
    within = node.emit("Mod", indices, plane)
    step = int(np.prod(sizes))
    for axis in reversed(range(len(sizes))):
        size = number(f"size{axis}", sizes[axis])
        step //= sizes[axis]
        at = node.emit("Mul", node.emit("Mod", within, size), number(f"step{axis}", step))
        within = node.emit("Div", within, size)
        total = node.emit("Add", total, at)
    return total


@handler("AveragePool")
def average_pool(node: Node) -> None:
    """Mean over a sliding window."""
    counted: Attributes = {"count_include_pad": node.integer("count_include_pad")}
    _pool(node, "AveragePool", node.input(0), node.result, counted)


@handler("LpPool")
def lp_pool(node: Node) -> None:
    """p-th root of the sum of p-th powers in a sliding window."""
    p = float(node.integer("p", 2))
    power = node.emit("Pow", node.emit("Abs", node.input(0)), scalar(node, "p", p))
    mean = _pool(node, "AveragePool", power, node.emit, {"count_include_pad": 1})
    total = node.emit("Mul", mean, scalar(node, "size", float(np.prod(node.ints("kernel_shape")))))
    node.result("Pow", total, scalar(node, "root", 1 / p))


def _pool(node: Node, op: str, x: int, last: Emit, more: Attributes | None = None) -> int:
    """Emit a pool over any number of spatial axes, channels first.

    Maxima and means of a window are those of its planes first, then of its depth: three axes are
    two and then one. Neither mixes channels, so that depth may lie among them.
    """
    kernel, shape = node.ints("kernel_shape"), node.shape(0)
    if len(kernel) != 3:
        return emit_pool(node, op, x, last, more)
    if shape is None or None in shape[1:]:
        raise node.unsupported("the sizes of its three spatial axes must be known")
    c, d, h, w = (int(size or 0) for size in shape[1:])
    attrs = {**window_attributes(node, 3), "kernel_shape": kernel, **(more or {})}

    def part(op: str, value: int, axes: list[int], to: list[int]) -> int:
        value = node.reshape(value, *to)
        own = {name: _of_axes(given, axes) for name, given in attrs.items()}
        own["ceil_mode"] = node.integer("ceil_mode")
        return channels_first(node, node.emit(op, channels_last(node, value), **own), 2, node.emit)

    by_planes, by_depth = [0, c * d, h, w], [0, c, d, -1]
    planes = part("MaxPool" if op == "MaxPoolIndices" else op, x, [1, 2], by_planes)
    kept = node.emit("Shape", planes, start=2)
    deep = part(op, planes, [0], by_depth)
    sizes = node.emit("Shape", deep, end=3)
    if op == "MaxPoolIndices":  # which plane's maximum it is, and where that one lies
        places = node.reshape(part(op, x, [1, 2], by_planes), -1)
        deep = node.emit("Gather", places, deep, axis=0)
    return last("Reshape", deep, node.emit("Concat", sizes, kept, axis=0))


def _of_axes(given: Attribute, axes: list[int]) -> Attribute:
    """Return what a window attribute of three axes says of some; one axis is two with 1 behind."""
    if not isinstance(given, list):
        return given
    ends = len(given) == 6
    picked = [int(given[axis]) for axis in axes] + ([0 if ends else 1] if len(axes) == 1 else [])
    if not ends:
        return picked
    after = [int(given[axis + 3]) for axis in axes] + ([0] if len(axes) == 1 else [])
    return picked + after


def emit_pool(
    node: Node,
    op: str,
    x: int,
    last: Emit,
    more: Attributes | None = None,
    *,
    is_last: bool = False,
) -> int:
    """Emit the pool of a value given channels first, or last where `is_last` says so."""
    axes = spatial_axes(node)
    kernel = node.ints("kernel_shape")
    if not kernel:
        raise node.invalid("attribute 'kernel_shape' is missing")
    attrs = window_attributes(node, axes)
    attrs["kernel_shape"] = [1] * (2 - axes) + kernel
    attrs["ceil_mode"] = node.integer("ceil_mode")
    attrs |= more or {}
    if is_last and axes == 2:
        return last(op, x, **attrs)
    if is_last:
        raise node.unsupported("one spatial axis with channels last")
    return channels_first(node, node.emit(op, channels_last(node, x, axes), **attrs), axes, last)


@handler("GlobalAveragePool")
def global_average_pool(node: Node) -> None:
    """Mean over all spatial axes."""
    node.result("ReduceMean", node.input(0), axes=all_spatial(node), keepdims=1)


@handler("GlobalMaxPool")
def global_max_pool(node: Node) -> None:
    """Maximum over all spatial axes."""
    node.result("ReduceMax", node.input(0), axes=all_spatial(node), keepdims=1)


@handler("GlobalLpPool")
def global_lp_pool(node: Node) -> None:
    """p-th root of the sum of p-th powers over all spatial axes."""
    p, axes = node.integer("p", 2), all_spatial(node)
    if p in (1, 2):
        node.result(f"ReduceL{p}", node.input(0), axes=axes, keepdims=1)
        return
    power = node.emit("Pow", node.emit("Abs", node.input(0)), scalar(node, "p", float(p)))
    total = node.emit("ReduceSum", power, axes=axes, keepdims=1)
    node.result("Pow", total, scalar(node, "root", 1 / p))


def all_spatial(node: Node) -> list[int]:
    """Return the axes from the third on; two where the rank is not known."""
    shape = node.shape(0)
    return list(range(2, 4 if shape is None else len(shape)))


@handler("BatchNormalization")
def batch_normalization(node: Node) -> None:
    """Normalization by the statistics of the training, or, while training, of the batch."""
    if node.integer("training_mode"):
        _normalize_by_batch(node)
        return
    if any(node.uses_output(i) for i in range(1, len(node.outputs))):
        raise node.unsupported("it is in training mode; export the model for inference")
    node.outputs = node.outputs[:1]
    shape = node.shape(0)
    if shape is None:
        raise node.unsupported("the rank of its input is not known")
    rank = len(shape)
    parameters = [node.input(i) for i in range(1, 5)]
    x, epsilon = node.input(0), node.real("epsilon", 1e-5)
    if rank <= 2:
        node.result("BatchNormalization", x, *parameters, epsilon=epsilon)
        return
    x = node.transpose(x, 0, *range(2, rank), 1)
    y = node.emit("BatchNormalization", x, *parameters, epsilon=epsilon)
    node.result("Transpose", y, perm=[0, rank - 1, *range(1, rank - 1)])


def _normalize_by_batch(node: Node) -> None:
    shape = node.shape(0)
    if shape is None:
        raise node.unsupported("the rank of its input is not known")
    x, momentum = node.input(0), node.real("momentum", 0.9)
    axes = [0, *range(2, len(shape))]

    def mean_of(value: int) -> int:
        return node.emit("ReduceMean", value, axes=axes, keepdims=1)

    def per_channel(value: int) -> int:  # [C] as [1, C, 1, …]
        return node.reshape(value, 1, -1, *[1] * (len(shape) - 2))

    def moved(old: int, new: int, name: str) -> int:
        old = node.emit("Mul", old, scalar(node, f"{name}_kept", momentum))
        part = scalar(node, f"{name}_part", 1 - momentum)
        return node.emit("Add", old, node.emit("Mul", node.reshape(new, -1), part))

    mean = mean_of(x)
    centred = node.emit("Sub", x, mean)
    variance = mean_of(node.emit("Mul", centred, centred))
    epsilon = scalar(node, "epsilon", node.real("epsilon", 1e-5))
    deviation = node.emit("Sqrt", node.emit("Add", variance, epsilon))
    y = node.emit("Mul", node.emit("Div", centred, deviation), per_channel(node.input(1)))
    y = node.emit("Add", y, per_channel(node.input(2)))
    running = (moved(node.input(3), mean, "mean"), moved(node.input(4), variance, "var"))
    node.bind_outputs(*(y, *running)[: len(node.outputs)])
