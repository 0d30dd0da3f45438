"""Pooling and batch normalization: what works channel by channel."""

from __future__ import annotations

from quaver.convert.onnx.layout import (
    Emit,
    channels_first,
    channels_last,
    spatial_axes,
    window_attributes,
)
from quaver.convert.onnx.node import Node, handler


@handler("MaxPool")
def max_pool(node: Node) -> None:
    """Maximum over a sliding window."""
    if node.uses_output(1):
        raise node.unsupported("its output Indices is used; only the maxima are computed")
    node.outputs = node.outputs[:1]
    emit_pool(node, node.input(0), node.result)


@handler("AveragePool")
def average_pool(node: Node) -> None:
    """Mean over a sliding window."""
    emit_pool(node, node.input(0), node.result, count_include_pad=node.integer("count_include_pad"))


def emit_pool(
    node: Node, x: int, last: Emit, *, is_last: bool = False, count_include_pad: int | None = None
) -> int:
    """Emit the pool of a value given channels first, or last where `is_last` says so."""
    axes = spatial_axes(node)
    kernel = node.ints("kernel_shape")
    if not kernel:
        raise node.invalid("attribute 'kernel_shape' is missing")
    attrs = window_attributes(node, axes)
    attrs["kernel_shape"] = [1] * (2 - axes) + kernel
    attrs["ceil_mode"] = node.integer("ceil_mode")
    if count_include_pad is not None:
        attrs["count_include_pad"] = count_include_pad
    op = "MaxPool" if count_include_pad is None else "AveragePool"
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


def all_spatial(node: Node) -> list[int]:
    """Return the axes from the third on; two where the rank is not known."""
    shape = node.shape(0)
    return list(range(2, 4 if shape is None else len(shape)))


@handler("BatchNormalization")
def batch_normalization(node: Node) -> None:
    """Normalization by the statistics of the training."""
    if node.integer("training_mode") or any(
        node.uses_output(i) for i in range(1, len(node.outputs))
    ):
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
