"""MobileNetV2 as in torchvision, with seeded random weights calibrated on photographs.

Architecture: https://arxiv.org/abs/1801.04381 at width 1.0, `torchvision.models.mobilenet_v2`.
"""

from __future__ import annotations

import onnx

from zoo import random_weights
from zoo.graph import Feature, Graph, ParameterSource
from zoo.photos import IMAGENET

NORMALIZATION = IMAGENET

#: Per stage: expansion, output channels, repeats, stride of the first block (table 2 of the paper).
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
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
    return _network(random_weights.calibrated(_network, NORMALIZATION), batch, fold_bn)


def _network(parameters: ParameterSource, batch: int | None, fold_bn: bool) -> onnx.ModelProto:
    graph = Graph("mobilenet-v2", parameters, batch=batch, fold_bn=fold_bn)
    x = graph.conv_bn(graph.input, "features.0.0", "features.0.1", 32, kernel=3, stride=2)
    x = graph.relu6(x)
    index = 1
    for expansion, channels, repeats, stride in _STAGES:
        for repeat in range(repeats):
            x = _block(
                graph,
                x,
                f"features.{index}.conv",
                stride=stride if repeat == 0 else 1,
                expansion=expansion,
                channels=channels,
            )
            index += 1
    x = graph.relu6(graph.conv_bn(x, f"features.{index}.0", f"features.{index}.1", 1280))
    return graph.classifier(x, "classifier.1")


def _block(
    graph: Graph, x: Feature, name: str, *, stride: int, expansion: int, channels: int
) -> Feature:
    """Inverted residual: expand, filter each channel, project; add the input if shapes agree."""
    y = x
    index = 0
    if expansion != 1:
        hidden = x.channels * expansion
        y = graph.relu6(graph.conv_bn(y, f"{name}.0.0", f"{name}.0.1", hidden))
        index = 1
    y = graph.conv_bn(
        y,
        f"{name}.{index}.0",
        f"{name}.{index}.1",
        y.channels,
        kernel=3,
        stride=stride,
        depthwise=True,
    )
    y = graph.relu6(y)
    y = graph.conv_bn(y, f"{name}.{index + 1}", f"{name}.{index + 2}", channels)
    return graph.add(y, x) if stride == 1 and channels == x.channels else y
