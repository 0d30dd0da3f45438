"""Operators on quantized tensors (QLinear…): dequantize, compute, quantize.

The passes put the three together again into one integer operator, as they do for models that are
quantized this way to begin with.
"""

from __future__ import annotations

import numpy as np

from quaver.convert.builder import Array, Attributes
from quaver.convert.onnx.conv import emit_conv
from quaver.convert.onnx.dtypes import dtype_code
from quaver.convert.onnx.node import MICROSOFT, Node, handler
from quaver.convert.onnx.pool import all_spatial, emit_pool
from quaver.convert.onnx.quantized import expect_zero_point


def dequantized(node: Node, index: int, axis: int | None = None) -> int:
    """Return the reals of input `index`, whose scale and zero point are the two inputs after it."""
    expect_zero_point(node, index + 2, "uint8", "int8")
    attrs: Attributes = {} if axis is None else {"axis": axis}
    parameters = [_flat(node, index + 1), _flat(node, index + 2)]
    return node.emit("DequantizeLinear", node.input(index), *parameters, **attrs)


def quantize(node: Node, value: int, scale: int, like: int = 2) -> None:
    """Quantize the result by inputs `scale` and the one after, or to the dtype of input `like`."""
    expect_zero_point(node, scale + 1, "uint8", "int8")
    attrs: Attributes = {}
    if not node.has(scale + 1) and node.has(like):
        dtype = node.scope.dtype(node.input_names[like])
        attrs = {} if dtype is None else {"to": dtype_code(dtype)}
    node.result(
        "QuantizeLinear", value, _flat(node, scale, required=True), _flat(node, scale + 1), **attrs
    )


def _flat(node: Node, index: int, *, required: bool = False) -> int | None:
    """Return a scale or zero point, as a vector where it has more dimensions."""
    array = node.array(index)
    if array is not None and array.ndim > 1:
        if array.size != max(array.shape):
            raise node.unsupported(
                f"input {index} has shape {list(array.shape)}; expected a vector"
            )
        return node.add_constant("parameter", array.reshape(-1))
    return node.input(index) if required else node.optional(index)


def dequantized_bias(node: Node, index: int, x_scale: int, w_scale: int, factor: float) -> int:
    """Return the reals of an int32 bias, in steps of the product of two scales."""
    x = node.constant(x_scale, "the scale of its input").astype(np.float32)
    w = node.constant(w_scale, "the scale of its weights").astype(np.float32)
    scale: Array = (x.reshape(-1) * w.reshape(-1) * np.float32(factor)).astype(np.float32)
    value = node.add_constant("bias_scale", scale if scale.size > 1 else scale.reshape(()))
    return node.emit("DequantizeLinear", node.input(index), value, axis=0)


@handler("QLinearConv")
@handler("QLinearConv", domain=MICROSOFT)
def qlinear_conv(node: Node) -> None:
    """x, scale, zero; w, scale, zero; y's scale and zero; bias. Channels may come last."""
    bias = dequantized_bias(node, 8, 1, 4, 1.0) if node.has(8) else None
    x, w = dequantized(node, 0), dequantized(node, 3, axis=0)
    is_last = bool(node.integer("channels_last"))
    quantize(node, emit_conv(node, (x, w, bias), 3, node.emit, is_last=is_last), 6)


@handler("QLinearMatMul")
def qlinear_matmul(node: Node) -> None:
    """a, scale, zero; b, scale, zero; y's scale and zero."""
    if (scale := node.array(1)) is not None and scale.size > 1:
        raise node.unsupported("its first operand has a scale for each row; Quaver takes one")
    a, b = dequantized(node, 0), dequantized(node, 3, axis=-1)
    quantize(node, node.emit("MatMul", a, b), 6)


@handler("QGemm", domain=MICROSOFT)
def qgemm(node: Node) -> None:
    """a, scale, zero; b, scale, zero; int32 c; y's scale and zero, or a float result."""
    alpha, trans_b = node.real("alpha", 1.0), bool(node.integer("transB"))
    a, b = dequantized(node, 0), _scaled_b(node, alpha, 0 if trans_b else 1)
    bias = dequantized_bias(node, 6, 1, 4, alpha) if node.has(6) else None
    a = node.transpose(a, 1, 0) if node.integer("transA") else a
    b = node.transpose(b, 1, 0) if trans_b else b
    shape = node.shape(6)
    is_row = shape is not None and len(shape) == 1
    last = node.emit if node.has(7) else node.result
    if bias is None or is_row:
        y = last("MatMul", a, b, bias)
    else:
        y = last("Add", node.emit("MatMul", a, b), bias)
    if node.has(7):
        quantize(node, y, 7)


def _scaled_b(node: Node, alpha: float, axis: int) -> int:
    """Return alpha · B; alpha goes into B's scale."""
    if alpha == 1.0:
        return dequantized(node, 3, axis)
    scale = node.constant(4, "the scale of its weights").astype(np.float32) * np.float32(alpha)
    value = node.add_constant("alpha_scale", np.asarray(scale, np.float32))
    return node.emit("DequantizeLinear", node.input(3), value, _flat(node, 5), axis=axis)


@handler("QLinearAdd", "QLinearMul", domain=MICROSOFT)
def qlinear_binary(node: Node) -> None:
    """a, scale, zero; b, scale, zero; y's scale and zero."""
    a, b = dequantized(node, 0), dequantized(node, 3)
    quantize(node, node.emit(node.op.removeprefix("QLinear"), a, b), 6)


@handler("QLinearWhere", domain=MICROSOFT)
def qlinear_where(node: Node) -> None:
    """Condition; a, scale, zero; b, scale, zero; y's scale and zero."""
    a, b = dequantized(node, 1), dequantized(node, 4)
    quantize(node, node.emit("Where", node.input(0), a, b), 7, like=3)


@handler("QLinearSigmoid", domain=MICROSOFT)
def qlinear_sigmoid(node: Node) -> None:
    """x, scale, zero; y's scale and zero."""
    quantize(node, node.emit("Sigmoid", dequantized(node, 0)), 3)


@handler("QLinearLeakyRelu", domain=MICROSOFT)
def qlinear_leaky_relu(node: Node) -> None:
    """x, scale, zero; y's scale and zero."""
    y = node.emit("LeakyRelu", dequantized(node, 0), alpha=node.real("alpha", 0.01))
    quantize(node, y, 3)


@handler("QLinearSoftmax", domain=MICROSOFT)
def qlinear_softmax(node: Node) -> None:
    """x, scale, zero; y's scale and zero."""
    axis, shape = node.integer("axis", -1), node.shape(0)
    is_last = axis == -1 or (shape is not None and axis == len(shape) - 1)
    if node.integer("opset", 13) < 13 and not is_last:
        raise node.unsupported(f"softmax over all axes from {axis} on, as before opset 13")
    quantize(node, node.emit("Softmax", dequantized(node, 0), axis=axis), 3)


@handler("QLinearGlobalAveragePool", domain=MICROSOFT)
def qlinear_global_average_pool(node: Node) -> None:
    """x, scale, zero; y's scale and zero."""
    axes = all_spatial(node)
    if node.integer("channels_last"):
        axes = [axis - 1 for axis in axes]
    quantize(node, node.emit("ReduceMean", dequantized(node, 0), axes=axes, keepdims=1), 3)


@handler("QLinearAveragePool", domain=MICROSOFT)
def qlinear_average_pool(node: Node) -> None:
    """x, scale, zero; y's scale and zero."""
    y = emit_pool(
        node,
        "AveragePool",
        dequantized(node, 0),
        node.emit,
        {"count_include_pad": node.integer("count_include_pad")},
        is_last=bool(node.integer("channels_last")),
    )
    quantize(node, y, 3)


@handler("QLinearConcat", domain=MICROSOFT)
def qlinear_concat(node: Node) -> None:
    """Scale and zero of y; then x, scale, zero of each input."""
    if len(node.input_names) < 5 or len(node.input_names) % 3 != 2:
        raise node.invalid(f"{len(node.input_names)} inputs; expected 2 and 3 for each tensor")
    values = [dequantized(node, i) for i in range(2, len(node.input_names), 3)]
    quantize(node, node.emit("Concat", *values, axis=node.integer("axis")), 0, like=4)
