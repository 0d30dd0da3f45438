"""Comparisons, logic, bits and choices."""

from __future__ import annotations

import numpy as np

from quaver.convert.builder import Attributes
from quaver.convert.onnx.dtypes import dtype_code
from quaver.convert.onnx.node import MICROSOFT, Node, handler


@handler("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")
@handler("And", "Or", "Xor", "BitwiseAnd", "BitwiseOr", "BitwiseXor")
def binary(node: Node) -> None:
    """Two inputs that broadcast."""
    node.result(node.op, node.input(0), node.input(1))


@handler("Not", "BitwiseNot", "IsNaN")
def unary(node: Node) -> None:
    """One input."""
    node.result(node.op, node.input(0))


@handler("IsInf")
def is_inf(node: Node) -> None:
    """Infinities of either sign, or of one."""
    signs = {name: node.integer(name, 1) for name in ("detect_negative", "detect_positive")}
    node.result("IsInf", node.input(0), **signs)


@handler("Mod")
def mod(node: Node) -> None:
    """A remainder: with the sign of the divisor, or, as C's fmod, of the dividend."""
    node.result("Mod", node.input(0), node.input(1), fmod=node.integer("fmod"))


@handler("BitShift")
def bit_shift(node: Node) -> None:
    """Bits moved left or right."""
    node.result("BitShift", node.input(0), node.input(1), direction=node.string("direction"))


@handler("Where")
def where(node: Node) -> None:
    """Elements of one tensor or another."""
    node.result("Where", node.input(0), node.input(1), node.input(2))


@handler("CastLike")
def cast_like(node: Node) -> None:
    """Elements brought to the dtype of another tensor."""
    node.input(1)
    dtype = node.scope.dtype(node.input_names[1])
    if dtype is None:
        raise node.unsupported(f"the dtype of '{node.input_names[1]}' is not known")
    node.result("Cast", node.input(0), to=dtype_code(dtype))
    node.scope.note_dtype(node.outputs[0], dtype)


@handler("OneHot")
def one_hot(node: Node) -> None:
    """A new axis: one value where it meets the index, another elsewhere."""
    depth = int(node.constant(1, "its depth").reshape(-1)[0])
    shape = node.shape(0)
    if shape is None:
        raise node.unsupported("the rank of its indices is not known")
    axis = node.integer("axis", -1)
    axis += len(shape) + 1 if axis < 0 else 0
    if not 0 <= axis <= len(shape):
        raise node.invalid(f"axis {node.integer('axis', -1)} for indices of rank {len(shape)}")
    classes = np.arange(depth, dtype=np.int64).reshape([-1] + [1] * (len(shape) - axis))
    indices = node.emit("Cast", node.input(0), to=dtype_code("int64"))
    below = node.emit("Less", indices, node.add_constant("zero", np.array(0, np.int64)))
    wrapped = node.emit("Add", indices, node.add_constant("wrap", np.array(depth, np.int64)))
    indices = node.emit("Where", below, wrapped, indices)
    indices = node.emit("Unsqueeze", indices, node.add_constant("axis", np.array([axis])))
    hot = node.emit("Equal", indices, node.add_constant("classes", classes))
    off, on = (
        node.emit("Gather", node.input(2), node.add_constant(name, np.array(i, np.int64)), axis=0)
        for i, name in enumerate(("off", "on"))
    )
    node.result("Where", hot, on, off)


@handler("Trilu")
@handler("Trilu", domain=MICROSOFT)
def trilu(node: Node) -> None:
    """The upper or lower triangle of matrices."""
    attrs: Attributes = {"upper": node.integer("upper", 1)}
    k = node.optional(1)
    if k is not None and (array := node.array(1)) is not None:
        k = node.add_constant("k", array.reshape(()).astype(np.int64))
    node.result("Trilu", node.input(0), k, **attrs)
