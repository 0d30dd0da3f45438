"""Random weights that behave like trained ones: healthy activations, image-dependent outputs.

The convolutions are He-initialized from a seed.  The batch-norm statistics are those of one
forward pass over photographs, so every layer sees the range of values it would after training.
The classifier is fitted to know each photograph, as a trained one knows its classes; a random one
would mostly amplify noise, and its best classes would be as good as ties.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from zoo import photos
from zoo.graph import CLASSES, FloatArray, ParameterSource

_SEED = 20
_CALIBRATION_CROPS = 24
_LOGIT_SPREAD = 2.0  # standard deviation of the logits of the other classes
_BEST_LOGIT = 16.0  # of a photograph's own class, as a trained ImageNet classifier has it
_RIDGE = 0.05  # of the mean square of the features

Network = Callable[[ParameterSource, int | None, bool], onnx.ModelProto]


def calibrated(network: Network, normalization: photos.Normalization) -> ParameterSource:
    """Draw the parameters of a network and fit their statistics to photographs.

    Parameters
    ----------
    network
        Builds the network from parameters, batch size and whether to fold batch normalizations.
    normalization
        Of the network's input.

    Returns
    -------
    ParameterSource
        The same at every call.
    """
    drawn: dict[str, FloatArray] = {}

    def draw(name: str, shape: tuple[int, ...]) -> FloatArray:
        drawn[name] = _draw(name, shape)
        return drawn[name]

    model = network(draw, None, False)
    images = photos.random_crops(_CALIBRATION_CROPS, normalization, seed=_SEED)
    statistics, features = _observe(model, images)
    classifier = model.graph.node[-1].input[1].removesuffix(".weight")
    weight, bias = _classifier(features)
    final = drawn | statistics | {f"{classifier}.weight": weight, f"{classifier}.bias": bias}
    return lambda name, shape: final[name].reshape(shape)


def _classifier(features: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Fit weight [CLASSES, C] and bias [CLASSES] to features [N, C] of crops of the photographs.

    Ridge regression in its dual form, from logits that are random but for each photograph's class.
    """
    generator = np.random.default_rng(_SEED)
    wanted = _LOGIT_SPREAD * generator.standard_normal((CLASSES, len(features)))
    of_photo = generator.permutation(CLASSES)[: len(photos.NAMES)]
    crops = np.arange(len(features))
    wanted[of_photo[crops % len(photos.NAMES)], crops] = _BEST_LOGIT
    centre = features.mean(axis=0)
    centred = (features - centre).astype(np.float64)
    kernel = centred @ centred.T
    ridge = _RIDGE * np.trace(kernel) / len(features) * np.eye(len(features))
    weight = (wanted @ np.linalg.inv(kernel + ridge) @ centred).astype(np.float32)
    return weight, -weight @ centre


def _draw(name: str, shape: tuple[int, ...]) -> FloatArray:
    """Initialize one parameter, depending on its name and shape only."""
    if name.endswith(".running_mean"):
        return np.zeros(shape, np.float32)
    if name.endswith(".running_var"):
        return np.ones(shape, np.float32)
    generator = np.random.default_rng([_SEED, zlib.crc32(name.encode())])
    if len(shape) == 4:
        return _draw_kernels(shape, generator)
    # Channels of trained networks differ in scale and offset, which is what makes int8 hard.
    if name.endswith(".weight") and len(shape) == 1:
        return generator.uniform(0.5, 1.5, shape).astype(np.float32)
    return generator.normal(0, 0.25, shape).astype(np.float32)


def _draw_kernels(shape: tuple[int, ...], generator: np.random.Generator) -> FloatArray:
    """He-initialize convolution kernels [out, in, size, size], most of each one smooth.

    Trained kernels are smooth too.  White noise would discard the content of an image, of low
    frequency, and leave the network to amplify rounding errors.
    """
    window = np.hanning(shape[2] + 2)[1:-1]
    dome = np.outer(window, window)
    dome /= np.sqrt(np.mean(dome**2))
    white = generator.standard_normal(shape)
    smooth = generator.standard_normal((*shape[:2], 1, 1)) * dome
    fan_out = shape[0] * shape[2] * shape[3]
    kernels = (np.sqrt(0.2) * white + np.sqrt(0.8) * smooth) * np.sqrt(2 / fan_out)
    return np.asarray(kernels, np.float32)


def _observe(
    model: onnx.ModelProto, images: FloatArray
) -> tuple[dict[str, FloatArray], FloatArray]:
    """Measure batch-norm statistics, by parameter name, and the classifier's input [N, C]."""
    training = onnx.ModelProto()
    training.CopyFrom(model)
    outputs = []
    for node in training.graph.node:
        if node.op_type == "BatchNormalization":
            mean, variance = (f"observed {name}" for name in node.input[3:])
            node.output.extend([mean, variance])
            # Momentum 0 makes the updated statistics those of this batch alone.
            attributes = {"training_mode": 1, "momentum": 0.0}
            node.attribute.extend(helper.make_attribute(*item) for item in attributes.items())
            outputs += [mean, variance]
    outputs.append(training.graph.node[-1].input[0])  # the classifier's
    training.graph.output.extend(
        helper.make_tensor_value_info(output, TensorProto.FLOAT, None) for output in outputs
    )
    session = onnxruntime.InferenceSession(
        training.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    *statistics, features = session.run(outputs, {"input": images})
    names = (output.removeprefix("observed ") for output in outputs[:-1])
    return dict(zip(names, statistics, strict=True)), features
