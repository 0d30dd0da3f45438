"""QuantizeLinear and its kin."""

from __future__ import annotations

import numpy as np

from quaver.convert.builder import Attributes
from quaver.convert.onnx.blocks import deferred, dequantized_in_blocks
from quaver.convert.onnx.dtypes import dtype_code, dtype_name
from quaver.convert.onnx.node import MICROSOFT, Node, handler

_QUANTIZED = ("uint8", "int8")


def expect_zero_point(node: Node, index: int, *allowed: str) -> None:
    """Refuse 4- and 16-bit integers and 8-bit floats."""
    dtype = node.scope.dtype(node.input_names[index]) if node.has(index) else None
    if dtype is not None and dtype not in allowed:
        raise node.unsupported(f"it quantizes to {dtype}; Quaver takes {' or '.join(allowed)}")


def _axis(node: Node) -> Attributes:
    if node.integer("block_size"):
        raise node.unsupported(
            "it quantizes in blocks; Quaver takes one scale for a tensor or a channel"
        )
    return {"axis": node.integer("axis", 1)}


@handler("QuantizeLinear")
@handler("QuantizeLinear", domain=MICROSOFT)
def quantize_linear(node: Node) -> None:
    """Reals to integers."""
    expect_zero_point(node, 2, *_QUANTIZED)
    attrs = _axis(node)
    if not node.has(2) and (to := node.integer("output_dtype")):
        dtype = dtype_name(to, f"{node.label}: its result")
        if dtype not in _QUANTIZED:
            raise node.unsupported(f"it quantizes to {dtype}; Quaver takes uint8 or int8")
        attrs["to"] = dtype_code(dtype)
    node.result("QuantizeLinear", node.input(0), node.input(1), node.optional(2), **attrs)


@handler("DequantizeLinear")
@handler("DequantizeLinear", domain=MICROSOFT)
def dequantize_linear(node: Node) -> None:
    """Integers to reals."""
    if (stored := node.scope.stored(node.input_names[0])) is not None and (
        node.integer("block_size") or stored.dtype.name not in (*_QUANTIZED, "int32")
    ):
        axis, block = node.integer("axis", 1), node.integer("block_size")
        if deferred(node, stored, axis, block):
            return
        reals = dequantized_in_blocks(node, stored, axis, block)
        node.result("Identity", node.add_constant("reals", reals))
        return
    expect_zero_point(node, 2, *_QUANTIZED, "int32")
    inputs = [node.input(0), node.input(1), node.optional(2)]
    node.result("DequantizeLinear", *inputs, **_axis(node))
    _note_scalar(node)


def _note_scalar(node: Node) -> None:
    """Let a dequantized scalar pass for a constant: the bounds of a Clip are such."""
    q, scale, zero = node.array(0), node.array(1), node.array(2)
    if q is None or scale is None or q.size != 1 or scale.size != 1:
        return
    if node.has(2) and (zero is None or zero.size != 1):
        return
    offset = 0 if zero is None else int(zero.reshape(()))
    real = np.float32(int(q.reshape(())) - offset) * np.float32(scale.reshape(()))
    node.scope.note_constant(node.outputs[0], np.asarray(real, np.float32).reshape(q.shape))


@handler("DynamicQuantizeLinear")
def dynamic_quantize_linear(node: Node) -> None:
    """Reals to integers by the range they have in this run."""
    node.result("DynamicQuantizeLinear", node.input(0))
