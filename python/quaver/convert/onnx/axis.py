"""Operators along one axis."""

from __future__ import annotations

from quaver.convert.builder import Attributes
from quaver.convert.onnx.node import Node, handler


@handler("ArgMax", "ArgMin")
def arg(node: Node) -> None:
    """Where the largest or smallest element is."""
    attrs: Attributes = {
        "axis": node.integer("axis"),
        "keepdims": node.integer("keepdims", 1),
        "select_last_index": node.integer("select_last_index"),
    }
    node.result(node.op, node.input(0), **attrs)


@handler("TopK")
def top_k(node: Node) -> None:
    """The k largest or smallest elements and where they are."""
    attrs: Attributes = {
        "axis": node.integer("axis", -1),
        "largest": node.integer("largest", 1),
        "sorted": node.integer("sorted", 1),
    }
    node.outputs += [""] * (2 - len(node.outputs))
    node.result("TopK", node.input(0), node.input(1), **attrs)


@handler("LogSoftmax", "Hardmax")
def normalized(node: Node) -> None:
    """Along one axis, the last by default."""
    node.result(node.op, node.input(0), axis=node.integer("axis", -1))


@handler("LpNormalization")
def lp_normalization(node: Node) -> None:
    """Divided by the norm along an axis."""
    node.result(node.op, node.input(0), axis=node.integer("axis", -1), p=node.integer("p", 2))


@handler("CumSum", "CumProd")
def scan(node: Node) -> None:
    """Sums or products of all elements so far, along a constant axis."""
    attrs: Attributes = {
        "axis": int(node.constant(1, "its axis").reshape(())),
        "exclusive": node.integer("exclusive"),
        "reverse": node.integer("reverse"),
    }
    node.result(node.op, node.input(0), **attrs)
