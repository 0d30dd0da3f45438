"""The range of reals that a tensor's 256 steps cover, chosen from its histogram.

An outlier either stretches the range, so that all other values are stored coarsely, or is cut.
The methods differ in how they weigh the two:

minmax
    Cuts nothing.
percentile
    Cuts 0.01 % of the values that are not zero, half on each side.
mse
    The cut of the least mean squared error.
entropy
    The cut whose distribution after quantization diverges least from the one before
    (Kullback-Leibler), as in S. Migacz, "8-bit inference with TensorRT", GTC 2017. Fewer values
    than bins are no distribution; they get minmax.
function
    By the error in what the only function that reads the tensor makes of it.
outputs
    A part of what was seen, by the noise in the network's outputs (`mixed`).
auto
    Of all but these two the one of the least mean squared error, measured over the histogram.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quaver.errors import InputError
from quaver.quantize.histogram import BINS, Histogram

Floats = NDArray[np.float64]

LEVELS = 255  # steps of a byte
_GRID = 16384  # points at which a function is known
_PERCENTILE = 1e-4
_SMALLEST = 1e-30  # of a scale: its square and its product with a weight's stay in float's range


class Range(NamedTuple):
    """Reals from lo to hi, zero among them."""

    lo: float
    hi: float
    method: str
    error: float
    """The mean squared error over the histogram, what is cut included."""
    cut: float
    """The part of the values outside, 0 to 1."""


class Affine(NamedTuple):
    """real = scale · (byte − zero)."""

    scale: np.float32
    zero: int


def through_bytes(x: NDArray[Any], scale: float | np.float32, zero: int) -> NDArray[Any]:
    """What stands in the bytes for `x`, as reals."""
    return np.asarray((np.clip(np.rint(x / scale) + zero, 0, LEVELS) - zero) * scale)


def affine(lo: float, hi: float) -> Affine:
    """The bytes for a range; zero is always one of them, and the scale is never 0."""
    lo, hi = min(lo, 0.0), max(hi, 0.0)
    scale = np.float32(max((hi - lo) / LEVELS, _SMALLEST))
    if not np.isfinite(scale):
        raise InputError(f"values from {lo:g} to {hi:g} are too large to be quantized")
    return Affine(scale, int(np.clip(np.rint(-lo / float(scale)), 0, LEVELS)))


def choose(histogram: Histogram, method: str = "auto") -> Range:
    """Choose the range of a tensor.

    Parameters
    ----------
    histogram
        Of the tensor's values.
    method
        A name of `METHODS`, or "auto".
    """
    names = list(METHODS) if method == "auto" else [method]
    found = []
    for name in names:
        lo, hi = METHODS[name](histogram)
        found.append(measured(histogram, min(lo, 0.0), max(hi, 0.0), name))
    return min(found, key=lambda r: r.error)


def choose_before(
    histogram: Histogram, function: Callable[[Floats], Floats], *, cut: bool
) -> Range:
    """Choose the range of a tensor that only a function of its single elements reads.

    Values of which the function makes nearly the same, as x · sigmoid(x) does of all below −4, need
    no steps.

    Parameters
    ----------
    histogram
        Of the tensor's values.
    function
        From float64 [n] to float64 [n].
    cut
        Seek the least squared error in what the function makes. Else leave out only what changes
        that by less than half of one of its steps.
    """
    x, n = _points(histogram)
    full = _minmax(histogram)
    if not x.size or full[0] == full[1]:
        return measured(histogram, *full, "minmax")
    grid = np.linspace(full[0], full[1], _GRID)
    made = function(grid)
    if not cut:
        least = (made.max() - made.min()) / LEVELS / 2
        starts = np.flatnonzero(np.abs(made - made[0]) > least)
        ends = np.flatnonzero(np.abs(made - made[-1]) > least)
        lo = grid[max(starts[0] - 1, 0)] if starts.size else full[0]
        hi = grid[min(ends[-1] + 1, _GRID - 1)] if ends.size else full[1]
        return measured(histogram, min(float(lo), 0.0), max(float(hi), 0.0), "function")
    exact = np.interp(x, grid, made)

    def error(lo: float, hi: float) -> float:
        scale = max((hi - lo) / LEVELS, _SMALLEST)
        stored = through_bytes(x, scale, round(-lo / scale))
        return float((n * (np.interp(stored, grid, made) - exact) ** 2).sum())

    lo, hi = _draw_in(full, error)
    return measured(histogram, lo, hi, "function")


def measured(histogram: Histogram, lo: float, hi: float, method: str) -> Range:
    """The range with the error and the cut it has on the histogram."""
    x, n = _points(histogram)
    if not x.size:
        return Range(lo, hi, method, 0.0, 0.0)
    total = histogram.total
    outside = n[(x < lo) | (x > hi)].sum() / total
    return Range(lo, hi, method, _error(x, n, lo, hi, histogram.width) / total, float(outside))


def _points(histogram: Histogram) -> tuple[Floats, Floats]:
    """The middles of bins with values, inside the range that was seen, and their counts."""
    used = np.flatnonzero(histogram.counts)
    x = np.clip(histogram.centers()[used], histogram.lo, histogram.hi)
    return x, histogram.counts[used].astype(np.float64)


def _error(x: Floats, n: Floats, lo: float, hi: float, width: float) -> float:
    """The summed squared error: what is cut, and the rounding of what is not.

    Values are spread over their bins, so rounding them costs scale²/12 where bins are wide
    against the steps; where they are narrow, it is counted from their middles.
    """
    scale = max((hi - lo) / LEVELS, _SMALLEST)
    kept = np.clip(x, lo, hi)
    rounding = np.full_like(x, scale * scale / 12)
    if width < scale / 2:
        zero = round(-lo / scale) * scale
        rounding = (np.rint((kept + zero) / scale) * scale - zero - kept) ** 2
    return float((n * (np.where(kept == x, rounding, 0.0) + (x - kept) ** 2)).sum())


def _minmax(histogram: Histogram) -> tuple[float, float]:
    return min(histogram.lo, 0.0), max(histogram.hi, 0.0)


def _percentile(histogram: Histogram) -> tuple[float, float]:
    x, n = _points(histogram)
    if not x.size:
        return _minmax(histogram)
    rank = np.cumsum(n)
    total = float(rank[-1])
    low = x[np.searchsorted(rank, total * _PERCENTILE / 2, side="right").clip(max=x.size - 1)]
    high = x[np.searchsorted(rank, total * (1 - _PERCENTILE / 2)).clip(max=x.size - 1)]
    half = histogram.width / 2
    return max(float(low) - half, histogram.lo), min(float(high) + half, histogram.hi)


def _mse(histogram: Histogram) -> tuple[float, float]:
    x, n = _points(histogram)
    full = _minmax(histogram)
    if not x.size:
        return full
    return _draw_in(full, lambda lo, hi: _error(x, n, lo, hi, histogram.width))


def _draw_in(
    full: tuple[float, float], error: Callable[[float, float], float]
) -> tuple[float, float]:
    """Draw each end in by fiftieths, in turn, as long as that helps."""
    steps = np.linspace(0.02, 1.0, 50)
    best = full
    for _ in range(3):
        before = best
        for end in (1, 0):
            ends = [
                (float(f * full[0]), best[1]) if end == 0 else (best[0], float(f * full[1]))
                for f in steps
            ]
            best = min(ends, key=lambda e: error(*e))
        if best == before:
            break
    return best


def _entropy(histogram: Histogram) -> tuple[float, float]:
    """Migacz's search, over cuts of the same part of either side."""
    x, n = _points(histogram)
    full = _minmax(histogram)
    if n.sum() < BINS:
        return full  # too few to be a distribution
    best, least = full, np.inf
    for part in np.linspace(0.1, 1.0, 91):
        lo, hi = float(part * full[0]), float(part * full[1])
        divergence = _divergence(x, n, lo, hi)
        if divergence < least:
            best, least = (lo, hi), divergence
    return best


def _divergence(x: Floats, n: Floats, lo: float, hi: float) -> float:
    """KL(P ‖ Q): P the values with the cut ones moved to the ends, Q what 256 steps keep of them.

    As in the source, Q spreads the count of each step evenly over its bins that are not empty.
    """
    inside = (x >= lo) & (x <= hi)
    if inside.sum() < 2:
        return float("inf")
    kept, counts = x[inside], n[inside]
    p = counts.copy()
    p[0] += n[x < lo].sum()
    p[-1] += n[x > hi].sum()
    step = np.minimum(((kept - lo) / (hi - lo) * 256).astype(np.int64), 255)
    sums, filled = np.bincount(step, counts, 256), np.bincount(step, minlength=256)
    q = sums[step] / filled[step]
    p, q = p / p.sum(), q / q.sum()
    return float((p * np.log(p / q)).sum())


METHODS: dict[str, Callable[[Histogram], tuple[float, float]]] = {
    "minmax": _minmax,
    "percentile": _percentile,
    "mse": _mse,
    "entropy": _entropy,
}
