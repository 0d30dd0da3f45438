"""The quantizers that are compared: ours by its defaults, peers by the recipes they document."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

import quaver
from accuracy.classification import Run
from zoo.graph import FloatArray


class Recipe(NamedTuple):
    """How to quantize, and how to run the result."""

    quantize: Callable[[Path, Path, Path], None]  # model, calibration .npy, where to write
    runner: Callable[[Path], Run]


def quantize(name: str, model: Path, samples: Path, made: Path) -> dict[str, float]:
    """Quantize in this process; give the time and peak memory it took."""
    start = time.perf_counter()
    ALL[name].quantize(model, samples, made)
    return {"seconds": time.perf_counter() - start, "peak_mb": _peak_mb()}


def _peak_mb() -> float:
    """The most memory this process had; unlike getrusage's, without the parent's at the fork."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


def ours_runner(model: Path) -> Run:
    """Run a model on Quaver."""
    return quaver.load(model)


def _ours(model: Path, samples: Path, made: Path) -> None:
    quaver.quantize(model, samples, measure=False).save(made)


def _onnxruntime_runner(model: Path) -> Run:
    import onnxruntime as ort  # noqa: PLC0415 -- a peer

    options = ort.SessionOptions()
    # Without VNNI its sums of u8 · s8 saturate at 16 bits unless it is told to be exact.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return lambda x: np.asarray(session.run(None, {"input": x})[0])


def _onnxruntime(method: str) -> Callable[[Path, Path, Path], None]:
    """Static quantization as documented: pre-processing, QDQ, weights per channel."""

    def run(model: Path, samples: Path, made: Path) -> None:
        from onnxruntime import quantization as ortq  # noqa: PLC0415 -- a peer
        from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

        prepared = made.with_suffix(".prepared.onnx")
        quant_pre_process(model, prepared, skip_symbolic_shape=True)
        images = np.load(samples, mmap_mode="r")
        ortq.quantize_static(
            prepared,
            made,
            _Reader(image[np.newaxis] for image in images),
            calibrate_method=ortq.CalibrationMethod[method],
            activation_type=ortq.QuantType.QUInt8,
            weight_type=ortq.QuantType.QInt8,
            per_channel=True,
        )

    return run


class _Reader:
    """Feeds images, as onnxruntime's CalibrationDataReader."""

    def __init__(self, images: Iterator[FloatArray]) -> None:
        self._images = images

    def get_next(self) -> dict[str, FloatArray] | None:
        image = next(self._images, None)
        return None if image is None else {"input": np.ascontiguousarray(image)}


#: Every recipe, by the name it has in the table.
ALL = {
    "quaver": Recipe(_ours, ours_runner),
    "onnxruntime-minmax": Recipe(_onnxruntime("MinMax"), _onnxruntime_runner),
    "onnxruntime-entropy": Recipe(_onnxruntime("Entropy"), _onnxruntime_runner),
    "onnxruntime-percentile": Recipe(_onnxruntime("Percentile"), _onnxruntime_runner),
}
