"""QuantizeLinear and its kin."""

from __future__ import annotations

import numpy as np

from quaver.convert.builder import Attributes
from quaver.convert.onnx.blocks import deferred, dequantized_in_blocks
from quaver.convert.onnx.dtypes import dtype_code, dtype_name, known_dtype
from quaver.convert.onnx.node import MICROSOFT, Node, handler
from quaver.convert.onnx.sizes import axes

_QUANTIZED = ("uint8", "int8")


def expect_zero_point(node: Node, index: int, *allowed: str) -> None:
    """Refuse other integers and 8-bit floats."""
    dtype = node.scope.dtype(node.input_names[index]) if node.has(index) else None
    if dtype is not None and dtype not in allowed:
        raise node.unsupported(f"it quantizes to {dtype}; Quaver takes {' or '.join(allowed)}")


def _wide(node: Node, index: int) -> str | None:
    """Return the type of numbers of 16 bits, which no kernel computes with."""
    dtype = node.scope.dtype(node.input_names[index]) if node.has(index) else None
    if index == 2 and not node.has(2) and (to := node.integer("output_dtype")):
        dtype = known_dtype(to)
    return dtype if dtype in ("uint16", "int16") else None


def _parameters(node: Node) -> list[int | None]:
    """Scale and zero point, beside an input of which they may belong to an axis."""
    shapes, axis = [node.shape(i) for i in range(3)], node.integer("axis", 1)
    values = [node.input(1), node.optional(2)]
    if shapes[1] is None or shapes[0] is None:
        raise node.unsupported("the ranks of its inputs are not known")
    behind = len(shapes[0]) - 1 - axis % max(len(shapes[0]), 1)
    if len(shapes[1]) == 1 and shapes[1] != [1] and behind:
        spread = axes(node, *range(1, 1 + behind))
        return [None if v is None else node.emit("Unsqueeze", v, spread) for v in values]
    return values


def _quantized_wide(node: Node, dtype: str) -> None:
    scale, zero = _parameters(node)
    y = node.emit("Round", node.emit("Div", node.input(0), scale))
    if zero is not None:
        y = node.emit("Add", y, node.emit("Cast", zero, to=dtype_code("float32")))
    ends = np.iinfo(dtype)
    y = node.emit("Clip", y, lo=float(ends.min), hi=float(ends.max))
    node.result("Cast", y, to=dtype_code(dtype))


def _dequantized_wide(node: Node) -> None:
    scale, zero = _parameters(node)
    real = dtype_code("float32")
    y = node.emit("Cast", node.input(0), to=real)
    if zero is not None:
        y = node.emit("Sub", y, node.emit("Cast", zero, to=real))
    node.result("Mul", y, scale)


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
    if (wide := _wide(node, 2)) and not node.integer("block_size"):
        _quantized_wide(node, wide)
        return
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
    if _wide(node, 0) and not node.integer("block_size"):
        _dequantized_wide(node)
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
