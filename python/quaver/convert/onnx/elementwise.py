"""Arithmetic and activations."""

from __future__ import annotations

from quaver.convert.builder import Attributes
from quaver.convert.onnx.node import Node, handler


@handler("Add", "Sub", "Mul", "Div", "PRelu")
def binary(node: Node) -> None:
    """Two inputs that broadcast."""
    node.result(node.op, node.input(0), node.input(1))


@handler("Sigmoid", "Tanh", "Exp", "Sqrt", "Abs", "Neg", "Erf", "HardSwish")
def unary(node: Node) -> None:
    """One input, no attributes."""
    node.result(node.op, node.input(0))


@handler("Relu")
def relu(node: Node) -> None:
    """A clip from below."""
    node.result("Clip", node.input(0), lo=0.0)


@handler("Clip")
def clip(node: Node) -> None:
    """A clip to constant bounds, given as inputs (attributes before opset 11)."""
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


@handler("LeakyRelu")
def leaky_relu(node: Node) -> None:
    """A smaller slope below zero."""
    node.result("LeakyRelu", node.input(0), alpha=node.real("alpha", 0.01))


@handler("HardSigmoid")
def hard_sigmoid(node: Node) -> None:
    """max(0, min(1, alpha · x + beta))."""
    alpha, beta = node.real("alpha", 0.2), node.real("beta", 0.5)
    node.result("HardSigmoid", node.input(0), alpha=alpha, beta=beta)


@handler("Softmax")
def softmax(node: Node) -> None:
    """Softmax along one axis."""
    node.result("Softmax", node.input(0), axis=node.integer("axis", -1))
