"""ResNet-50 v1.5 as in torchvision, with seeded random weights calibrated on photographs.

Architecture: https://arxiv.org/abs/1512.03385 with the stride in the 3x3 convolution,
`torchvision.models.resnet50`.
"""

from __future__ import annotations

import onnx

from zoo import random_weights
from zoo.graph import Feature, Graph, ParameterSource
from zoo.photos import IMAGENET

NORMALIZATION = IMAGENET

_EXPANSION = 4

#: Per layer: blocks, bottleneck width, stride of the first block (table 1 of the paper).
_LAYERS = ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2))


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
    graph = Graph("resnet50", parameters, batch=batch, fold_bn=fold_bn)
    x = graph.relu(graph.conv_bn(graph.input, "conv1", "bn1", 64, kernel=7, stride=2))
    x = graph.max_pool(x, "maxpool", kernel=3, stride=2)
    for layer, (blocks, width, stride) in enumerate(_LAYERS, start=1):
        for block in range(blocks):
            x = _block(graph, x, f"layer{layer}.{block}", width, stride if block == 0 else 1)
    return graph.classifier(x, "fc")


def _block(graph: Graph, x: Feature, name: str, width: int, stride: int) -> Feature:
    """Bottleneck: reduce, filter, expand; add the input, projected where shapes differ."""
    channels = width * _EXPANSION
    y = graph.relu(graph.conv_bn(x, f"{name}.conv1", f"{name}.bn1", width))
    y = graph.conv_bn(y, f"{name}.conv2", f"{name}.bn2", width, kernel=3, stride=stride)
    y = graph.conv_bn(graph.relu(y), f"{name}.conv3", f"{name}.bn3", channels)
    if x.channels != channels:
        x = graph.conv_bn(
            x, f"{name}.downsample.0", f"{name}.downsample.1", channels, stride=stride
        )
    return graph.relu(graph.add(y, x))
