"""Resize with filters against aliases, or of a region: a product with a matrix for each axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaver.convert.onnx.node import Node

Reals = NDArray[np.float64]

#: How far the filters reach at full size, in pixels; the nearest is looked for between two.
_REACH = {"nearest": 1.0, "linear": 1.0, "cubic": 2.0}


def resampled(node: Node) -> None:
    """Resample axis by axis; each output is a weighted mean of inputs."""
    shape = node.shape(0)
    if node.string("mode", "nearest") not in _REACH:
        raise node.invalid(f"mode is '{node.string('mode')}'")
    if shape is None:
        raise node.unsupported("the rank of its input is not known")
    axes = [axis % len(shape) for axis in node.ints("axes")] or list(range(len(shape)))
    sizes = []
    for axis in axes:
        if (size := shape[axis]) is None:
            raise node.unsupported(f"the size of axis {axis} is not known")
        sizes.append(size)
    regions = _regions(node, len(axes))
    y = node.input(0)
    for axis, size, to, region in zip(axes, sizes, _targets(node, sizes), regions, strict=True):
        scale, out = to
        if out < 1:
            raise node.invalid(f"{out} of axis {axis}")
        if out == size and scale == 1 and region is None:
            continue
        rows, outside = _matrix(node, size, out, scale, region)
        matrix = node.add_constant("filter", np.ascontiguousarray(rows.T.astype(np.float32)))
        order = [i for i in range(len(shape)) if i != axis]
        y = node.emit("MatMul", node.transpose(y, *order, axis), matrix)
        if outside.any():
            beyond = np.where(outside, node.real("extrapolation_value"), 0).astype(np.float32)
            y = node.emit("Add", y, node.add_constant("beyond", beyond))
        y = node.transpose(y, *np.argsort([*order, axis]).tolist())
    node.pass_on(y)


def _targets(node: Node, sizes: list[int]) -> list[tuple[float, int]]:
    """Give the scale and the new size of each axis."""
    scales, wanted = node.array(2), node.array(3)
    given = wanted if wanted is not None and wanted.size else scales
    if given is None or given.size != len(sizes):
        raise node.unsupported("its scales or sizes must be constant, one for each axis")
    numbers = given.reshape(-1).tolist()
    if given is scales:
        return [(s, math.floor(n * s)) for n, s in zip(sizes, numbers, strict=True)]
    ratios = [number / size for number, size in zip(numbers, sizes, strict=True)]
    policy = node.string("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return list(zip(ratios, map(int, numbers), strict=True))
    scale = max(ratios) if policy == "not_smaller" else min(ratios)
    return [(scale, math.floor(size * scale + 0.5)) for size in sizes]


def _regions(node: Node, axes: int) -> list[tuple[float, float] | None]:
    """Give from where to where each axis is cropped, as parts of it; None where none is."""
    if node.string("coordinate_transformation_mode") != "tf_crop_and_resize":
        return [None] * axes
    ends = node.constant(1, "its region").reshape(-1).tolist()
    if len(ends) != 2 * axes:
        raise node.invalid(f"its region has {len(ends)} numbers for {axes} axes")
    return list(zip(ends[:axes], ends[axes:], strict=True))


def _matrix(
    node: Node, size: int, out: int, scale: float, region: tuple[float, float] | None
) -> tuple[Reals, NDArray[np.bool_]]:
    """Give [out, size], what of each input is in each output, and which outputs lie outside."""
    mode, outside = node.string("mode", "nearest"), node.integer("exclude_outside")
    shrunk = min(scale, 1.0) if node.integer("antialias") and mode != "nearest" else 1.0
    reach = _REACH[mode] / shrunk
    rows = np.zeros((out, size))
    centres = (
        _centres(node, size, out, scale) if region is None else _cropped(size, out, scale, region)
    )
    beyond = ((centres < 0) | (centres > size - 1)) & (region is not None)
    for row, centre in enumerate(centres):
        if beyond[row]:
            continue
        place = _nearest(node, centre) if mode == "nearest" else centre
        at = np.arange(math.floor(place - reach), math.ceil(place + reach) + 1)
        weights = _filter(mode, (at - place) * shrunk, node.real("cubic_coeff_a", -0.75))
        if outside:
            weights = np.where((at >= 0) & (at < size), weights, 0)
        np.add.at(rows[row], np.clip(at, 0, size - 1), weights / weights.sum())
    return rows, beyond


def _cropped(size: int, out: int, scale: float, region: tuple[float, float]) -> NDArray[Any]:
    """Give where each output lies among the inputs, from one end of a region to the other."""
    first, last = region
    whole = scale * size
    if whole == 1:
        return np.full(out, (first + (last - first) / 2) * (size - 1))
    return (first + np.arange(out) * (last - first) / (whole - 1)) * (size - 1)


def _centres(node: Node, size: int, out: int, scale: float) -> Reals:
    """Give where each output lies among the inputs."""
    mode = node.string("coordinate_transformation_mode", "half_pixel")
    x = np.arange(out, dtype=np.float64)
    whole = scale * size
    if mode == "align_corners":
        return x * (size - 1) / (whole - 1) if whole != 1 else 0 * x
    if mode == "asymmetric":
        return x / scale
    if mode == "pytorch_half_pixel" and whole == 1:
        return 0 * x - 0.5
    if mode in ("half_pixel", "pytorch_half_pixel"):
        return (x + 0.5) / scale - 0.5
    if mode == "half_pixel_symmetric":
        return size / 2 * (1 - out / whole) + (x + 0.5) / scale - 0.5
    raise node.unsupported(f"coordinate_transformation_mode {mode} with antialiasing")


def _nearest(node: Node, x: float) -> float:
    mode = node.string("nearest_mode", "round_prefer_floor")
    if mode in ("floor", "ceil"):
        return math.floor(x) if mode == "floor" else math.ceil(x)
    return math.floor(x + 0.5) if mode == "round_prefer_ceil" else math.ceil(x - 0.5)


def _filter(mode: str, x: Reals, a: float) -> Reals:
    x = np.abs(x)
    if mode != "cubic":
        return np.maximum(1 - x, 0)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))
