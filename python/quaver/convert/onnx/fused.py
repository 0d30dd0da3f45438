"""Operators of com.microsoft that exporters and ONNX Runtime's optimizer put in the place of many.

They are taken apart again: what is worth fusing, the passes fuse.
"""

from __future__ import annotations

from quaver.convert.builder import Attributes
from quaver.convert.onnx.conv import emit_conv
from quaver.convert.onnx.linear import gemm, scalar
from quaver.convert.onnx.node import MICROSOFT, Node, handler

_ACTIVATIONS: dict[str, tuple[str, tuple[str, ...]]] = {  # operator, names of its parameters
    "Relu": ("Clip", ()),
    "Tanh": ("Tanh", ()),
    "Sigmoid": ("Sigmoid", ()),
    "LeakyRelu": ("LeakyRelu", ("alpha",)),
    "Clip": ("Clip", ("lo", "hi")),
    "HardSigmoid": ("HardSigmoid", ("alpha", "beta")),
}


def _activated(node: Node, value: int) -> int:
    """Return a value after the node's attribute `activation`."""
    name = node.string("activation")
    if not name:
        return value
    if name not in _ACTIVATIONS:
        raise node.unsupported(f"its activation is {name}")
    op, parameters = _ACTIVATIONS[name]
    given = node.floats("activation_params")
    attrs: Attributes = dict(zip(parameters, given, strict=False))
    if name == "Relu":
        attrs = {"lo": 0.0}
    return node.emit(op, value, **attrs)


@handler("FusedConv", domain=MICROSOFT)
def fused_conv(node: Node) -> None:
    """A convolution, a sum, an activation."""
    operands = (node.input(0), node.input(1), node.optional(2))
    y = emit_conv(node, operands, 1, node.emit)
    if (z := node.optional(3)) is not None:
        y = node.emit("Add", y, z)
    node.pass_on(_activated(node, y))


@handler("FusedGemm", domain=MICROSOFT)
def fused_gemm(node: Node) -> None:
    """A product of matrices with a bias, an activation."""
    names = node.outputs
    node.outputs = [f"{names[0]}/gemm"]
    gemm(node)
    y = node.scope.value(node.outputs[0], node.label)
    node.outputs = names
    node.pass_on(_activated(node, y))


@handler("FusedMatMul", "TransposeMatMul", domain=MICROSOFT)
def fused_matmul(node: Node) -> None:
    """A product of matrices that may be transposed, times alpha."""
    operands = [_turned(node, i, name) for i, name in enumerate(("A", "B"))]
    y = node.emit("MatMul", *operands)
    alpha = node.real("alpha", 1.0)
    node.pass_on(y if alpha == 1.0 else node.emit("Mul", y, scalar(node, "alpha", alpha)))


def _turned(node: Node, index: int, name: str) -> int:
    """Return an operand whose rows may come before its batches, and whose axes then may trade."""
    value, shape = node.input(index), node.shape(index)
    batches_last, turns = node.integer(f"transBatch{name}"), node.integer(f"trans{name}")
    if not (batches_last or turns):
        return value
    if shape is None or len(shape) < 2:
        raise node.unsupported(f"the rank of its input {index} is not known")
    axes = list(range(len(shape)))
    if batches_last:
        axes = [*axes[1:-1], 0, axes[-1]]
    if turns:
        axes = [*axes[:-2], axes[-1], axes[-2]]
    return node.transpose(value, *axes)


@handler("BiasGelu", "FastGelu", domain=MICROSOFT)
def bias_gelu(node: Node) -> None:
    """The function gelu of x + bias, fast by a hyperbolic tangent."""
    x, bias = node.input(0), node.optional(1)
    if bias is not None:
        x = node.emit("Add", x, bias)
    node.result("Gelu", x, approximate="tanh" if node.op == "FastGelu" else "none")


def _normalized(node: Node, x: int, gamma: int, beta: int | None, *, centred: bool) -> int:
    """Brought to mean 0 (if `centred`) and variance 1 along the last axis, scaled and moved."""
    if centred:
        x = node.emit("Sub", x, node.emit("ReduceMean", x, axes=[-1], keepdims=1))
    square = node.emit("ReduceMean", node.emit("Mul", x, x), axes=[-1], keepdims=1)
    epsilon = scalar(node, "epsilon", node.real("epsilon", 1e-12 if centred else 1e-5))
    y = node.emit("Div", x, node.emit("Sqrt", node.emit("Add", square, epsilon)))
    y = node.emit("Mul", y, gamma)
    return y if beta is None else node.emit("Add", y, beta)


@handler("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", domain=MICROSOFT)
def skip_layer_normalization(node: Node) -> None:
    """A sum normalized; the sum itself is the fourth output."""
    simple = node.op.startswith("SkipSimplified")
    beta, bias = (None, node.optional(3)) if simple else (node.optional(3), node.optional(4))
    if any(node.uses_output(i) for i in (1, 2)):
        raise node.unsupported("its mean or variance is used")
    total = node.emit("Add", node.input(0), node.input(1))
    if bias is not None:
        total = node.emit("Add", total, bias)
    y = _normalized(node, total, node.input(2), beta, centred=not simple)
    outputs = node.outputs
    node.outputs = [outputs[0], *outputs[3:4]]
    node.bind_outputs(y, total)


@handler("SimplifiedLayerNormalization")
def simplified_layer_normalization(node: Node) -> None:
    """Divided by the root of the mean square along the last axis, and scaled."""
    shape, axis = node.shape(0), node.integer("axis", -1)
    if axis != -1 and (shape is None or axis != len(shape) - 1):
        raise node.unsupported(f"it normalizes all axes from {axis} on")
    if node.uses_output(1):
        raise node.unsupported("its second output is used")
    node.outputs = node.outputs[:1]
    node.pass_on(_normalized(node, node.input(0), node.input(1), None, centred=False))


@handler("MatMulIntegerToFloat", domain=MICROSOFT)
def matmul_integer_to_float(node: Node) -> None:
    """A product of integers with both scales, and a bias."""
    product = node.emit(
        "MatMulInteger", node.input(0), node.input(1), node.optional(4), node.optional(5)
    )
    scale = node.emit("Mul", node.input(2), node.input(3))
    _scaled(node, product, scale, 6)


@handler("DynamicQuantizeMatMul", domain=MICROSOFT)
def dynamic_quantize_matmul(node: Node) -> None:
    """A product with weights of integers, for which x is quantized by its own range."""
    names = [f"{node.outputs[0]}/{part}" for part in ("x", "scale", "zero")]
    x, scale, zero = node.emit_all("DynamicQuantizeLinear", node.input(0), names=names)
    product = node.emit("MatMulInteger", x, node.input(1), zero, node.optional(3))
    _scaled(node, product, node.emit("Mul", scale, node.input(2)), 4)


def _scaled(node: Node, product: int, scale: int, bias: int) -> None:
    y = node.emit("Mul", node.emit("Cast", product, to=0), scale)  # 0: float32
    added = node.optional(bias)
    node.pass_on(y if added is None else node.emit("Add", y, added))


@handler("CDist", domain=MICROSOFT)
def distances(node: Node) -> None:
    """Distances of each row of one matrix from each of another: a² − 2 a·b + b²."""
    a, b = node.input(0), node.input(1)

    def squares(x: int) -> int:
        return node.emit("ReduceSum", node.emit("Mul", x, x), axes=[1], keepdims=1)

    product = node.emit("MatMul", a, node.transpose(b, 1, 0))
    twice = node.emit("Mul", product, scalar(node, "two", 2.0))
    sums = node.emit("Add", squares(a), node.transpose(squares(b), 1, 0))
    positive = node.emit("Max", node.emit("Sub", sums, twice), scalar(node, "zero", 0.0))
    if node.string("metric", "sqeuclidean") == "sqeuclidean":
        node.pass_on(positive)
    else:
        node.result("Sqrt", positive)
