"""Published models, whole and natively, against ONNX Runtime."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import onnx
import onnx.version_converter
import onnxruntime
import pytest
from skimage import data, transform

import quaver
from fetched import fetched
from test_networks import check_layers
from zoo.quantize import quantize

pytestmark = pytest.mark.slow

rng = np.random.default_rng(20261125)


def reals(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def page(height: int, width: int) -> np.ndarray:
    """A piece of a scanned page with text, as [1, 3, height, width] of mean 0."""
    image = transform.resize(data.page()[:, :384], (height, width), anti_aliasing=True)
    return np.repeat((image[None, None] - 0.5) / 0.5, 3, 1).astype(np.float32)


def voice(samples: int) -> np.ndarray:
    t = np.arange(samples) / 16000
    return (0.3 * np.sin(2 * np.pi * 180 * t) + 0.02 * rng.standard_normal(samples))[None].astype(
        np.float32
    )


def file_bytes(batch: int) -> np.ndarray:
    """What magika looks at: bytes of a file, 256 where there is none."""
    return rng.integers(0, 257, (batch, 2048)).astype(np.int32)


def compare(name: str, *runs: dict[str, Any], tolerance: float = 1e-4) -> quaver.Model:
    """Load once, run all; errors relative to the largest value of each output."""
    path = fetched(name)
    model = quaver.load(path, fallback=None)
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    for feeds in runs:
        for got, want in zip(model.run(feeds).values(), session.run(None, feeds), strict=True):
            assert got.shape == want.shape
            assert np.abs(got - want).max() <= tolerance * np.abs(want).max()
    return model


def test_magika() -> None:
    compare("magika", *({"bytes": file_bytes(n)} for n in (1, 3)))


def test_yolov8n() -> None:
    sizes = [(1, 320, 320), (2, 256, 320)]
    compare("yolov8n", *({"images": np.abs(reals(n, 3, h, w)) % 1} for n, h, w in sizes))


def test_ppocr_detector() -> None:
    sizes = [(side, 2 * side) for side in (160, 320)]
    compare("ppocr-det", *({"x": page(*size)} for size in sizes))


def test_ppocr_recognizer_at_widths_without_loading_again() -> None:
    runs = [{"x": page(48, width)} for width in (160, 320, 960)]
    model = compare("ppocr-rec", *runs, *runs)
    model.run(runs[0])
    tracemalloc.start()
    first = tracemalloc.get_traced_memory()[0]
    for _ in range(3):
        for feeds in runs:  # the answers are the caller's; nothing else is kept
            model.run(feeds)
    assert tracemalloc.get_traced_memory()[0] - first < 4096
    tracemalloc.stop()


#: Runs of each, and how many quantized tensors there are at least.
LAYERS: dict[str, tuple[list[dict[str, np.ndarray]], int]] = {
    "yolov8n": ([{"images": np.abs(reals(1, 3, 320, 320)) % 1} for _ in range(3)], 100),
    "ppocr-det": ([{"x": page(320, side)} for side in (320, 480)], 100),
    "ppocr-rec": ([{"x": page(48, width)} for width in (160, 320, 960)], 60),
    "magika": ([{"bytes": file_bytes(n)} for n in (1, 3)], 50),
    "silero-16k": (
        [{"input": voice(576), "state": s, "sr": np.array(16000)} for s in reals(2, 2, 1, 128)],
        20,
    ),
    "silero-sequence": (
        [
            {"input": voice(576 * n).reshape(n, 576), "h": reals(1, 1, 128), "c": reals(1, 1, 128)}
            for n in (1, 7)
        ],
        20,
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_every_int8_layer_is_within_one_step(name: str) -> None:
    samples, least = LAYERS[name]
    model = onnx.load(fetched(name))
    if model.opset_import[0].version < 17:  # weights have a scale per channel from 13 on
        model = onnx.version_converter.convert_version(model, 17)
    # With all operators, onnxruntime's quantizer fails on magika's.
    operators = ["Conv", "MatMul", "Add", "Mul", "Tanh"] if name == "magika" else None
    made = quantize(model, samples, operators=operators)
    for feeds in samples:
        copy = onnx.ModelProto()
        copy.CopyFrom(made)
        # Means of two, as of the sides of boxes, lie in the middle between steps.
        assert check_layers(copy, feeds, share=0.25) > least


def test_ppocr_direction() -> None:
    compare("ppocr-cls", {"x": page(80, 160)}, {"x": np.concatenate([page(80, 160)] * 3)})


@pytest.mark.parametrize("name", ["silero", "silero-16k", "silero-ifless"])
def test_silero(name: str) -> None:
    """The voice detector: an LSTM behind branches by the rate, which is an input."""
    state = np.zeros((2, 1, 128), np.float32)
    runs = [
        {"input": voice(576), "state": s, "sr": np.array(16000)} for s in (state, reals(2, 1, 128))
    ]
    if name != "silero-16k":
        runs.append({"input": voice(288), "state": state, "sr": np.array(8000)})
    model = compare(name, *runs)
    assert [stage.runs.kind for stage in model._core.stages] == ["native"]


def test_silero_of_many_frames() -> None:
    states = {"h": reals(1, 1, 128), "c": reals(1, 1, 128)}
    compare(
        "silero-sequence", *({"input": voice(576 * n).reshape(n, 576), **states} for n in (1, 7))
    )
