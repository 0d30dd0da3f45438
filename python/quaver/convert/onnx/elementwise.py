"""Arithmetic and activations."""

from __future__ import annotations

import numpy as np

from quaver.convert.builder import Attributes
from quaver.convert.onnx.dtypes import dtype_code
from quaver.convert.onnx.node import MICROSOFT, Node, handler
from quaver.convert.onnx.sizes import axes

_REALS = {  # operators with attributes of their own names, and what these are by default
    "LeakyRelu": {"alpha": 0.01},
    "HardSigmoid": {"alpha": 0.2, "beta": 0.5},
    "Elu": {"alpha": 1.0},
    "Celu": {"alpha": 1.0},
    "Selu": {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875},
    "ThresholdedRelu": {"alpha": 1.0},
    "Shrink": {"bias": 0.0, "lambd": 0.5},
    "Swish": {"alpha": 1.0},
}


@handler("PRelu")
def prelu(node: Node) -> None:
    """What is negative times a slope."""
    x, slope = node.input(0), node.input(1)
    if np.issubdtype(dtype := node.scope.dtype(node.input_names[0]) or "float32", np.integer):
        low = node.emit("Less", x, node.add_constant("zero", np.zeros((), dtype)))
        node.result("Where", low, node.emit("Mul", x, slope), x)
        return
    node.result("PRelu", x, _by_channel(node, slope))


def _by_channel(node: Node, slope: int) -> int:
    """A slope for each channel, as opsets before 7 had it; ONNX broadcasts from the last axis."""
    x, given = node.shape(0), node.shape(1)
    if x is None or given is None or len(given) != 1 or len(x) < 3 or given[0] in (1, x[-1]):
        return slope
    if given[0] != x[1]:
        return slope
    return node.emit("Unsqueeze", slope, axes(node, *range(1, len(x) - 1)))


@handler("Add", "Sub", "Mul", "Div", "Pow")
def binary(node: Node) -> None:
    """Two inputs that broadcast."""
    node.result(node.op, node.input(0), node.input(1))


@handler("Sigmoid", "Tanh", "Exp", "Sqrt", "Abs", "Neg", "Erf", "HardSwish", "Log", "Reciprocal")
@handler("Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh")
@handler("Ceil", "Floor", "Round", "Sign", "Softplus", "Softsign", "Mish")
def unary(node: Node) -> None:
    """One input, no attributes."""
    node.result(node.op, node.input(0))


@handler(*_REALS)
def parametrized(node: Node) -> None:
    """One input and a few real attributes. Of integers, what the result's reals are cut to."""
    reals = {name: node.real(name, default) for name, default in _REALS[node.op].items()}
    dtype = node.scope.dtype(node.input_names[0]) or "float32"
    if not np.issubdtype(dtype, np.integer):
        node.result(node.op, node.input(0), **reals)
        return
    x = node.emit("Cast", node.input(0), to=dtype_code("float32"))
    node.result("Cast", node.emit(node.op, x, **reals), to=dtype_code(dtype))


@handler("QuickGelu", domain=MICROSOFT)
def quick_gelu(node: Node) -> None:
    """X · sigmoid(alpha · x)."""
    node.result("Swish", node.input(0), alpha=node.real("alpha", 1.702))


@handler("Gelu")
@handler("Gelu", domain=MICROSOFT)
def gelu(node: Node) -> None:
    """X · Φ(x), exactly or by a hyperbolic tangent."""
    node.result("Gelu", node.input(0), approximate=node.string("approximate", "none"))


@handler("Relu")
def relu(node: Node) -> None:
    """A clip from below."""
    node.result("Clip", node.input(0), lo=0.0)


@handler("Clip")
def clip(node: Node) -> None:
    """A clip to bounds, given as inputs (attributes before opset 11)."""
    if any(node.has(index) and node.array(index) is None for index in (1, 2)):
        _clip_to_inputs(node)
        return
    attrs: Attributes = {}
    for index, (attr, old) in enumerate((("lo", "min"), ("hi", "max")), start=1):
        if node.has(index):
            bound = node.constant(index, f"its bound '{old}'")
            if bound.size != 1:
                raise node.invalid(f"its bound '{old}' has shape {list(bound.shape)}")
            attrs[attr] = float(bound.reshape(()))
        elif node.has_attribute(old):
            attrs[attr] = node.real(old)
    node.result("Clip", node.input(0), **attrs)


def _clip_to_inputs(node: Node) -> None:
    x, low, high = node.input(0), node.optional(1), node.optional(2)
    if low is not None and high is not None:
        node.result("Min", node.emit("Max", x, low), high)
    elif low is not None:
        node.result("Max", x, low)
    else:
        node.result("Min", x, high)


@handler("Max", "Min", "Sum", "Mean")
def variadic(node: Node) -> None:
    """Any number of inputs that broadcast, two at a time."""
    op = {"Sum": "Add", "Mean": "Add"}.get(node.op, node.op)
    values = [node.input(i) for i in range(len(node.input_names))]
    if not values:
        raise node.invalid("it has no inputs")
    last = node.emit if node.op == "Mean" else node.result
    total = values[0]
    for value in values[1:-1]:
        total = node.emit(op, total, value)
    total = last(op, total, values[-1]) if len(values) > 1 else last("Identity", total)
    if node.op == "Mean":
        dtype = node.scope.dtype(node.input_names[0]) or "float32"
        node.result("Div", total, node.add_constant("count", np.array(len(values), dtype)))


@handler("Softmax")
def softmax(node: Node) -> None:
    """Softmax along one axis."""
    node.result("Softmax", node.input(0), axis=node.integer("axis", -1))
