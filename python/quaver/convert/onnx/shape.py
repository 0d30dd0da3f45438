"""Operators that move elements or change shapes."""

from __future__ import annotations

import numpy as np

from quaver.convert.builder import Attributes
from quaver.convert.onnx.node import MICROSOFT, Node, handler


@handler("Reshape")
def reshape(node: Node) -> None:
    """Another shape for the same elements."""
    x, shape = node.input(0), node.input(1)
    node.result("Reshape", x, shape, allowzero=node.integer("allowzero"))


@handler("Transpose")
def transpose(node: Node) -> None:
    """Axes in another order; reversed where none is given."""
    perm = node.ints("perm")
    attrs: Attributes = {"perm": perm} if perm else {}
    node.result("Transpose", node.input(0), **attrs)


@handler("Flatten")
def flatten(node: Node) -> None:
    """A matrix, split at an axis."""
    node.result("Flatten", node.input(0), axis=node.integer("axis", 1))


@handler("Squeeze", "Unsqueeze")
def squeeze(node: Node) -> None:
    """Axes of size 1 away or added."""
    axes = node.ints_at(1, "axes")
    if axes is None and node.op == "Unsqueeze":
        raise node.invalid("axes are missing")
    node.result(node.op, node.input(0), axes)


@handler("Concat")
def concat(node: Node) -> None:
    """Tensors joined along an axis."""
    if not node.has_attribute("axis"):
        raise node.invalid("attribute 'axis' is missing")
    values = [node.input(i) for i in range(len(node.input_names))]
    node.result("Concat", *values, axis=node.integer("axis"))


@handler("Split")
def split(node: Node) -> None:
    """One tensor cut along an axis: at sizes, or into as many parts as there are outputs."""
    attrs: Attributes = {"axis": node.integer("axis")}
    if node.has_attribute("num_outputs"):
        attrs["num_outputs"] = node.integer("num_outputs")
    node.result("Split", node.input(0), node.ints_at(1, "split"), **attrs)


@handler("Slice")
def slice_(node: Node) -> None:
    """A part of a tensor."""
    starts, ends = node.ints_at(1, "starts"), node.ints_at(2, "ends")
    axes, steps = node.ints_at(3, "axes"), node.optional(4)
    if starts is None or ends is None:
        raise node.invalid("starts and ends are missing")
    node.result("Slice", node.input(0), starts, ends, axes, steps)


@handler("Pad")
@handler("Pad", domain=MICROSOFT)
def pad(node: Node) -> None:
    """A border added, or cut where negative."""
    pads = node.ints_at(1, "pads")
    if pads is None:
        raise node.invalid("pads are missing")
    mode = node.string("mode", "constant")
    node.result("Pad", node.input(0), pads, node.optional(2), node.optional(3), mode=mode)


@handler("ExpandDims", domain=MICROSOFT)
def expand_dims(node: Node) -> None:
    """A dimension of one more."""
    axis = node.constant(1, "its axis").reshape(1).astype(np.int64)
    node.result("Unsqueeze", node.input(0), node.add_constant("axis", axis))


@handler("Gather")
def gather(node: Node) -> None:
    """Entries picked along an axis."""
    node.result("Gather", node.input(0), node.input(1), axis=node.integer("axis"))


@handler("Shape")
def shape(node: Node) -> None:
    """Dimensions as int64."""
    attrs: Attributes = {
        name: node.integer(name) for name in ("start", "end") if node.has_attribute(name)
    }
    node.result("Shape", node.input(0), **attrs)
