"""Antialiased Resize to a known size: a product with a matrix for each axis."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from quaver.convert.onnx.node import Node

Reals = NDArray[np.float64]

#: How far the filters reach at full size, in pixels.
_REACH = {"linear": 1.0, "cubic": 2.0}


def antialiased(node: Node) -> None:
    """Resample axis by axis; each output is a weighted mean of all inputs that it covers."""
    shape, mode = node.shape(0), node.string("mode", "nearest")
    if shape is None or mode not in _REACH:
        raise node.unsupported(f"antialiasing is for a known shape, not {mode} of {shape}")
    if node.string("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise node.unsupported("antialiasing keeps no aspect ratio")
    axes = [axis % len(shape) for axis in node.ints("axes")] or list(range(len(shape)))
    scales, sizes = node.array(2), node.array(3)
    given = sizes if sizes is not None and sizes.size else scales
    if given is None or given.size != len(axes):
        raise node.unsupported("its scales or sizes must be constant, one for each axis")
    y = node.input(0)
    for axis, number in zip(axes, given.reshape(-1).tolist(), strict=True):
        size = shape[axis]
        if size is None:
            raise node.unsupported(f"the size of axis {axis} is not known")
        scale = number if given is scales else number / size
        out = math.floor(size * scale) if given is scales else int(number)
        if out < 1:
            raise node.invalid(f"{out} of axis {axis}")
        if out == size and scale == 1:
            continue
        rows = _matrix(node, size, out, scale).astype(np.float32)
        matrix = node.add_constant("filter", np.ascontiguousarray(rows.T))
        order = [i for i in range(len(shape)) if i != axis]
        y = node.emit("MatMul", node.transpose(y, *order, axis), matrix)
        y = node.transpose(y, *np.argsort([*order, axis]).tolist())
    node.pass_on(y)


def _matrix(node: Node, size: int, out: int, scale: float) -> Reals:
    """Give [out, size]: what of each input is in each output."""
    mode, outside = node.string("mode"), node.integer("exclude_outside")
    shrunk = min(scale, 1.0)
    reach = _REACH[mode] / shrunk
    rows = np.zeros((out, size))
    for row, centre in enumerate(_centres(node, size, out, scale)):
        at = np.arange(math.floor(centre - reach), math.ceil(centre + reach) + 1)
        weights = _filter(mode, (at - centre) * shrunk, node.real("cubic_coeff_a", -0.75))
        if outside:
            weights = np.where((at >= 0) & (at < size), weights, 0)
        np.add.at(rows[row], np.clip(at, 0, size - 1), weights / weights.sum())
    return rows


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


def _filter(mode: str, x: Reals, a: float) -> Reals:
    x = np.abs(x)
    if mode == "linear":
        return np.maximum(1 - x, 0)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))
