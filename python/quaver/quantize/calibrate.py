"""One pass over the samples; what stays of a tensor is a histogram and numbers per channel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from quaver import progress
from quaver.errors import ModelError
from quaver.quantize.channels import Channels
from quaver.quantize.data import Feed
from quaver.quantize.engine import Observer
from quaver.quantize.histogram import Histogram
from quaver.quantize.net import Array, Net


class Statistics:
    """Histograms of tensors, and channels of those that have them, by name."""

    def __init__(self) -> None:
        self.histograms: dict[str, Histogram] = {}
        self.channels: dict[str, Channels] = {}
        self.samples = 0

    def add(self, name: str, array: Array, axis: int | None) -> None:
        """Take in a tensor of one run."""
        if not np.isfinite(array).all():
            raise ModelError(
                f"tensor {name!r} of the float model has NaN or infinite values on sample "
                f"{self.samples}; see which operator makes them, and whether the data is "
                "normalized as in training"
            )
        if array.size == 0:
            return
        self.histograms.setdefault(name, Histogram()).add(array)
        if axis is not None:
            self.channels.setdefault(name, Channels(array.shape[axis])).add(array, axis)


def calibrate(
    net: Net,
    names: Sequence[str],
    samples: Iterable[Feed],
    *,
    total: int,
    engine: str = "quaver",
    axes: Mapping[str, int] | None = None,
) -> Statistics:
    """Run the float model and take in the tensors of these names.

    Memory does not grow with the number of samples. Channels lie along `axes`, of tensors that are
    not in it where images and rows have them.
    """
    observer = Observer(net, names, engine)
    statistics = Statistics()
    known = axes or {}
    along = {name: known.get(name, _channel_axis(net, name)) for name in names}
    for feed in progress.track(samples, total, "calibrating"):
        for name, array in observer.run(feed):
            statistics.add(name, array, along[name])
        statistics.samples += 1
    return statistics


def _channel_axis(net: Net, name: str) -> int | None:
    """Where a tensor's channels are: second in images and what convolutions take, else last."""
    rank = len(net.shape(name) or ())
    convolved = any(
        user.op_type in ("Conv", "ConvTranspose") and user.input[0] == name
        for user in net.users.get(name, [])
    )
    if rank == 4 or convolved:
        return 1
    return rank - 1 if rank > 1 else None
