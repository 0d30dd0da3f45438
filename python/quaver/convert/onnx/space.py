"""Blocks of pixels to channels and back."""

from __future__ import annotations

from quaver.convert.onnx.node import Node, handler
from quaver.convert.onnx.sizes import Dim, shape_of_dims

_N, _C, _H, _W = range(4)


def _block(node: Node) -> int:
    shape, block = node.shape(0), node.integer("blocksize")
    if shape is None or len(shape) != 4:
        raise node.unsupported(
            "it takes [N, C, H, W]; the rank of its input is not known, or other"
        )
    if block < 1:
        raise node.invalid(f"blocks of {block}")
    return block


def _expect_multiple(node: Node, of: int, *axes: int) -> None:
    for axis in axes:
        size = (node.shape(0) or ())[axis]
        if isinstance(size, int) and size % of:
            raise node.invalid(f"{size} on axis {axis} is no multiple of {of}")


def _rearranged(
    node: Node, split: tuple[Dim | int, ...], perm: list[int], to: tuple[Dim, ...]
) -> None:
    value = node.emit("Reshape", node.input(0), shape_of_dims(node, *split))
    value = node.emit("Transpose", value, perm=perm)
    node.result("Reshape", value, shape_of_dims(node, *to))


@handler("DepthToSpace")
def depth_to_space(node: Node) -> None:
    """Channels to blocks of pixels, by depth, column and row or column, row and depth."""
    b = _block(node)
    _expect_multiple(node, b * b, _C)
    n, c, h, w = Dim(_N), Dim(_C, 1, b * b), Dim(_H), Dim(_W)
    to = (n, c, Dim(_H, b), Dim(_W, b))
    if node.string("mode", "DCR") == "DCR":
        _rearranged(node, (n, b, b, c, h, w), [0, 3, 4, 1, 5, 2], to)
    else:
        _rearranged(node, (n, c, b, b, h, w), [0, 1, 4, 2, 5, 3], to)


@handler("SpaceToDepth")
def space_to_depth(node: Node) -> None:
    """Blocks of pixels to channels."""
    b = _block(node)
    _expect_multiple(node, b, _H, _W)
    n, c, h, w = Dim(_N), Dim(_C), Dim(_H, 1, b), Dim(_W, 1, b)
    depth_last = node.string("mode", "DCR") != "DCR"
    perm = [0, 1, 3, 5, 2, 4] if depth_last else [0, 3, 5, 1, 2, 4]
    _rearranged(node, (n, c, h, b, w, b), perm, (n, Dim(_C, b * b), h, w))
