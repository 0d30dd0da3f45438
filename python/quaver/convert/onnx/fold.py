"""Shape arithmetic at import: small integers that a graph computes from shapes and constants.

Bodies of functions choose axes and branches by such chains, and a handler must know them. Only
integers and truth values are computed here, and never an output of the graph; whatever else is
constant the core folds with its own kernels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from quaver.convert.builder import Array
from quaver.convert.onnx.dtypes import known_dtype, numpy_dtype
from quaver.convert.onnx.node import Node

_SMALL = 1024  # elements

_BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Equal": np.equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "And": np.logical_and,
    "Or": np.logical_or,
}


def folded(node: Node) -> bool:
    """Bind the node's only output to a constant where it is a small integer one."""
    if len(node.outputs) != 1 or not node.outputs[0] or node.scope.is_output(node.outputs[0]):
        return False
    array = _value(node)
    if array is None or array.dtype.kind not in "iub" or array.size > _SMALL:
        return False
    node.scope.bind_constant(node.outputs[0], array)
    return True


def _value(node: Node) -> Array | None:
    if node.op in ("Shape", "Size"):
        return _from_shape(node)
    arrays = [node.array(i) for i in range(len(node.input_names)) if node.has(i)]
    known = [a for a in arrays if a is not None and a.dtype.kind in "iub" and a.size <= _SMALL]
    if not arrays or len(known) != len(arrays):
        return None
    if node.op in _BINARY and len(known) == 2:
        return np.asarray(_BINARY[node.op](*known))
    compute = _OTHERS.get(node.op)
    return None if compute is None else np.asarray(compute(node, known))


def _from_shape(node: Node) -> Array | None:
    shape = node.shape(0)
    if shape is None:
        return None
    if node.op == "Size":
        part, whole = shape, True
    else:
        end = node.integer("end", len(shape))
        part, whole = shape[node.integer("start") : end], False
    sizes = [size for size in part if size is not None]
    if len(sizes) != len(part):
        return None
    dims = np.array(sizes, np.int64)
    return np.asarray(np.prod(dims, dtype=np.int64)) if whole else dims


def _cast(node: Node, arrays: list[Array]) -> Array:
    name = known_dtype(node.integer("to"))
    return arrays[0].astype(numpy_dtype(name)) if name else arrays[0].astype(np.float64)


def _gather(node: Node, arrays: list[Array]) -> Array:
    return np.take(arrays[0], arrays[1], axis=node.integer("axis"))


def _unsqueeze(node: Node, arrays: list[Array]) -> Array:
    axes = arrays[1].reshape(-1) if len(arrays) > 1 else node.ints("axes")
    return np.expand_dims(arrays[0], tuple(int(axis) for axis in axes))


def _range(_: Node, arrays: list[Array]) -> Array:
    start, limit, delta = (int(array.reshape(())) for array in arrays)
    return np.arange(start, limit, delta, dtype=arrays[0].dtype)


_OTHERS: dict[str, Callable[[Node, list[Array]], Array]] = {
    "Cast": _cast,
    "Concat": lambda node, arrays: np.concatenate(arrays, node.integer("axis")),
    "Gather": _gather,
    "Identity": lambda _, arrays: arrays[0],
    "Neg": lambda _, arrays: -arrays[0],
    "Not": lambda _, arrays: np.logical_not(arrays[0]),
    "Range": _range,
    "Unsqueeze": _unsqueeze,
}
