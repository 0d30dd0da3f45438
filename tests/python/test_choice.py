"""What decides between kernels, and what a profile tells of it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import quaver
from quaver import inspect


def _inspect(path: Path, kernel: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "quaver", "inspect", str(path), "--json", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "QUAVER_KERNEL": kernel},
    )


def _profile(path: Path) -> list[dict[str, Any]]:
    return inspect.report(quaver.load(path, threads=1), profile=3)["nodes"]


def test_profile_names_pick_candidates_and_peak(convolution_path: Path) -> None:
    for node in _profile(convolution_path):
        assert node["ms"] >= 0
        assert node["peak"] in (None, "macs", "copy")
        assert (node["of_peak"] is None) == (node["peak"] is None)
        if node["candidates"]:
            assert node["kernel"] in node["candidates"]
            timed = {name for name in node["candidates"] if "scalar" not in name}
            assert set(node["candidate_ms"]) == timed | {node["kernel"]}
    assert any(node["peak"] == "macs" for node in _profile(convolution_path)) or (
        quaver.load(convolution_path).isa in ("scalar", "neondot")
    )


@pytest.mark.parametrize(("threads", "on"), [(1, "one thread"), (2, "2 threads")])
def test_profile_table_has_columns(convolution_path: Path, threads: int, on: str) -> None:
    report = inspect.report(quaver.load(convolution_path), profile=1, threads=threads)
    text = inspect.render(report)
    for word in ("of peak", "candidates", f"in the steps, {on}"):
        assert word in text


def test_environment_prefers_a_kernel(convolution_path: Path) -> None:
    model = quaver.load(convolution_path, threads=1)
    picked = inspect.report(model)["nodes"]
    convolution = next(node for node in picked if node["op"] == "Conv")
    scalar = convolution["candidates"][0]
    done = _inspect(convolution_path, scalar)
    assert done.returncode == 0, done.stderr
    nodes = json.loads(done.stdout)["nodes"]
    assert next(node for node in nodes if node["op"] == "Conv")["kernel"] == scalar


@pytest.mark.parametrize(
    ("kernel", "isa", "words"),
    [
        ("gemm_u8_best", None, "QUAVER_KERNEL=gemm_u8_best: there is no such kernel"),
        ("gemm_u8_avx2_6x16", "scalar", "needs avx2"),
    ],
)
def test_environment_names_no_usable_kernel(
    convolution_path: Path, kernel: str, isa: str | None, words: str
) -> None:
    if isa and platform.machine() != "x86_64":
        words = "there is no such kernel"
    done = _inspect(convolution_path, kernel, *(["--isa", isa] if isa else []))
    assert done.returncode == 1
    assert words in done.stderr


def test_one_thread_starts_none(convolution_path: Path) -> None:
    code = f"""
import os
import numpy as np
import quaver
import quaver._core
before = len(os.listdir("/proc/self/task"))
model = quaver.load({str(convolution_path)!r}, threads=1)
for _ in range(3):
    model(np.zeros((1, 3, 16, 16), np.float32))
assert len(os.listdir("/proc/self/task")) == before
two = quaver.load({str(convolution_path)!r}, threads=2)
two(np.zeros((1, 3, 16, 16), np.float32))
assert len(os.listdir("/proc/self/task")) == before + 1
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_two_models_at_once_agree(convolution_path: Path, image: np.ndarray) -> None:
    from concurrent.futures import ThreadPoolExecutor

    models = [quaver.load(convolution_path, threads=2) for _ in range(3)]
    wanted = models[0](image)
    with ThreadPoolExecutor(6) as pool:
        answers = pool.map(lambda i: models[i % 3](image), range(60))
        assert all(np.array_equal(wanted, answer) for answer in answers)
