"""Quantization by numbers that no kernel takes: of 2 and 4 bits, small floats, and in blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from quaver.stages.host.node import HostNode, host
from quaver.stages.host.strings import saturated


@host("QuantizeLinear")
def quantize_linear(node: HostNode, x: Any, scale: Any, zero: Any = None) -> Any:
    """Reals in steps of a scale, around a zero point."""
    if zero is not None:
        dtype = np.asarray(zero).dtype
    else:
        dtype = node.dtype_of(node.get("output_dtype") or 2)  # uint8
    steps = x.astype(np.float32) / _spread(node, x, scale)
    middle = 0 if zero is None else _spread(node, x, zero)
    if not dtype.name.lstrip("u").startswith("int"):
        steps = steps + middle
        return saturated(steps, dtype) if node.get("saturate", 1) else steps.astype(dtype)
    low, high = _ends(dtype)
    return np.clip(np.rint(steps) + middle, low, high).astype(dtype)


@host("DequantizeLinear")
def dequantize_linear(node: HostNode, x: Any, scale: Any, zero: Any = None) -> Any:
    """Numbers back to reals."""
    middle = 0 if zero is None else _spread(node, x, zero)
    reals = (x.astype(np.float32) - middle) * _spread(node, x, scale)
    to = node.get("output_dtype")
    return reals.astype(node.dtype_of(to) if to else np.asarray(scale).dtype)


def _spread(node: HostNode, x: Any, parameters: Any) -> Any:
    """Scales or zero points as float32 that broadcast to x: one, one an index, or one a block."""
    reals, axis = np.asarray(parameters).astype(np.float32), node.get("axis", 1)
    if block := node.get("block_size", 0):
        return np.take(np.repeat(reals, block, axis), range(x.shape[axis]), axis)
    if reals.size == 1:
        return reals.reshape(())
    return reals.reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])


def _ends(dtype: np.dtype[Any]) -> tuple[int, int]:
    """The least and the greatest number of so many bits."""
    signed, bits = dtype.name.startswith("int"), int(dtype.name.lstrip("u")[3:])
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
