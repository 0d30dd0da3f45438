"""Taking a version out of a slot and giving it back, against the usual ways."""

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
    times = {(way, int(threads)): float(nanoseconds) for way, threads, nanoseconds in rows}
    for (way, threads), nanoseconds in times.items():
        ratio = times["slot", threads] / nanoseconds
        record("slot", way, str(threads), f"{nanoseconds:.1f}", f"{ratio:.2f}")
    alone = {way: nanoseconds for (way, threads), nanoseconds in times.items() if threads == 1}
    assert alone["slot"] < 1.5 * alone.pop("additions")  # the least that counting can cost
    assert min(alone, key=alone.__getitem__) == "slot"
