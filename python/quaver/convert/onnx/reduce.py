"""Reductions."""

from __future__ import annotations

from quaver.convert.builder import Attributes
from quaver.convert.onnx.node import Node, handler


@handler("ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum", "ReduceProd", "ReduceSumSquare")
@handler("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp")
def reduce(node: Node) -> None:
    """Over constant axes, given as an attribute or, in later opsets, as an input."""
    if node.has(1):
        axes = [int(axis) for axis in node.constant(1, "its axes").reshape(-1)]
    else:
        axes = node.ints("axes")
    attrs: Attributes = {"keepdims": node.integer("keepdims", 1)}
    if not axes and node.integer("noop_with_empty_axes"):
        attrs["noop_with_empty_axes"] = 1  # each element is reduced alone
    if axes:
        attrs["axes"] = axes
    node.result(node.op, node.input(0), **attrs)
