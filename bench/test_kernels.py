"""Kernels against this machine's measured register peak, one thread.

The kernels run in `quaver_bench`, which times them itself; the timer given to pytest-benchmark
adds up what it reports.
"""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tables import record

BUILD = os.environ.get("QUAVER_BUILD_DIR")
BINARY = Path(BUILD, "quaver_bench") if BUILD else None

#: Rows, columns, products an output; for depthwise kernels pixels, channels, taps.
SHAPES = {
    "gemm": [
        (512, 512, 512),
        (784, 128, 1152),
        (196, 256, 2304),
        (128, 1536, 384),
        (3136, 64, 576),
        (49, 512, 4608),
        (128, 384, 384),
        (1, 1000, 2048),
    ],
    "depthwise": [(3136, 128, 9), (784, 192, 9), (196, 576, 9), (784, 240, 25), (49, 960, 9)],
}
ROUNDS = 15


@cache
def _server() -> subprocess.Popen[str]:
    assert BINARY is not None
    return subprocess.Popen([BINARY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _ask(question: str) -> str:
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    print(question, file=server.stdin, flush=True)
    return server.stdout.readline().strip()


@cache
def _peak(dtype: str, isa: str) -> float:
    return float(_ask(f"peak {dtype} {isa}"))


def _kernels() -> list[tuple[str, str, str]]:
    if BINARY is None:
        return []
    listing = subprocess.run([BINARY], input="list\n", capture_output=True, text=True, check=True)
    rows = [tuple(line.split()) for line in listing.stdout.splitlines() if line]
    return [(family, name, isa) for family, name, isa in rows if isa != "scalar"]


CASES = [
    pytest.param(family, name, isa, shape, id=f"{name}-{'x'.join(map(str, shape))}")
    for family, name, isa in _kernels()
    for shape in SHAPES[family.split("_")[0]]
]

_elapsed = 0.0


def _clock() -> float:
    return _elapsed


def _advance(question: str) -> None:
    global _elapsed  # noqa: PLW0603 -- the clock's hand
    _elapsed += float(_ask(question))


@pytest.mark.skipif(BINARY is None, reason="QUAVER_BUILD_DIR names no build; `make bench` does")
def test_there_are_kernels() -> None:
    assert CASES


@pytest.mark.benchmark(timer=_clock)
@pytest.mark.parametrize(("family", "name", "isa", "shape"), CASES)
def test_kernel(
    benchmark: BenchmarkFixture, family: str, name: str, isa: str, shape: tuple[int, int, int]
) -> None:
    m, n, k = shape
    benchmark.group = f"{family} {m}x{n}x{k}"
    question = f"run {name} {m} {n} {k}"
    benchmark.pedantic(_advance, (question,), rounds=ROUNDS, warmup_rounds=1)
    if benchmark.disabled:  # it ran once, and nothing was timed
        return
    seconds = benchmark.stats.stats.median
    rate = m * n * k / seconds
    peak = _peak(family.split("_")[1], isa)
    benchmark.extra_info |= {"GMAC/s": rate / 1e9, "of peak": rate / peak}
    cells = (f"{seconds * 1e6:.1f}", f"{rate / 1e9:.1f}", f"{rate / peak:.0%}")
    record("kernels", name, f"{m}x{n}x{k}", *cells)
    assert 0 < rate < 1.1 * peak
