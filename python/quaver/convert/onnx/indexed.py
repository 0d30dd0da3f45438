"""Elements picked and placed by index, repeated, and made."""

from __future__ import annotations

import numpy as np

from quaver.convert.builder import Attributes
from quaver.convert.onnx.dtypes import dtype_name, numpy_dtype
from quaver.convert.onnx.node import MICROSOFT, Node, handler
from quaver.convert.onnx.scope import to_array


@handler("GatherElements")
def gather_elements(node: Node) -> None:
    """Single elements along an axis."""
    node.result(node.op, node.input(0), node.input(1), axis=node.integer("axis"))


@handler("GatherND")
@handler("GatherND", domain=MICROSOFT)
def gather_nd(node: Node) -> None:
    """Elements or slices at tuples of indices."""
    dims = node.integer("batch_dims")
    node.result(node.op, node.input(0), node.input(1), batch_dims=dims)


@handler("ScatterElements")
def scatter_elements(node: Node) -> None:
    """Single elements replaced along an axis."""
    attrs: Attributes = {
        "axis": node.integer("axis"),
        "reduction": node.string("reduction", "none"),
    }
    node.result("ScatterElements", node.input(0), node.input(1), node.input(2), **attrs)


@handler("ScatterND")
def scatter_nd(node: Node) -> None:
    """Elements or slices replaced at tuples of indices."""
    reduction = node.string("reduction", "none")
    node.result(node.op, node.input(0), node.input(1), node.input(2), reduction=reduction)


@handler("Expand", "Tile")
def repeated(node: Node) -> None:
    """The same elements again, to a shape or a number of times."""
    node.result(node.op, node.input(0), node.input(1))


@handler("Range")
@handler("Range", domain=MICROSOFT)
def range_(node: Node) -> None:
    """Numbers from a start to a limit by a step, each of one element."""
    bounds = [node.input(i) for i in range(2)]
    if node.has(2):
        bounds.append(node.input(2))
    else:  # only com.microsoft's
        dtype = node.scope.dtype(node.input_names[0]) or "float32"
        bounds.append(node.add_constant("step", np.ones((), dtype)))
    node.result("Range", *bounds)


@handler("NonZero")
def non_zero(node: Node) -> None:
    """Indices of the elements that are not zero, of a constant."""
    node.result("NonZero", node.input(0))


@handler("ConstantOfShape")
def constant_of_shape(node: Node) -> None:
    """One number everywhere."""
    value = np.zeros(1, np.float32)
    if node.has_attribute("value"):
        value = to_array(node.tensor("value"), f"{node.label}: its value")
    if value.size != 1:
        raise node.invalid(f"its value has shape {list(value.shape)}, not one element")
    node.result("Expand", node.add_constant("value", value.reshape(())), node.input(0))


@handler("Size")
def size(node: Node) -> None:
    """The number of elements."""
    shape = node.emit("Shape", node.input(0))
    node.result("ReduceProd", shape, keepdims=0)


@handler("EyeLike")
def eye_like(node: Node) -> None:
    """Ones on a diagonal of a matrix of known shape."""
    shape = node.shape(0)
    if shape is None or len(shape) != 2 or None in shape:
        raise node.unsupported("the shape of its input must be known, and a matrix's")
    dtype = node.scope.dtype(node.input_names[0]) or "float32"
    if node.has_attribute("dtype"):
        dtype = dtype_name(node.integer("dtype"), f"{node.label}: its result")
    rows, columns = (int(n or 0) for n in shape)
    eye = np.eye(rows, columns, node.integer("k")).astype(numpy_dtype(dtype))
    node.result("Identity", node.add_constant("eye", eye))


@handler("Compress")
def compress(node: Node) -> None:
    """The slices of an axis, or the elements, at which a constant condition holds."""
    picks = np.flatnonzero(node.constant(1, "its condition")).astype(np.int64)
    x = node.input(0)
    if not node.has_attribute("axis"):
        x = node.reshape(x, -1)
    node.result("Gather", x, node.add_constant("picks", picks), axis=node.integer("axis"))
