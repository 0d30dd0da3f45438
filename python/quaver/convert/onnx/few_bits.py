"""Integers with a zero point and a scale for each block of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from quaver.convert.builder import Array


class Blocks(NamedTuple):
    """Numbers, and a zero point and a scale for each block of them along an axis."""

    numbers: Array
    zeros: Array
    scales: Array
    block: int

    def reals(self, axis: int) -> Array:
        """Return the reals that they stand for."""
        size = range(self.numbers.shape[axis])
        zeros, scales = (
            np.take(np.repeat(a, self.block, axis=axis), size, axis=axis).astype(np.float32)
            for a in (self.zeros, self.scales)
        )
        return np.asarray((self.numbers.astype(np.float32) - zeros) * scales, np.float32)
