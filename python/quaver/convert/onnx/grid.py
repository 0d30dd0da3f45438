"""Sampling at places that are computed."""

from __future__ import annotations

from quaver.convert.onnx.node import MICROSOFT, Node, handler

_MODES = {"bilinear": "linear", "bicubic": "cubic"}  # the names before opset 20


@handler("GridSample")
@handler("GridSample", domain=MICROSOFT)
def grid_sample(node: Node) -> None:
    """Pixels at the places of a grid."""
    mode = node.string("mode", "linear")
    node.result(
        "GridSample",
        node.input(0),
        node.input(1),
        mode=_MODES.get(mode, mode),
        padding_mode=node.string("padding_mode", "zeros"),
        align_corners=node.integer("align_corners"),
    )
