"""Taking a version out of a slot and giving it back, together and apart, against the usual ways."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tables import record

BUILD = os.environ.get("QUAVER_BUILD_DIR")


@pytest.mark.skipif(not BUILD, reason="QUAVER_BUILD_DIR names no build; `make bench` does")
def test_acquire_and_release() -> None:
    done = subprocess.run(
        [Path(BUILD or "", "quaver_bench_slot")], capture_output=True, text=True, check=True
    )
    rows = [line.split() for line in done.stdout.splitlines()]
    times = {(way, int(threads)): [float(ns) for ns in more] for way, threads, *more in rows}
    for (way, threads), (both, take, give) in times.items():
        ratio = times["slot", threads][0] / both
        figures = [f"{ns:.1f}" for ns in (both, take, give)]
        record("slot", way, str(threads), *figures, f"{ratio:.2f}")
    alone = {way: of for (way, threads), of in times.items() if threads == 1}
    additions = alone.pop("additions")  # the least that counting can cost
    both, take, _ = alone["slot"]
    assert take < max(10, 1.5 * additions[1])  # nanoseconds
    assert both < 1.5 * additions[0]
    assert min(alone, key=alone.__getitem__) == "slot"
