"""Regions of pictures: RoiAlign, and convolution at places that are computed."""

from __future__ import annotations

from typing import Any

import numpy as np

from quaver.convert.onnx.names import MICROSOFT
from quaver.stages.host.node import HostNode, host


def bilinear(x: Any, y: Any, at: Any, low: float) -> tuple[Any, Any]:
    """Values and the four corners' weights of planes [C, H, W] at places (y, at).

    Places beyond `low` outside of the picture are zero; others are held within it.
    """
    height, width = x.shape[-2:]
    inside = (y > low) & (y < height) & (at > low) & (at < width)
    y0, x0 = np.floor(y), np.floor(at)
    total: Any = 0
    corners = []
    for dy in (0, 1):
        for dx in (0, 1):
            rows, columns = (y0 + dy).astype(int), (x0 + dx).astype(int)
            weight = (1 - np.abs(y - y0 - dy)) * (1 - np.abs(at - x0 - dx))
            good = inside & (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
            picked = x[..., rows.clip(0, height - 1), columns.clip(0, width - 1)]
            part = np.where(good, weight, 0) * picked
            corners.append(part)
            total = total + part
    return total, np.stack(corners)


@host("MaxRoiPool")
def max_roi_pool(node: HostNode, x: Any, rois: Any) -> Any:
    """Maxima of the parts of regions; a part without a pixel is zero."""
    parts, scale = node.get("pooled_shape"), node.get("spatial_scale", 1.0)
    result = np.zeros((len(rois), x.shape[1], *parts), x.dtype)
    for r, (image, *corners) in enumerate(rois):
        left, top, right, bottom = (int(np.floor(c * scale + 0.5)) for c in corners)
        spans = [
            _parts(first, last, count, size)
            for first, last, count, size in zip(
                (top, left), (bottom, right), parts, x.shape[2:], strict=True
            )
        ]
        for i, (y0, y1) in enumerate(spans[0]):
            for j, (x0, x1) in enumerate(spans[1]):
                if y1 > y0 and x1 > x0:
                    result[r, :, i, j] = x[int(image), :, y0:y1, x0:x1].max(axis=(1, 2))
    return result


def _parts(first: int, last: int, count: int, size: int) -> list[tuple[int, int]]:
    """From where to where each of a region's parts reaches, within an axis of a picture."""
    step = max(last - first + 1, 1) / count
    ends = [(int(np.floor(i * step)), int(np.ceil((i + 1) * step))) for i in range(count)]
    return [(min(max(a + first, 0), size), min(max(b + first, 0), size)) for a, b in ends]


@host("RoiAlign")
def roi_align(node: HostNode, x: Any, rois: Any, batch: Any) -> Any:
    """Regions brought to one size by means, or maxima, of samples."""
    height, width = node.get("output_height", 1), node.get("output_width", 1)
    scale, ratio = node.get("spatial_scale", 1.0), node.get("sampling_ratio", 0)
    mode = node.get("mode", "avg")
    half = node.get("coordinate_transformation_mode", "half_pixel") == "half_pixel"
    result = np.empty((len(rois), x.shape[1], height, width), x.dtype)
    for r, (x1, y1, x2, y2) in enumerate(rois * scale - (0.5 if half else 0.0)):
        sides = (y2 - y1, x2 - x1) if half else (max(y2 - y1, 1.0), max(x2 - x1, 1.0))
        steps = (sides[0] / height, sides[1] / width)
        counts = [ratio or int(max(np.ceil(step), 1)) for step in steps]
        ys = y1 + steps[0] * (np.arange(height * counts[0]) + 0.5) / counts[0]
        xs = x1 + steps[1] * (np.arange(width * counts[1]) + 0.5) / counts[1]
        # Each sample of one part of a bin lies evenly spaced in it.
        plane = x[int(batch[r])]
        grid_y, grid_x = np.meshgrid(ys, xs, indexing="ij")
        outside = (grid_y < -1) | (grid_y > plane.shape[-2])
        outside |= (grid_x < -1) | (grid_x > plane.shape[-1])
        inner_y = np.clip(grid_y, 0, plane.shape[-2] - 1)
        inner_x = np.clip(grid_x, 0, plane.shape[-1] - 1)
        values, corners = bilinear(plane, inner_y, inner_x, -1)
        shape = (-1, height, counts[0], width, counts[1])
        if mode == "avg":
            kept = np.where(outside, 0, values).reshape(shape)
            result[r] = kept.mean(axis=(2, 4))
        else:
            kept = np.where(outside, 0, corners.max(axis=0)).reshape(shape)
            result[r] = kept.max(axis=(2, 4))
    return result


@host("CropAndResize", domain=MICROSOFT)
def crop_and_resize(node: HostNode, x: Any, rois: Any, batch: Any, size: Any) -> Any:
    """Regions of pictures brought to one size, their corners in parts of the pictures' sides."""
    sides = x.shape[2:]
    result = np.empty((len(rois), x.shape[1], *size), x.dtype)
    for r, (y1, x1, y2, x2) in enumerate(rois):
        rows, columns = (
            (np.linspace(low, high, n) if n > 1 else np.array([(low + high) / 2])) * (side - 1)
            for low, high, n, side in zip((y1, x1), (y2, x2), size, sides, strict=True)
        )
        y, at = np.meshgrid(rows, columns, indexing="ij")
        outside = (y < 0) | (y > sides[0] - 1) | (at < 0) | (at > sides[1] - 1)
        if node.get("mode", "bilinear") == "nearest":
            y, at = np.round(y), np.round(at)
        values, _ = bilinear(x[int(batch[r])], y, at, -1)
        result[r] = np.where(outside, node.get("extrapolation_value", 0.0), values)
    return result


@host("DeformConv")
def deform_conv(  # noqa: PLR0917 -- as many as ONNX has
    node: HostNode, x: Any, w: Any, offset: Any, bias: Any = None, mask: Any = None
) -> Any:
    """Convolution of which each tap of each output pixel is moved by an offset of its own."""
    kernel = w.shape[2:]
    strides, dilations = node.get("strides") or [1, 1], node.get("dilations") or [1, 1]
    pads, group = node.get("pads") or [0, 0, 0, 0], node.get("group", 1)
    groups = node.get("offset_group", 1)
    out_h, out_w = offset.shape[2:]
    batch, channels = x.shape[:2]
    moves = offset.reshape(batch, groups, *kernel, 2, out_h, out_w)
    factors = None if mask is None else mask.reshape(batch, groups, *kernel, out_h, out_w)
    columns = np.zeros((batch, channels, *kernel, out_h, out_w), x.dtype)
    rows = np.arange(out_h)[:, None] * strides[0] - pads[0]
    cols = np.arange(out_w)[None, :] * strides[1] - pads[1]
    each = channels // groups
    for b, g, i, j in np.ndindex(batch, groups, *kernel):
        y = rows + i * dilations[0] + moves[b, g, i, j, 0]
        at = cols + j * dilations[1] + moves[b, g, i, j, 1]
        part = slice(g * each, (g + 1) * each)
        value, _ = bilinear(x[b, part], y, at, -1)
        columns[b, part, i, j] = value if factors is None else value * factors[b, g, i, j]
    flat = columns.reshape(batch, group, -1, out_h * out_w)
    result = np.einsum("goc,bgcp->bgop", w.reshape(group, w.shape[0] // group, -1), flat)
    result = result.reshape(batch, w.shape[0], out_h, out_w).astype(x.dtype)
    return result if bias is None else result + bias[:, None, None]
