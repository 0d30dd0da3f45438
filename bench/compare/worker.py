"""One runtime with one model in a process of its own: ``python -m compare.worker``.

Its first argument is JSON: runtime, path, threads, inputs (an .npz), options (of loading). It
answers a line of JSON for each line of JSON on stdin, after one that says what loading took. So
runtimes share no allocator, no pool of threads and no peak of memory, and wait asleep while another
has its turn.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from compare.runtimes import RUNTIMES

WAKING = 0.2
"""Seconds of running before times count."""

clock = time.perf_counter


def main() -> None:
    """Load the model, then answer until stdin ends."""
    job = json.loads(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a runtime prints is no answer
    with np.load(job["inputs"]) as file:
        inputs = dict(file)
    runtime = RUNTIMES[job["runtime"]]
    before = _memory("VmRSS")
    start = clock()
    runtime.prepare()
    imported = clock()
    run = runtime.load(Path(job["path"]), job["threads"], **job["options"]).run
    loaded = clock()
    outputs = run(inputs)
    facts = {
        "import_ms": 1e3 * (imported - start),
        "load_ms": 1e3 * (loaded - imported),
        "peak_mb": _memory("VmHWM") - before,
    }
    print(json.dumps(facts), file=answers, flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        if "save" in task:
            np.savez(task["save"], *outputs)
            answer: Any = {}
        elif "loads" in task:
            answer = {"load_ms": _loads(runtime, job, task["loads"])}
        else:
            answer = {"times": _turn(lambda: run(inputs), **task)}
        print(json.dumps(answer), file=answers, flush=True)


def _turn(run: Any, seconds: float, least: int, calls: int = 1) -> list[float]:
    """Seconds a run, measured `calls` runs at a time, at least so often and for so long in all."""
    # A processor that slept takes about a tenth of a second to raise its clock again.
    awake = clock() + WAKING
    run()
    while clock() < awake:
        run()
    times: list[float] = []
    end = clock() + seconds
    while len(times) < least or clock() < end:
        start = clock()
        for _ in range(calls):
            run()
        times.append((clock() - start) / calls)
    return times


def _loads(runtime: Any, job: dict[str, Any], count: int) -> list[float]:
    """Milliseconds of loading again, the last model still there."""
    times = []
    for _ in range(count):
        start = clock()
        kept = runtime.load(Path(job["path"]), job["threads"], **job["options"])
        times.append(1e3 * (clock() - start))
        del kept
    return times


def _memory(field: str) -> float:
    """Megabytes, as the kernel counts them."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return float(line.split()[1]) * 1024 / 1e6
    raise KeyError(field)


if __name__ == "__main__":
    main()
