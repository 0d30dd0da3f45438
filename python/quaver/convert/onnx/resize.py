"""Resize: four-dimensional tensors channels last, others as they are."""

from __future__ import annotations

import numpy as np

from quaver.convert.builder import Attributes
from quaver.convert.onnx.dtypes import dtype_code
from quaver.convert.onnx.layout import Emit, channels_last
from quaver.convert.onnx.node import Node, handler
from quaver.convert.onnx.resample import resampled

_TO_LAST = (0, 2, 3, 1)  # position in [N, H, W, C] → axis of [N, C, H, W]
_MOVED = {axis: position for position, axis in enumerate(_TO_LAST)}


@handler("Resize")
def resize(node: Node) -> None:
    """Resample by scales or to sizes."""
    region = node.string("coordinate_transformation_mode") == "tf_crop_and_resize"
    if region or (node.integer("antialias") and node.string("mode", "nearest") != "nearest"):
        resampled(node)
        return
    dtype = node.scope.dtype(node.input_names[0]) or "float32"
    attrs = _attributes(node)
    if attrs["mode"] == "nearest" or dtype in ("float32", "uint8", "int8"):
        _resized(node, node.input(0), attrs, node.result)
        return
    x = node.emit("Cast", node.input(0), to=dtype_code("float32"))  # means are of reals
    node.result("Cast", _resized(node, x, attrs, node.emit), to=dtype_code(dtype))


def _resized(node: Node, x: int, attrs: Attributes, last: Emit) -> int:
    if _rank(node) != 4:
        return _in_parts(node, x, attrs, last)
    if axes := node.ints("axes"):
        if any(not -4 <= axis < 4 for axis in axes):
            raise node.invalid(f"axes {axes} of a tensor of rank 4")
        attrs["axes"] = [_MOVED[axis % 4] for axis in axes]
        order = list(range(len(axes)))
    else:
        order = list(_TO_LAST)
    scales, sizes = (_ordered(node, i, order) for i in (2, 3))
    y = node.emit("Resize", channels_last(node, x), None, scales, sizes, **attrs)
    return last("Transpose", y, perm=[0, 3, 1, 2])


def _in_parts(node: Node, x: int, attrs: Attributes, last: Emit) -> int:
    """Resize at most two neighbouring axes at a time: axes are resampled one after another."""
    rank = _rank(node)
    axes = node.ints("axes") or list(range(rank or 0))
    if len(axes) < 3 or attrs["keep_aspect_ratio_policy"] != "stretch":
        return last("Resize", x, None, _given(node, 2), _given(node, 3), **attrs)
    first = len(axes) % 2
    parts = [list(range(first))] if first else []
    parts += [[i, i + 1] for i in range(first, len(axes), 2)]
    if len(axes) == rank == 5:  # a volume: neither images nor channels change
        parts = [[0, 1], [2], [3, 4]]
    for part in parts:
        if not _unchanged(node, [axes[i] for i in part], part):
            attrs["axes"] = [axes[i] for i in part]
            scales, sizes = (_ordered(node, i, part) for i in (2, 3))
            x = node.emit("Resize", x, None, scales, sizes, **attrs)
    return last("Identity", x)


def _unchanged(node: Node, axes: list[int], entries: list[int]) -> bool:
    """Whether axes are known to keep their sizes."""
    scales, sizes, shape = node.array(2), node.array(3), node.shape(0)
    if scales is not None and scales.size:
        return all(scales.reshape(-1)[i] == 1 for i in entries)
    if sizes is None or not sizes.size or shape is None:
        return False
    return all(sizes.reshape(-1)[i] == shape[axis] for i, axis in zip(entries, axes, strict=True))


def _attributes(node: Node) -> Attributes:
    attrs: Attributes = {
        "mode": node.string("mode", "nearest"),
        "coordinate_transformation_mode": node.string(
            "coordinate_transformation_mode", "half_pixel"
        ),
        "nearest_mode": node.string("nearest_mode", "round_prefer_floor"),
        "cubic_coeff_a": node.real("cubic_coeff_a", -0.75),
        "exclude_outside": node.integer("exclude_outside"),
        "extrapolation_value": node.real("extrapolation_value"),
        "keep_aspect_ratio_policy": node.string("keep_aspect_ratio_policy", "stretch"),
    }
    if axes := node.ints("axes"):
        attrs["axes"] = axes
    return attrs


def _rank(node: Node) -> int | None:
    shape = node.shape(0)
    if shape is not None:
        return len(shape)
    given = [array for i in (2, 3) if (array := node.array(i)) is not None and array.size]
    return given[0].size if given and not node.has_attribute("axes") else None


def _given(node: Node, index: int) -> int | None:
    """Return the input, None where it is left out by an empty tensor (opset 11's way)."""
    array = node.array(index)
    return None if array is not None and array.size == 0 else node.optional(index)


def _ordered(node: Node, index: int, order: list[int]) -> int | None:
    """Return an input's entries in another order."""
    value = _given(node, index)
    array = node.array(index)
    if value is None or (array is not None and order == list(range(array.size))):
        return value
    if array is None:
        indices = node.add_constant("order", np.array(order, np.int64))
        return node.emit("Gather", value, indices, axis=0)
    if array.size <= max(order):
        raise node.invalid(f"input {index} has {array.size} entries, expected {max(order) + 1}")
    return node.add_constant("ordered", array.reshape(-1)[order])
