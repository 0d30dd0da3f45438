"""Quantize float networks to int8 with onnxruntime, the way its users do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy.typing as npt
import onnx
from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from zoo.graph import FloatArray

#: One run: the value of the only input, or values by name.
Feed = FloatArray | dict[str, npt.NDArray[Any]]
Style = Literal["qdq", "qoperator", "dynamic"]
Activation = Literal["u8", "s8"]


def quantize(
    model: onnx.ModelProto,
    images: Iterable[Feed],
    *,
    style: Style = "qdq",
    activation: Activation = "u8",
    operators: Sequence[str] | None = None,
) -> onnx.ModelProto:
    """Quantize a float network after training.

    Weights become int8, symmetric, with a scale per output channel; activations 8-bit with the
    range seen on `images`, per tensor.

    Parameters
    ----------
    model
        With one input.
    images
        What to calibrate on.
    style
        "qdq" puts QuantizeLinear/DequantizeLinear pairs around float operators, "qoperator"
        uses integer operators such as QLinearConv. "dynamic" finds the ranges of activations in
        each run (MatMulInteger), and calibrates on nothing.
    activation
        Type of activations, uint8 or int8; both with a zero point.
    operators
        What is quantized statically; by default all that onnxruntime can.

    Returns
    -------
    onnx.ModelProto
        With the float inputs and outputs of `model`.
    """
    with TemporaryDirectory() as directory:
        original, prepared, quantized = (
            Path(directory, f"{stage}.onnx") for stage in ("original", "prepared", "quantized")
        )
        # By file: given a ModelProto, the next call would strip it of its weights.
        onnx.save(model, original)
        # ONNX shape inference suffices here; the symbolic one would need sympy.
        quant_pre_process(original, prepared, skip_symbolic_shape=True)
        if style == "dynamic":
            quantize_dynamic(prepared, quantized, weight_type=QuantType.QInt8, per_channel=True)
            return onnx.load(quantized)
        quantize_static(
            prepared,
            quantized,
            _Reader(model.graph.input[0].name, images),
            quant_format=QuantFormat.QDQ if style == "qdq" else QuantFormat.QOperator,
            activation_type=QuantType.QUInt8 if activation == "u8" else QuantType.QInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=operators,
        )
        return onnx.load(quantized)


class _Reader:
    """Feeds images to the calibrator, as its CalibrationDataReader."""

    def __init__(self, name: str, images: Iterable[Feed]) -> None:
        self._name = name
        self._images = iter(images)

    def get_next(self) -> dict[str, npt.NDArray[Any]] | None:
        image = next(self._images, None)
        return image if image is None or isinstance(image, dict) else {self._name: image}
