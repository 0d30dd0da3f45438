"""Time and peak memory of quantizing on many pictures.

``PYTHONPATH=bench python -m accuracy.memory`` quantizes ResNet-50 on 1,000 crops of photographs,
which are drawn one after the other, and prints what that took as JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator

import numpy as np

import quaver
from accuracy.recipes import peak_mb
from accuracy.task import Feed
from zoo import cache as zoo
from zoo import photos

_AT_ONCE = 20


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m accuracy.memory", description=__doc__)
    parser.add_argument("--network", choices=sorted(zoo.NETWORKS), default="resnet50")
    parser.add_argument("--samples", type=int, default=1000)
    arguments = parser.parse_args()
    model = zoo.path(arguments.network)
    before, start = peak_mb(), time.perf_counter()
    report = quaver.quantize(model, _crops(arguments.network, arguments.samples)).report
    facts = {
        "network": arguments.network,
        "samples": report["samples"],
        "seconds": round(time.perf_counter() - start, 1),
        "peak_mb": round(peak_mb()),
        "peak_mb_before": round(before),
    }
    print(json.dumps(facts))


def _crops(network: str, count: int) -> Iterator[Feed]:
    normalization = zoo.NETWORKS[network].NORMALIZATION
    for first in range(0, count, _AT_ONCE):
        drawn = photos.random_crops(min(_AT_ONCE, count - first), normalization, seed=first)
        yield from ({"input": np.ascontiguousarray(crop[np.newaxis])} for crop in drawn)


if __name__ == "__main__":
    main()
