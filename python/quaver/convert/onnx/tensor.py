"""Constants, casts and what passes its input on."""

from __future__ import annotations

import numpy as np

from quaver.convert.onnx.dtypes import dtype_code, dtype_name
from quaver.convert.onnx.node import Node, handler
from quaver.convert.onnx.scope import to_array


@handler("Constant")
def constant(node: Node) -> None:
    """A tensor in an attribute of one of several kinds."""
    node.scope.bind_constant(node.outputs[0], _content(node))


def _content(node: Node) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    if node.has_attribute("value"):
        return to_array(node.tensor("value"), f"{node.label}: its value")
    if node.has_attribute("value_float"):
        return np.array(node.real("value_float"), np.float32)
    if node.has_attribute("value_floats"):
        return np.array(node.floats("value_floats"), np.float32)
    if node.has_attribute("value_int"):
        return np.array(node.integer("value_int"), np.int64)
    if node.has_attribute("value_ints"):
        return np.array(node.ints("value_ints"), np.int64)
    for kind in ("string", "strings"):
        if node.has_attribute(f"value_{kind}"):
            raise node.unsupported("it holds a string; Quaver takes numbers")
    if node.has_attribute("sparse_value"):
        raise node.unsupported("it holds a sparse tensor; Quaver takes dense ones")
    raise node.invalid("it has no value")


@handler("Cast")
def cast(node: Node) -> None:
    """Elements brought to another dtype."""
    if not node.has_attribute("to"):
        raise node.invalid("attribute 'to' is missing")
    dtype = dtype_name(node.integer("to"), f"{node.label}: its result")
    node.result("Cast", node.input(0), to=dtype_code(dtype))
    node.scope.note_dtype(node.outputs[0], dtype)


@handler("Identity")
def identity(node: Node) -> None:
    """The input itself."""
    _pass_on(node)


@handler("Dropout")
def dropout(node: Node) -> None:
    """The input itself, where nothing is dropped, and a mask that says so."""
    training = node.has(2) and bool(node.constant(2, "training_mode"))
    if training and (not node.has(1) or float(node.constant(1, "ratio")) != 0.0):
        raise node.unsupported("it is in training mode; export the model for inference")
    names = node.outputs
    if node.uses_output(1):
        kept = node.add_constant("kept", np.array(True))
        node.outputs = names[1:]
        node.result("Expand", kept, node.emit("Shape", node.input(0)))
        node.scope.note_dtype(names[1], "bool")
    node.outputs = names[:1]
    _pass_on(node)


def _pass_on(node: Node) -> None:
    node.result("Identity", node.input(0))
    if (array := node.array(0)) is not None:
        node.scope.note_constant(node.outputs[0], array)
    if (dtype := node.scope.dtype(node.input_names[0])) is not None:
        node.scope.note_dtype(node.outputs[0], dtype)
