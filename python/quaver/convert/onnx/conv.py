"""Convolutions."""

from __future__ import annotations

from quaver.convert.builder import Attributes
from quaver.convert.onnx.layout import (
    Emit,
    channels_first,
    channels_last,
    count_axes,
    pair,
    spatial_axes,
    widened,
    window_attributes,
)
from quaver.convert.onnx.node import Node, handler
from quaver.convert.onnx.volume import conv_transpose_volume, conv_volume


@handler("Conv")
def conv(node: Node) -> None:
    """Convolution of any group."""
    if count_axes(node, 1) == 3:
        conv_volume(node)
        return
    emit_conv(node, (node.input(0), node.input(1), node.optional(2)), 1, node.result)


def emit_conv(
    node: Node,
    operands: tuple[int, int, int | None],
    weight_index: int,
    last: Emit,
    *,
    is_last: bool = False,
) -> int:
    """Emit a convolution of x, weights and bias, channels first, or last where `is_last` says so.

    `weight_index` is the node's input that holds the weights, whose channels come first.
    """
    x, weight, bias = operands
    axes = spatial_axes(node, weight_index)
    if is_last and axes == 1:
        raise node.unsupported("one spatial axis with channels last")
    attrs: Attributes = {"group": node.integer("group", 1), **window_attributes(node, axes)}
    if is_last:
        return last("Conv", x, channels_last(node, weight, axes), bias, **attrs)
    x, weight = channels_last(node, x, axes), channels_last(node, weight, axes)
    return channels_first(node, node.emit("Conv", x, weight, bias, **attrs), axes, last)


@handler("ConvInteger")
def conv_integer(node: Node) -> None:
    """Convolution of integers into int32."""
    axes = spatial_axes(node, 1)
    y = node.emit(
        "ConvInteger",
        channels_last(node, node.input(0), axes),
        channels_last(node, node.input(1), axes),
        node.optional(2),
        node.optional(3),
        group=node.integer("group", 1),
        **window_attributes(node, axes),
    )
    channels_first(node, y, axes, node.result)


@handler("ConvTranspose")
def conv_transpose(node: Node) -> None:
    """Transposed convolution."""
    if count_axes(node, 1) == 3:
        conv_transpose_volume(node)
        return
    axes = spatial_axes(node, 1)
    attrs = window_attributes(node, axes)
    if padding := pair(node, "output_padding", axes, 0):
        attrs["output_padding"] = padding
    if shape := pair(node, "output_shape", axes, 1):
        attrs["output_shape"] = shape[-2:]
    group = node.integer("group", 1)
    y = node.emit(
        "ConvTranspose",
        channels_last(node, node.input(0), axes),
        _transposed_weight(node, axes, group),
        node.optional(2),
        group=group,
        **attrs,
    )
    channels_first(node, y, axes, node.result)


def _transposed_weight(node: Node, axes: int, group: int) -> int:
    """Bring weights [C, O / group, KH, KW] to [O, KH, KW, C / group]."""
    weight = widened(node, node.input(1), axes)
    if group == 1:
        return node.transpose(weight, 1, 2, 3, 0)
    shape = node.shape(1)
    if shape is None or any(size is None for size in shape):
        raise node.unsupported("the shape of grouped weights must be known")
    c, width, *kernel = (int(size or 0) for size in shape)
    if group < 1 or c % group:
        raise node.invalid(f"{c} channels in {group} groups")
    kernel = [1] * (2 - axes) + kernel

    def reshaped(value: int, *to: int) -> int:
        return node.reshape(value, *to)

    weight = reshaped(weight, group, c // group, width, *kernel)
    weight = node.transpose(weight, 0, 2, 3, 4, 1)
    return reshaped(weight, group * width, *kernel, c // group)
