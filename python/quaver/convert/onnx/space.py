"""Blocks of pixels to channels and back."""

from __future__ import annotations

import numpy as np

from quaver.convert.onnx.node import Node, handler


def _sizes(node: Node) -> tuple[int, int, int, int]:
    shape = node.shape(0)
    if shape is None or len(shape) != 4 or None in shape[1:]:
        raise node.unsupported("all dimensions of its input but the first must be known")
    batch, *rest = shape
    channels, height, width = (int(n or 0) for n in rest)
    return (-1 if batch is None else batch), channels, height, width


def _rearranged(node: Node, split: list[int], perm: list[int], to: list[int]) -> None:
    value = node.reshape(node.input(0), *split)
    value = node.emit("Transpose", value, perm=perm)
    node.result("Reshape", value, node.add_constant("shape", np.array(to)))


@handler("DepthToSpace")
def depth_to_space(node: Node) -> None:
    """Channels to blocks of pixels, by depth, column and row or column, row and depth."""
    n, c, h, w = _sizes(node)
    b = node.integer("blocksize")
    if b < 1 or c % (b * b):
        raise node.invalid(f"{c} channels in blocks of {b}")
    to = [n, c // (b * b), h * b, w * b]
    if node.string("mode", "DCR") == "DCR":
        _rearranged(node, [n, b, b, c // (b * b), h, w], [0, 3, 4, 1, 5, 2], to)
    else:
        _rearranged(node, [n, c // (b * b), b, b, h, w], [0, 1, 4, 2, 5, 3], to)


@handler("SpaceToDepth")
def space_to_depth(node: Node) -> None:
    """Blocks of pixels to channels."""
    n, c, h, w = _sizes(node)
    b = node.integer("blocksize")
    if b < 1 or h % b or w % b:
        raise node.invalid(f"{h} by {w} pixels in blocks of {b}")
    to = [n, c * b * b, h // b, w // b]
    depth_last = node.string("mode", "DCR") != "DCR"
    perm = [0, 1, 3, 5, 2, 4] if depth_last else [0, 3, 5, 1, 2, 4]
    _rearranged(node, [n, c, h // b, b, w // b, b], perm, to)
