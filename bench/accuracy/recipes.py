"""The quantizers that are compared: ours by its defaults, peers by the recipes they document."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

import quaver
from accuracy.task import Feed

Run: TypeAlias = Callable[[Feed], NDArray[Any]]


class Recipe(NamedTuple):
    """How to quantize, and how to run the result."""

    quantize: Callable[[Path, Path, Path], None]  # model, folder of .npz, where to write
    runner: Callable[[Path], Run]


def quantize(name: str, model: Path, samples: Path, made: Path) -> dict[str, float]:
    """Quantize in this process; give the time and peak memory it took."""
    start = time.perf_counter()
    ALL[name].quantize(model, samples, made)
    return {"seconds": time.perf_counter() - start, "peak_mb": peak_mb()}


def save(feeds: Sequence[Feed], folder: Path) -> None:
    """Write the samples of a calibration, a file for each run."""
    folder.mkdir()
    for i, feed in enumerate(feeds):
        np.savez(folder / f"{i:05}.npz", **feed)  # type: ignore[arg-type]


def ours_runner(model: Path) -> Run:
    """Run a model on Quaver, with one thread."""
    loaded = quaver.load(model, threads=1)
    return lambda feed: next(iter(loaded.run(feed).values()))


def peak_mb() -> float:
    """The most memory this process had; unlike getrusage's, without the parent's at the fork."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


def _feeds(folder: Path) -> Iterator[Feed]:
    for file in sorted(folder.iterdir()):
        with np.load(file) as arrays:
            yield dict(arrays)


def _ours(model: Path, samples: Path, made: Path) -> None:
    quaver.quantize(model, samples, measure=False).save(made)


def _onnxruntime_runner(model: Path) -> Run:
    import onnxruntime as ort  # noqa: PLC0415 -- a peer

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    # Without VNNI its sums of u8 · s8 saturate at 16 bits unless it is told to be exact.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return lambda feed: np.asarray(session.run(None, feed)[0])


def _onnxruntime(method: str) -> Callable[[Path, Path, Path], None]:
    """Static quantization as documented: pre-processing, QDQ, weights per channel."""

    def run(model: Path, samples: Path, made: Path) -> None:
        from onnxruntime import quantization as ortq  # noqa: PLC0415 -- a peer
        from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

        prepared = made.with_suffix(".prepared.onnx")
        quant_pre_process(model, prepared, skip_symbolic_shape=True)
        ortq.quantize_static(
            prepared,
            made,
            _Reader(_feeds(samples)),
            calibrate_method=ortq.CalibrationMethod[method],
            activation_type=ortq.QuantType.QUInt8,
            weight_type=ortq.QuantType.QInt8,
            per_channel=True,
        )

    return run


class _Reader:
    """Feeds samples, as onnxruntime's CalibrationDataReader."""

    def __init__(self, feeds: Iterator[Feed]) -> None:
        self._feeds = feeds

    def get_next(self) -> Feed | None:
        return next(self._feeds, None)


def _nncf(transformer: bool) -> Callable[[Path, Path, Path], None]:
    """Post-training quantization as documented; `transformer` is its recipe for these."""

    def run(model: Path, samples: Path, made: Path) -> None:
        import nncf  # noqa: PLC0415 -- a peer
        import openvino as ov  # noqa: PLC0415

        feeds = list(_feeds(samples))
        options = {"model_type": nncf.ModelType.TRANSFORMER} if transformer else {}
        quantized = nncf.quantize(
            ov.Core().read_model(model),
            nncf.Dataset(feeds),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(feeds),
            fast_bias_correction=True,
            **options,
        )
        ov.save_model(quantized, made.with_suffix(".xml"), compress_to_fp16=False)

    return run


def _openvino_runner(model: Path) -> Run:
    import openvino as ov  # noqa: PLC0415 -- a peer

    options = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
    compiled = ov.Core().compile_model(model.with_suffix(".xml"), "CPU", options)
    return lambda feed: np.array(compiled(feed)[0])


#: Every recipe, by the name it has in the table.
ALL = {
    "quaver": Recipe(_ours, ours_runner),
    "onnxruntime-minmax": Recipe(_onnxruntime("MinMax"), _onnxruntime_runner),
    "onnxruntime-entropy": Recipe(_onnxruntime("Entropy"), _onnxruntime_runner),
    "onnxruntime-percentile": Recipe(_onnxruntime("Percentile"), _onnxruntime_runner),
    "nncf": Recipe(_nncf(transformer=False), _openvino_runner),
    "nncf-transformer": Recipe(_nncf(transformer=True), _openvino_runner),
}
