"""Histograms that grow: the same whatever the order and grouping of the samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 2048


class Histogram:
    """Counts of a tensor's values in at most 2048 bins.

    The width of a bin is a power of two and edges are multiples of it, so a bin of twice the
    width is exactly two of these: when a value falls outside, bins merge in pairs until all fits.
    No range need be known beforehand, and what results depends on the values alone, not on the
    order in which they came. Exact zeros, which quantization keeps, are counted apart.
    """

    def __init__(self) -> None:
        self._exponent: int | None = None  # a bin is 2**exponent wide
        self._first = 0  # bin 0 begins at first * width
        self.counts = np.zeros(BINS, np.int64)
        self.zeros = 0
        self.lo = math.inf
        self.hi = -math.inf

    @property
    def width(self) -> float:
        """Of one bin."""
        return 0.0 if self._exponent is None else math.ldexp(1.0, self._exponent)

    @property
    def total(self) -> int:
        """How many values were added."""
        return int(self.counts.sum()) + self.zeros

    def centers(self) -> NDArray[np.float64]:
        """The middle of every bin."""
        return np.asarray((np.arange(BINS) + self._first + 0.5) * self.width, np.float64)

    def bars(self, most: int) -> tuple[list[int], list[float]]:
        """At most so many bars to draw, without the exact zeros: counts and edges."""
        used = np.flatnonzero(self.counts)
        if not used.size:
            return [], []
        first, last = int(used[0]), int(used[-1]) + 1
        per_bar = -(-(last - first) // most)
        starts = np.arange(first, last, per_bar)
        left = self.centers()[0] - self.width / 2
        edges = left + np.append(starts, starts[-1] + per_bar) * self.width
        return np.add.reduceat(self.counts[:last], starts).tolist(), edges.tolist()

    def add(self, array: NDArray[Any]) -> None:
        """Count the values of a finite array."""
        values = array.reshape(-1)
        if not values.size:
            return
        lo, hi = float(values.min()), float(values.max())
        self.lo, self.hi = min(self.lo, lo), max(self.hi, hi)
        values = values[values != 0]
        self.zeros += array.size - values.size
        if not values.size:
            return
        self._fit(float(values.min()), float(values.max()))
        scaled = np.floor(values.astype(np.float64) * (1 / self.width)).astype(np.int64)
        self.counts += np.bincount(scaled - self._first, minlength=BINS)

    def merge(self, other: Histogram) -> None:
        """Add the counts of another."""
        self.lo, self.hi = min(self.lo, other.lo), max(self.hi, other.hi)
        self.zeros += other.zeros
        if other._exponent is None:
            return
        used = np.flatnonzero(other.counts)
        start = (used + other._first) * other.width
        self._fit(float(start[0]), float(start[-1]), other._exponent)
        index = np.floor(start / self.width).astype(np.int64) - self._first
        np.add.at(self.counts, index, other.counts[used])

    def _fit(self, lo: float, hi: float, finest: int = -1000) -> None:
        """Merge bins until there is one for these values too."""
        old, used = self._exponent, np.flatnonzero(self.counts)
        if old is not None and used.size:
            lo = min(lo, (self._first + int(used[0])) * self.width)
            hi = max(hi, (self._first + int(used[-1])) * self.width)
        # 32 bits below the largest magnitude: where all values are nearly the same
        finest = max(finest, math.frexp(max(abs(self.lo), abs(self.hi)))[1] - 32)
        exponent = finest if old is None else max(old, finest)
        while _bin(hi, exponent) - _bin(lo, exponent) >= BINS:
            exponent += 1
        first, counts = _bin(lo, exponent), np.zeros(BINS, np.int64)
        if old is not None:
            np.add.at(counts, ((used + self._first) >> (exponent - old)) - first, self.counts[used])
        self._exponent, self._first, self.counts = exponent, first, counts


def _bin(value: float, exponent: int) -> int:
    return math.floor(math.ldexp(value, -exponent))
