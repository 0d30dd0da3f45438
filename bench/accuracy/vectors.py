"""Cosines of answers and overlaps of boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accuracy.task import Answers

Array = NDArray[Any]


def cosines(truth: Answers, answers: Answers) -> Array:
    """The cosine of each answer to the true one."""
    found = []
    for exact, answer in zip(truth, answers, strict=True):
        a, b = exact.astype(np.float64).reshape(-1), answer.astype(np.float64).reshape(-1)
        found.append(float(a @ b) / max(float(np.sqrt((a @ a) * (b @ b))), 1e-300))
    return np.array(found)


def overlap(one: Array, other: Array) -> Array:
    """Intersection over union of each box with each other, [n, m]; boxes are x0, y0, x1, y1."""
    low = np.maximum(one[:, np.newaxis, :2], other[np.newaxis, :, :2])
    high = np.minimum(one[:, np.newaxis, 2:], other[np.newaxis, :, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (one, other)]
    return np.asarray(common / (areas[0][:, np.newaxis] + areas[1] - common))
