"""Weights in s8, symmetric, with a scale per output channel; biases in i32."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import onnx

from quaver.quantize.net import Array, Net, attribute

_SHRINK = np.linspace(1.0, 0.6, 21)
_BIAS_LIMIT = 2.0**30
_SMALLEST = 1e-30


class Weight(NamedTuple):
    """A weight in int8: real = scale · byte, along `axis`; one scale where that is None."""

    bytes: Array
    scale: Array
    axis: int | None

    def reals(self) -> Array:
        """What the bytes stand for."""
        return self.bytes.astype(np.float64) * _along(self.scale, self.bytes.ndim, self.axis)


def channel_axis(net: Net, node: onnx.NodeProto) -> int | None:
    """The axis of a weight's output channels; None where one scale must do."""
    rank = net.weights[node.input[1]].ndim
    match node.op_type:
        case "Conv":
            return 0
        case "ConvTranspose":
            return 1 if attribute(node, "group", 1) == 1 else None
        case "Gemm":
            return 0 if attribute(node, "transB", 0) else 1
        case _:
            return rank - 1 if rank == 2 else None


def quantize_weight(
    weight: Array, axis: int | None, *, search: bool = True, least: Array | None = None
) -> Weight:
    """Bring a weight to int8.

    Parameters
    ----------
    weight
        In float32.
    axis
        Of its output channels.
    search
        Look for the scale of the least squared error, for each channel, from 0.6 of the one that
        cuts nothing; else take that one.
    least
        What scales must be at least, one a channel.
    """
    flat = _rows(weight, axis)
    top = np.abs(flat).max(axis=1, initial=0.0)
    scale = top / 127
    if search:
        best = np.full(len(flat), np.inf)
        for shrink in _SHRINK:
            trial = np.maximum(top * shrink / 127, _SMALLEST)[:, None]
            error = ((np.clip(np.rint(flat / trial), -127, 127) * trial - flat) ** 2).sum(axis=1)
            better = error < best
            scale = np.where(better, trial[:, 0], scale)
            best = np.minimum(best, error)
    scale = np.maximum(scale, _SMALLEST)
    if least is not None:
        scale = np.maximum(scale, least if axis is not None else least.max(initial=0.0))
    # An all-zero channel has bytes of 0 at any scale.
    scale = np.where((top == 0) & (scale < 1e-6), 1e-6, scale).astype(np.float32)
    steps = np.clip(np.rint(weight / _along(scale, weight.ndim, axis)), -127, 127)
    return Weight(steps.astype(np.int8), scale if axis is not None else scale[0], axis)


def least_scale(bias: Array | None, x_scale: float) -> Array | None:
    """What scales of weights must be at least for the bias to fit into i32."""
    return None if bias is None else np.abs(bias.astype(np.float64)) / (x_scale * _BIAS_LIMIT)


def quantize_bias(bias: Array, x_scale: np.float32, scale: Array) -> tuple[Array, Array]:
    """The bias in i32 and its scale, which is that of input · weight."""
    product = np.maximum(np.float32(x_scale) * np.asarray(scale, np.float32), np.float32(1e-37))
    steps = np.rint(bias.astype(np.float64) / product.astype(np.float64))
    return np.clip(steps, -(2**31) + 1, 2**31 - 1).astype(np.int32), product.astype(np.float32)


def _rows(weight: Array, axis: int | None) -> Array:
    wide = weight.astype(np.float64)
    return (
        wide.reshape(1, -1)
        if axis is None
        else np.moveaxis(wide, axis, 0).reshape(weight.shape[axis], -1)
    )


def _along(scale: Array, rank: int, axis: int | None) -> Array:
    if axis is None:
        return np.asarray(scale).reshape([1] * rank)
    return np.asarray(scale).reshape([-1 if i == axis else 1 for i in range(rank)])
