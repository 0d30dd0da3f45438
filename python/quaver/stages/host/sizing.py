"""Operators whose results are as large as the contents of their inputs make them."""

from __future__ import annotations

from typing import Any

import numpy as np

from quaver import _core
from quaver.convert.onnx.names import MICROSOFT
from quaver.stages.host.node import HostNode, host


@host("NonZero")
def non_zero(_: HostNode, x: Any) -> Any:
    """Indices of the elements that are not zero."""
    return np.array(np.nonzero(np.atleast_1d(x)), np.int64).reshape(max(x.ndim, 1), -1)


@host("Compress")
def compress(node: HostNode, x: Any, condition: Any) -> Any:
    """The slices of an axis at which a condition holds."""
    return np.compress(condition, x, node.get("axis"))


@host("Unique")
def unique(node: HostNode, x: Any) -> tuple[Any, ...]:
    """Each element, or slice of an axis, once; where it is first, which it is, how often."""
    return _unique(x, node.get("axis"), in_order=not node.get("sorted", 1))


@host("Unique", domain=MICROSOFT)
def unique_in_order(_: HostNode, x: Any) -> tuple[Any, ...]:
    """Each element once, in the order they come; which it is, how often."""
    values, _first, inverse, counts = _unique(x, None, in_order=True)
    return values, inverse, counts


def _unique(x: Any, axis: int | None, *, in_order: bool) -> tuple[Any, ...]:
    values, first, inverse, counts = np.unique(
        x, return_index=True, return_inverse=True, return_counts=True, axis=axis
    )
    inverse = inverse.reshape(-1)
    if in_order:
        order = np.argsort(first)
        rank = np.empty_like(order)
        rank[order] = np.arange(order.size)
        values = np.take(values, order, axis=axis or 0)
        first, counts, inverse = first[order], counts[order], rank[inverse]
    return values, first.astype(np.int64), inverse.astype(np.int64), counts.astype(np.int64)


@host("NonMaxSuppression")
def non_max_suppression(  # noqa: PLR0917 -- as many as ONNX has
    node: HostNode,
    boxes: Any,
    scores: Any,
    limit: Any = None,
    iou: Any = None,
    threshold: Any = None,
) -> Any:
    """(picture, class, box) of the boxes kept."""
    return _core.non_max_suppression(
        boxes,
        scores,
        0 if limit is None else int(limit.reshape(())),
        0.0 if iou is None else float(iou.reshape(())),
        None if threshold is None else float(threshold.reshape(())),
        bool(node.get("center_point_box", 0)),
    )
