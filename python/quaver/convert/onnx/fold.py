"""Shape arithmetic at import: small integers that a graph computes from shapes and constants.

Bodies of functions choose axes and branches by such chains, and a handler must know them. Only
integers and truth values are computed here, and never an output of the graph; whatever else is
constant the core folds with its own kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
    "Xor": np.logical_xor,
    "Min": np.minimum,
    "Max": np.maximum,
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
    array = None if compute is None else compute(node, known)
    return None if array is None else np.asarray(array)


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


def _squeeze(node: Node, arrays: list[Array]) -> Array:
    axes = arrays[1].reshape(-1) if len(arrays) > 1 else node.ints("axes")
    return np.squeeze(arrays[0], tuple(int(axis) for axis in axes) or None)


def _slice(node: Node, arrays: list[Array]) -> Array | None:
    if len(arrays) < 3 or (node.has(4) and not node.has(3)):
        return None
    x, starts, ends, *rest = arrays
    axes = rest[0].reshape(-1) if rest else np.arange(starts.size)
    steps = rest[1].reshape(-1) if len(rest) > 1 else np.ones(starts.size, np.int64)
    index = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts.flat, ends.flat, steps, strict=True):
        stop = None if step < 0 and end < -x.shape[axis] else int(end)
        index[int(axis)] = slice(int(start), stop, int(step))
    return x[tuple(index)]


def _constant_of_shape(node: Node, arrays: list[Array]) -> Array | None:
    value = (
        node.array_attribute("value") if node.has_attribute("value") else np.zeros(1, np.float32)
    )
    if np.prod(arrays[0].astype(float)) > _SMALL or value.size != 1 or (arrays[0] < 0).any():
        return None
    return np.full([int(n) for n in arrays[0].flat], value.reshape(-1)[0])


def _transpose(node: Node, arrays: list[Array]) -> Array:
    return np.transpose(arrays[0], node.ints("perm") or None)


def _reshaped(arrays: list[Array]) -> Array | None:
    shape = [int(n) for n in arrays[1].reshape(-1)]
    return None if 0 in shape else arrays[0].reshape(shape)


def _divide(_: Node, arrays: list[Array]) -> Array | None:
    a, b = arrays
    if not np.all(b):
        return None
    return np.trunc(a / b).astype(a.dtype) if np.abs(a).max(initial=0) < 2**52 else None


def _range(_: Node, arrays: list[Array]) -> Array:
    start, limit, delta = (int(array.reshape(())) for array in arrays)
    return np.arange(start, limit, delta, dtype=arrays[0].dtype)


def _reduced(node: Node, arrays: list[Array], reduce: Callable[..., Any]) -> Array | None:
    """All elements of a vector as one; other reductions are the core's."""
    axes = arrays[1].reshape(-1).tolist() if len(arrays) > 1 else [0]
    if arrays[0].ndim != 1 or axes not in ([0], [-1]):
        return None
    whole = reduce(arrays[0], dtype=arrays[0].dtype, keepdims=bool(node.integer("keepdims", 1)))
    return np.asarray(whole)


_OTHERS: dict[str, Callable[[Node, list[Array]], Array | None]] = {
    "Cast": _cast,
    "Div": _divide,
    "ReduceProd": lambda node, arrays: _reduced(node, arrays, np.prod),
    "ReduceSum": lambda node, arrays: _reduced(node, arrays, np.sum),
    "Reshape": lambda _, arrays: _reshaped(arrays),
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Where": lambda _, arrays: np.where(*arrays),
    "ConstantOfShape": _constant_of_shape,
    "Transpose": _transpose,
    "Concat": lambda node, arrays: np.concatenate(arrays, node.integer("axis")),
    "Gather": _gather,
    "Identity": lambda _, arrays: arrays[0],
    "Neg": lambda _, arrays: -arrays[0],
    "Not": lambda _, arrays: np.logical_not(arrays[0]),
    "Range": _range,
    "Unsqueeze": _unsqueeze,
}
