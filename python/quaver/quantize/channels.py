"""What calibration keeps of the channels of a tensor."""

from __future__ import annotations

import numpy as np

from quaver.quantize.net import Array
from quaver.quantize.ranges import LEVELS, Affine

_KEPT, _MOST_KEPT = 8, 512  # values of each channel, of a run and of all


class Channels:
    """Least, greatest and mean value of each channel, and some of its values.

    Parameters
    ----------
    count
        How many channels there are.
    """

    def __init__(self, count: int) -> None:
        self.lo = np.full(count, np.inf)
        self.hi = np.full(count, -np.inf)
        self._sum = np.zeros(count)
        self._values = 0
        self._kept: list[Array] = []  # [count, _KEPT], of every so many runs
        self._runs, self._every = 0, 1

    @property
    def mean(self) -> Array:
        """Of each channel, in double precision."""
        return self._sum / max(1, self._values)

    @property
    def power(self) -> Array:
        """The mean square of each channel, of some of its values."""
        return np.asarray(np.mean(np.square(self._some(), dtype=np.float64), axis=1))

    def add(self, array: Array, axis: int) -> None:
        """Take in a tensor whose channels lie along `axis`."""
        others = tuple(i for i in range(array.ndim) if i != axis)
        self.lo = np.minimum(self.lo, array.min(axis=others))
        self.hi = np.maximum(self.hi, array.max(axis=others))
        self._sum += array.sum(axis=others, dtype=np.float64)
        self._values += array.size // len(self.lo)
        self._draw(np.moveaxis(array, axis, 0).reshape(len(self.lo), -1))

    def error(self, numbers: Affine) -> Array:
        """What rounding to bytes adds to each channel on average.

        Not nothing where many values are the same, as what a function makes of all that it takes
        for nothing. Values that are cut count as without error: their errors are too uneven for
        their mean to be of use.
        """
        scale, zero = float(numbers.scale), numbers.zero
        steps = self._some().astype(np.float64) / scale
        rounding = np.rint(steps) - steps
        rounding[(steps < -zero) | (steps > LEVELS - zero)] = 0
        return np.asarray(rounding.mean(axis=1) * scale)

    def _some(self) -> Array:
        return np.concatenate(self._kept, axis=1)

    def _draw(self, rows: Array) -> None:
        """Keep values at places by chance, the same in every quantization; not of too many runs."""
        if self._runs % self._every == 0:
            generator = np.random.default_rng(self._runs)
            self._kept.append(rows[:, generator.integers(rows.shape[1], size=_KEPT)])
            if len(self._kept) * _KEPT > _MOST_KEPT:
                del self._kept[1::2]
                self._every *= 2
        self._runs += 1
