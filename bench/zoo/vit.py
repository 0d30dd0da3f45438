"""A small vision transformer from a seed: ViT-Tiny, 16×16 patches of 224×224 pixels."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from zoo.graph import CLASSES, IMAGE_SIZE
from zoo.photos import Normalization
from zoo.transformer import Encoder, Seeded

NORMALIZATION = Normalization((127.5,) * 3, (127.5,) * 3)

_HIDDEN, _HEADS, _LAYERS = 192, 3, 12
_PATCH = 16
_PATCHES = (IMAGE_SIZE // _PATCH) ** 2


def build(batch: int | None = 1) -> onnx.ModelProto:
    """Build the float network, from pixels [batch, 3, 224, 224] to logits [batch, 1000].

    Parameters
    ----------
    batch
        Pictures per run, or None for a symbolic dimension "N".
    """
    net = Encoder("vit", Seeded(_HIDDEN), hidden=_HIDDEN, heads=_HEADS, epsilon=1e-6)
    x = _tokens(net)
    shape = net.token_shape(x)
    for i in range(_LAYERS):
        x = _layer(net, x, shape, f"blocks.{i}")
    first = net.constant("first", np.array(0, np.int64), np.int64)
    top = net.node("Gather", [net.layer_norm(x, "norm"), first], "top", axis=1)
    net.linear(top, "logits", _HIDDEN, CLASSES)
    size = ["N" if batch is None else batch, 3, IMAGE_SIZE, IMAGE_SIZE]
    return net.model([("input", TensorProto.FLOAT, size)], ["logits"])


def _tokens(net: Encoder) -> str:
    weight = net.parameter("patch.weight", _HIDDEN, 3, _PATCH, _PATCH)
    bias = net.parameter("patch.bias", _HIDDEN)
    sides = [_PATCH, _PATCH]
    net.node("Conv", ["input", weight, bias], "patch", kernel_shape=sides, strides=sides)
    rows = net.constant("rows", [0, _HIDDEN, _PATCHES], np.int64)
    net.node("Reshape", ["patch", rows], "patch/rows")
    net.node("Transpose", ["patch/rows"], "patches", perm=[0, 2, 1])
    places = net.parameter("positions", 1, _PATCHES, _HIDDEN)
    return net.node("Add", ["patches", places], "embedded")


def _layer(net: Encoder, x: str, shape: str, name: str) -> str:
    n = _HIDDEN
    before = net.layer_norm(x, f"{name}.norm1")
    own = [net.linear(before, f"{name}.attn.{part}", n, n) for part in "qkv"]
    context = net.attention(own, shape, None, f"{name}.attn")
    x = net.node("Add", [x, net.linear(context, f"{name}.attn.proj", n, n)], f"{name}/mixed")
    inner = net.gelu(net.linear(net.layer_norm(x, f"{name}.norm2"), f"{name}.mlp.fc1", n, 4 * n))
    return net.node("Add", [x, net.linear(inner, f"{name}.mlp.fc2", 4 * n, n)], f"{name}/out")
